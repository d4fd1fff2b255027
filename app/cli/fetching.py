"""Bringing things home: ``zordon get`` and ``zordon logs``, and the downloads of ``submit --get``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.text import Text

from app.cli.connect import find_job, on_node
from app.cli.show import SHORT_ID, clean, console, plural, print_json
from client import NotFound, RenderServerProxy
from client.models import Job

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="Id of a job, an unambiguous beginning of it, or 'last'.")
]
JobsArgument = Annotated[
    list[str], typer.Argument(metavar="JOB...", help="Ids of jobs, or unambiguous beginnings of them.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Plain JSON on stdout.")]

_PREVIEW_SECONDS: Final = 20.0
_PREVIEW_INTERVAL: Final = 0.2


def transfer_bars(*, quiet: bool = False) -> Progress:
    """Bars in bytes, gone when they are done."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )


class BarMover:
    """Moves one bar; a progress callback of the client."""

    def __init__(self, bars: Progress, bar: TaskID) -> None:
        self._bars, self._bar = bars, bar

    def __call__(self, done: int, total: int | None) -> None:
        self._bars.update(self._bar, completed=done, total=total)


def folder_for(job: Job) -> Path:
    """Where a job's outputs go unless told: a folder of its own in the present one."""
    stem = "".join(char if char.isalnum() or char in "-_." else "_" for char in job.name).strip("._") or "job"
    return Path(f"{stem[:80]}-{job.id[:SHORT_ID]}")


async def fetch_outputs(node: RenderServerProxy, job: Job, folder: Path, *, quiet: bool = False) -> list[Path]:
    """Download every output of a job into ``folder``; what is there already is not fetched again.

    Returns:
        The files, in the order of the manifest.

    Raises:
        ZordonError: the service refuses, or a file did not come whole.
        OSError: it cannot be written.
    """
    names = await node.get_job_files(job.id)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    fetched: list[Path] = []
    with transfer_bars(quiet=quiet) as bars:
        bar = bars.add_task("")
        for number, name in enumerate(names, 1):
            bars.reset(bar, description=f"{clean(name)} ({number}/{len(names)})", total=None)
            fetched.append(await node.download_job_file(job.id, name, folder, BarMover(bars, bar)))
    return fetched


def get(
    context: typer.Context,
    job: JobArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to; default: a folder named after the job."),
    ] = None,
    as_zip: Annotated[bool, typer.Option("--all", "--zip", help="One zip of everything instead of the files.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Download the outputs of a job. A broken download goes on where it stopped."""

    async def work(node: RenderServerProxy) -> list[Path]:
        found = await find_job(node, job)
        folder = output or folder_for(found)
        if not as_zip:
            return await fetch_outputs(node, found, folder, quiet=as_json)
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        with transfer_bars(quiet=as_json) as bars:
            bar = bars.add_task(f"{found.id[:SHORT_ID]}.zip", total=None)
            target = folder / f"{folder_for(found).name}.zip"
            return [await node.download_all_job_files(found.id, target, BarMover(bars, bar))]

    files = on_node(context, work, on_interrupt="interrupted; the same command goes on from here")
    if as_json:
        print_json({"files": [str(file.absolute()) for file in files]})
    elif not files:
        console.print("The job has no outputs yet.")
    else:
        where = files[0] if len(files) == 1 else files[0].parent
        console.print(Text(f"{plural(len(files), 'file')}: {where.absolute()}"), soft_wrap=True)


def logs(
    context: typer.Context,
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows, until the job ends.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print the log of a job: the exact command lines first, then what the engine said."""

    async def work(node: RenderServerProxy) -> None:
        found = await find_job(node, job)
        if as_json:
            print_json({"id": found.id, "log": await node.get_job_logs(found.id)})
            return
        async for piece in node.stream_job_logs(found.id, follow=follow):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()

    on_node(context, work, on_interrupt="interrupted; the job goes on")


async def fetch_preview(node: RenderServerProxy, job: Job, folder: Path) -> Path | None:
    """The big preview of a job that has ended, a video as soon as there is one; None if there is no preview."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PREVIEW_SECONDS
    while True:
        try:
            media_type, content = await node.get_job_thumbnail(job.id, big=True, video_ok=True)
        except NotFound:
            return None
        # The video of many frames is made after the job; a single picture has none.
        if media_type == "video/mp4" or job.total_frames == 1 or loop.time() > deadline:
            break
        await asyncio.sleep(_PREVIEW_INTERVAL)
    path = folder / ("preview.mp4" if media_type == "video/mp4" else "preview.jpg")
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    await asyncio.to_thread(path.write_bytes, content)
    return path
