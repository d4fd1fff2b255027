"""The commands that end things, ``cancel`` and ``delete``, the one that takes them up again, ``retry``, and the one
that changes them: ``set``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from app.cli.connect import find_job, on_node
from app.cli.fetching import JobsArgument, JsonOption
from app.cli.show import clean, console, dumped, print_json
from client import RenderServerProxy
from client.models import Job


def cancel(context: typer.Context, jobs: JobsArgument, as_json: JsonOption = False) -> None:
    """Stop jobs; what is finished stays."""

    async def work(node: RenderServerProxy) -> list[Job]:
        found = [await find_job(node, text) for text in jobs]
        return [await node.cancel_job(job.id) for job in found]

    cancelled = on_node(context, work)
    if as_json:
        print_json([dumped(job) for job in cancelled])
        return
    for job in cancelled:
        console.print(Text(f"{clean(job.name)}: {job.status.value.replace('_', ' ')}"), soft_wrap=True)


def set_job(
    context: typer.Context,
    jobs: JobsArgument,
    priority: Annotated[
        int | None, typer.Option(min=0, max=100, help="Higher renders first; of subjobs as well.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Display name; files keep theirs.")] = None,
    notes: Annotated[str | None, typer.Option(help="Free text, kept with the job.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change the priority, the name or the notes of jobs."""
    if priority is None and name is None and notes is None:
        raise typer.BadParameter("say what to change: --priority, --name or --notes")

    async def work(node: RenderServerProxy) -> list[Job]:
        found = [await find_job(node, text) for text in jobs]
        return [await node.edit_job(job.id, name=name, priority=priority, notes=notes) for job in found]

    changed = on_node(context, work)
    if as_json:
        print_json([dumped(job) for job in changed])
        return
    for job in changed:
        line = f"{clean(job.name)}: priority {job.priority}, {job.status.value.replace('_', ' ')}"
        console.print(Text(line), soft_wrap=True)


def retry(context: typer.Context, jobs: JobsArgument, as_json: JsonOption = False) -> None:
    """Render the frames that are missing or bad, and no others."""

    async def work(node: RenderServerProxy) -> list[Job]:
        found = [await find_job(node, text) for text in jobs]
        return [await node.retry_job(job.id) for job in found]

    retried = on_node(context, work)
    if as_json:
        print_json([dumped(job) for job in retried])
        return
    for job in retried:
        line = f"{clean(job.name)}: {job.status.value.replace('_', ' ')}, {clean(job.reason)}"
        console.print(Text(line), soft_wrap=True)


def delete(
    context: typer.Context,
    jobs: JobsArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Stop and delete jobs, with their uploads, outputs and previews."""

    async def look(node: RenderServerProxy) -> list[Job]:
        return [await find_job(node, text) for text in jobs]

    found = on_node(context, look)
    if not yes:
        for job in found:
            # On stderr, as the question: stdout may be read by a program.
            typer.echo(f"{clean(job.name)} ({job.id}): {job.status.value}, {job.file_count} outputs", err=True)
        typer.confirm(f"Delete {'it' if len(found) == 1 else 'them'} and all outputs?", abort=True, err=True)

    async def work(node: RenderServerProxy) -> None:
        for job in found:
            await node.delete_job(job.id)

    on_node(context, work)
    if as_json:
        print_json({"deleted": [job.id for job in found]})
        return
    for job in found:
        console.print(Text(f"Deleted {clean(job.name)}"), soft_wrap=True)
