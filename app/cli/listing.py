"""The commands that only look: ``jobs``, ``watch``, ``status``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from app.cli.connect import find_job, on_node
from app.cli.exits import Exit
from app.cli.fetching import JobsArgument, JsonOption
from app.cli.show import SHORT_ID, age, clean, console, dumped, duration, print_json, size, status_text
from app.cli.submit import leave_text, say_where
from app.cli.watching import JsonLines, report_end, reporter_for, watch
from client import RenderServerProxy
from client.models import Job, JobStatus, NodeStatus


def jobs(
    context: typer.Context,
    status: Annotated[list[JobStatus] | None, typer.Option(help="Only jobs in this status; may be repeated.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the jobs, the newest last."""

    async def work(node: RenderServerProxy) -> list[Job]:
        everything = (await node.get_jobs()).jobs
        return [job for job in everything if not status or job.status in status]

    found = sorted(on_node(context, work), key=lambda job: job.date_created)
    if as_json:
        print_json([dumped(job) for job in found])
        return
    if not found:
        console.print("No jobs." if not status else "No jobs in this status.")
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("ID", "Name", "Status"):
        table.add_column(heading, no_wrap=heading == "ID", overflow="fold" if heading == "Name" else "ellipsis")
    for heading in ("Frames", "%"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("Engine", "Nodes", "Age", "Why"):
        table.add_column(heading, no_wrap=heading != "Why", overflow="fold" if heading == "Why" else "ellipsis")
    for job in found:
        table.add_row(
            job.id[:SHORT_ID],
            Text(clean(job.name)),
            status_text(job.status),
            f"{job.frames_done}/{job.total_frames}",
            f"{job.percent_complete:.0f}",
            Text(f"{job.engine} {job.engine_version}"),
            Text(clean(", ".join(job.nodes) if len(job.nodes) < 4 else f"{len(job.nodes)} nodes")),
            age(job.date_created),
            Text(clean(job.reason), style="dim"),
        )
    console.print(table)


def watch_jobs(context: typer.Context, jobs: JobsArgument, as_json: JsonOption = False) -> None:
    """Follow jobs to their end. With --json: one line of JSON a change."""
    seen: list[Job] = []

    async def work(node: RenderServerProxy) -> list[Job]:
        for text in jobs:
            seen.append(await find_job(node, text))
        return await watch(node, [job.id for job in seen], JsonLines() if as_json else reporter_for())

    try:
        ended = on_node(context, work)
    except typer.Exit as end:
        if end.exit_code == Exit.INTERRUPTED and seen and not as_json:
            console.print(leave_text(seen), soft_wrap=True)
        raise
    if not as_json:
        report_end(ended)
        say_where(context, ended)
    if any(job.status is not JobStatus.COMPLETED for job in ended):
        raise typer.Exit(Exit.FAILED)


def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show the node: machine, load, disk, jobs."""

    async def work(node: RenderServerProxy) -> NodeStatus:
        return await node.get_status()

    found = on_node(context, work)
    if as_json:
        print_json(dumped(found))
        return
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.job_counts.items() if count)
    table = Table.grid(padding=(0, 2))
    rows = (
        ("Node", f"{found.hostname}:{found.port}, up {duration(found.uptime)}"),
        ("Zordon", f"{found.app_version}, API {found.api_version}"),
        ("System", f"{found.system_os} {found.system_os_version}"),
        ("CPU", f"{found.cpu_brand}, {found.cpu_count} cores, {found.cpu_percent:.0f} % busy"),
        ("Memory", f"{size(found.memory_available)} free of {size(found.memory_total)}"),
        ("Disk", f"{size(found.disk_free)} free of {size(found.disk_total)}"),
        ("Renders", found.resting or "yes"),
        ("Tags", ", ".join(found.tags) or "none"),
        ("Jobs", counts or "none"),
        ("Slots", ", ".join(f"{engine} {count}" for engine, count in found.slots.items())),
    )
    for name, value in rows:
        table.add_row(Text(name, style="dim"), Text(clean(value)))
    console.print(table)
