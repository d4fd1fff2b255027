"""``zordon addon``: the Blender add-on that the service offers, as a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from app.cli.connect import on_node
from app.cli.fetching import JsonOption
from app.cli.show import console, print_json
from client import RenderServerProxy


def addon(
    context: typer.Context,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to; default: this folder, under a name that has the version."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the add-on that submits from inside Blender; install the zip as it is."""

    async def work(node: RenderServerProxy) -> Path:
        name, content = await node.get_blender_addon()
        file = Path(name) if output is None else output / name if output.is_dir() else output
        await asyncio.to_thread(file.write_bytes, content)
        return file.absolute()

    file = on_node(context, work)
    if as_json:
        print_json({"file": str(file)})
        return
    console.print(Text(str(file)), soft_wrap=True)
    console.print("Blender 4.2 and later: Preferences > Get Extensions > Install from Disk. Before: Add-ons > Install.")
