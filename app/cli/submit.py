"""``zordon submit``: a project to the service, and with ``--watch`` along with it to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import JsonValue, ValidationError
from rich.text import Text

from app.cli.arguments import read_args, read_size, read_time, split_args
from app.cli.connect import local_outputs, on_node
from app.cli.exits import Exit
from app.cli.fetching import BarMover, JsonOption, fetch_outputs, transfer_bars
from app.cli.show import SHORT_ID, clean, console, dumped, plural, print_json
from app.cli.watching import Silent, report_end, reporter_for, watch
from client import RenderServerProxy
from client.models import AddJob, Job

_RESUMED: Final = 8 << 20
"""From this size on, in bytes, a file is sent so that a broken upload goes on where it was."""


def submit(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", exists=True, dir_okay=False, help="The project, or a .zip with the project and its assets."
        ),
    ] = None,
    renderer: Annotated[str | None, typer.Option(help="Engine; default: by the file's name.")] = None,
    frames: Annotated[
        str | None, typer.Option(help="1-100, 1-100x2, 1-10,20,30-40; default: the project's own.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the job; default: the file's.")] = None,
    engine_version: Annotated[str | None, typer.Option(help="A version, or its beginning, such as 4.5.")] = None,
    priority: Annotated[int | None, typer.Option(min=0, max=100, help="Higher renders first; 50 if not given.")] = None,
    output_format: Annotated[str | None, typer.Option(help="One of the engine's output formats.")] = None,
    arg: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of the engine; may be repeated.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="PATH", help="Which file of a .zip is the project; default: the topmost.")
    ] = None,
    notes: Annotated[str | None, typer.Option(help="Free text, kept with the job.")] = None,
    start_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Not before: 2026-05-01T18:00, 18:00, or +90m.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag that a node must have; may be repeated.")
    ] = None,
    max_nodes: Annotated[int | None, typer.Option(min=1, help="At most so many nodes at a time.")] = None,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Memory that a node must have, such as 32GB.")
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Do not upload: the service reads the file where it is.")
    ] = False,
    watch_it: Annotated[bool, typer.Option("--watch", help="Show live progress until it ends.")] = False,
    get: Annotated[
        Path | None, typer.Option("--get", metavar="DIR", help="Watch, then download the outputs to DIR.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Submit a job: a Blender file, a video, or a zip of a project with its assets."""
    if file is None and renderer is None:
        raise typer.BadParameter("give a FILE, or --renderer for an engine that needs none")
    if in_place and file is None:
        raise typer.BadParameter("--in-place needs a FILE")
    try:
        order = AddJob(
            name=name,
            renderer=renderer,
            frames=frames,
            engine_version=engine_version,
            priority=priority,
            output_format=output_format,
            notes=notes,
            project=project,
            scheduled_start=None if start_at is None else read_time(start_at, datetime.now().astimezone()),
            tags=tag or None,
            max_nodes=max_nodes,
            memory_bytes=None if memory is None else read_size(memory),
            local_path=str(file.absolute()) if in_place and file is not None else None,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise typer.BadParameter(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    pairs = split_args(arg or [])
    follow = watch_it or get is not None
    created: list[Job] = []

    async def work(node: RenderServerProxy) -> list[Job]:
        args = read_args(pairs, await _schema(node, renderer, file)) if pairs else None
        complete = order.model_copy(update={"args": args})
        created.extend(await _send(node, complete, None if in_place else file, quiet=as_json))
        if not as_json:
            for job in created:
                _say_created(job)
        if not follow:
            return created
        ended = await watch(node, [job.id for job in created], Silent() if as_json else reporter_for())
        if get is not None:
            for job in ended:
                await fetch_outputs(node, job, get, quiet=as_json)
        return ended

    try:
        jobs = on_node(context, work, on_interrupt="interrupted")
    except typer.Exit as end:
        if end.exit_code == Exit.INTERRUPTED and created:
            console.print(leave_text(created), soft_wrap=True)
        raise
    if as_json:
        print_json([dumped(job) for job in jobs])
    elif follow:
        report_end(jobs)
        say_where(context, jobs, get)
    if follow and any(job.status != "completed" for job in jobs):
        raise typer.Exit(Exit.FAILED)


async def _send(node: RenderServerProxy, order: AddJob, file: Path | None, *, quiet: bool) -> list[Job]:
    if file is None:
        return await node.create_job(order)
    with transfer_bars(quiet=quiet) as bars:
        bar = bars.add_task(f"uploading {clean(file.name)}", total=None)
        large = (await asyncio.to_thread(file.stat)).st_size >= _RESUMED
        return await node.create_job(order, file, progress=BarMover(bars, bar), resumable=large)


def leave_text(jobs: Sequence[Job]) -> Text:
    """What is said when a person stops watching."""
    ids = " ".join(job.id[:SHORT_ID] for job in jobs)
    subject = "The job goes" if len(jobs) == 1 else "The jobs go"
    return Text(f"{subject} on. `zordon watch {ids}` shows more, `zordon cancel {ids}` ends it.")


def _say_created(job: Job) -> None:
    console.print(
        Text.assemble(
            ("Submitted ", ""),
            (clean(job.name), "bold"),
            (f" as {job.id}: {plural(job.total_frames, 'frame')} ({job.frames})", ""),
            (f" with {job.engine} {job.engine_version}", ""),
        ),
        soft_wrap=True,
    )
    for warning in job.warnings:
        console.print(Text(f"  warning: {clean(warning)}", style="yellow"), soft_wrap=True)


def say_where(context: typer.Context, jobs: Sequence[Job], folder: Path | None = None) -> None:
    """Where the outputs are: downloaded, in the service's own folder, or only there.

    Args:
        folder: where they were downloaded to, if they were.
    """
    if folder is not None:
        console.print(Text(f"The outputs are in {folder.absolute()}"), soft_wrap=True)
        return
    for job in jobs:
        if not job.file_count:
            continue
        place = local_outputs(context, job)
        where = f"in {place}" if place is not None else "on the node"
        fetch = f"`zordon get {job.id[:SHORT_ID]}` fetches them"
        console.print(Text(f"{plural(job.file_count, 'output')} {where}; {fetch}."), soft_wrap=True)


async def _schema(node: RenderServerProxy, renderer: str | None, file: Path | None) -> Mapping[str, JsonValue]:
    """JSON Schema of the engine's options."""
    engine = renderer or await node.get_engine_for_filename(file.name if file is not None else "")
    return (await node.get_engine_args(engine)).schema_
