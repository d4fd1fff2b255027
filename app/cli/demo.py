"""``zordon demo``: the whole life of two jobs on this machine, in a minute or two, with pictures at the end.

It starts a service of its own in a temporary data folder, submits the projects of the folder ``demo``, follows them
and brings everything home; nothing of it touches a service that is already running here.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

import app
from app.cli import bpy_install
from app.cli.connect import fail, reach_of, run
from app.cli.exits import Exit
from app.cli.fetching import fetch_outputs, fetch_preview
from app.cli.own_service import ServiceFailed, own_service
from app.cli.show import clean, console, plural
from app.cli.watching import report_end, reporter_for, watch
from client import RenderServerProxy
from client.discovery import default_data_dir
from client.models import AddJob, Job

_MEDIA: Final = (".mp4", ".mkv", ".mov", ".webm")
_PATTERN: Final = AddJob(name="testpattern", renderer="testpattern", frames="1-24")


class BlenderChoice(StrEnum):
    """Which Blender the demo renders with."""

    AUTO = "auto"
    MANAGED = "managed"


@dataclass(frozen=True, slots=True)
class Order:
    """One job of the demo."""

    job: AddJob
    file: Path | None = None


def demo(
    context: typer.Context,
    no_blender: Annotated[bool, typer.Option("--no-blender", help="Skip Blender: nothing is downloaded.")] = False,
    output: Annotated[
        Path, typer.Option("--output", metavar="DIR", file_okay=False, help="Where the pictures go.")
    ] = Path("demo-output"),
    keep: Annotated[bool, typer.Option("--keep", help="Keep the data folder of the demo's service.")] = False,
    frames: Annotated[str | None, typer.Option(help="Render only these frames of the Blender project.")] = None,
    blender: Annotated[BlenderChoice, typer.Option(hidden=True)] = BlenderChoice.AUTO,
) -> None:
    """Render a small Blender project and a video here and now, and leave the pictures in ./demo-output."""
    projects = project_folder()
    settings: dict[str, str] = {}
    orders = [Order(_PATTERN)]
    if not no_blender:
        managed = _managed_blender(reach_of(context).data_dir or default_data_dir(), blender)
        if managed is not None:
            settings["ZORDON_ENGINE_PATHS"] = json.dumps({"blender": [str(managed)]})
        version = managed.name if managed is not None and blender is BlenderChoice.MANAGED else None
        orders = [Order(AddJob(renderer="blender", frames=frames, engine_version=version), projects / "demo.blend")]
    orders += [Order(AddJob(renderer="ffmpeg"), path) for path in sorted(projects.iterdir()) if path.suffix in _MEDIA]
    folder = Path(tempfile.mkdtemp(prefix="zordon-demo-"))
    try:
        ended = run(
            lambda: _whole_demo(folder, settings, orders, output), on_interrupt="interrupted; nothing is left running"
        )
    except ServiceFailed as error:
        fail(str(error), Exit.SERVER)
    finally:
        if keep:
            console.print(Text(f"The data folder of the demo: {folder}"), soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if any(job.status != "completed" for job in ended):
        raise typer.Exit(Exit.FAILED)


def project_folder() -> Path:
    """The folder ``demo``: beside the package in a checkout, inside it in an installation.

    Raises:
        typer.Exit: this installation has none.
    """
    package = Path(app.__file__).resolve().parent
    for place in (package.parent / "demo", package / "demo"):
        if (place / "demo.blend").is_file():
            return place
    fail("the demo's projects are not part of this installation", Exit.LOCAL)


async def _whole_demo(folder: Path, settings: dict[str, str], orders: Sequence[Order], output: Path) -> list[Job]:
    stop_on_terminate()
    console.print(Text("Starting a service of its own …", style="dim"))
    async with own_service(folder, settings) as node:
        created: list[Job] = []
        for order in orders:
            created += await node.create_job(order.job, order.file)
        ended = await watch(node, [job.id for job in created], reporter_for())
        report_end(ended)
        await _bring_home(node, ended, output)
    return ended


async def _bring_home(node: RenderServerProxy, jobs: Sequence[Job], output: Path) -> None:
    for job in jobs:
        place = output / job.engine
        files = await fetch_outputs(node, job, place)
        preview = await fetch_preview(node, job, place)
        line = Text.assemble((f"{clean(job.name)}: ", "bold"), f"{plural(len(files), 'file')} in {place.absolute()}")
        console.print(line, soft_wrap=True)
        if preview is not None:
            console.print(Text(f"  preview: {preview.absolute()}"), soft_wrap=True)


def stop_on_terminate() -> None:
    """Let SIGTERM end the running task as Ctrl-C does, so that the service it started is stopped too."""
    task = asyncio.current_task()
    if task is not None and sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _managed_blender(data_dir: Path, choice: BlenderChoice) -> Path | None:
    """The managed copy that the demo needs, installed if there is no Blender at all; None: the system has one."""
    if choice is BlenderChoice.AUTO and shutil.which("blender"):
        return None
    folder = data_dir / "engines" / "blender"
    found = bpy_install.find_installed(folder)
    if found is not None:
        return found
    try:
        return _install_with_bar(folder)
    except bpy_install.InstallFailed as error:
        fail(f"{error}. `zordon demo --no-blender` does without", Exit.FAILED)
    except KeyboardInterrupt:
        fail("interrupted; nothing was installed", Exit.INTERRUPTED)
    except OSError as error:
        fail(f"{folder}: {error.strerror}", Exit.LOCAL)


def _install_with_bar(folder: Path) -> Path:
    console.print("There is no Blender on this machine: installing the managed one, about 400 MB. It stays installed.")
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=console.is_terminal,
    ) as bars:
        bar = bars.add_task("looking for Blender on PyPI", total=None)

        def report(what: str, done: int, expected: int | None) -> None:
            bars.update(bar, description=what, completed=done, total=expected)

        place = bpy_install.install_bpy(folder, report)
    console.print(Text(f"Blender {place.name} is in {place}"), soft_wrap=True)
    return place
