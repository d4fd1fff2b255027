"""``zordon explain``: why a job is in its state, and what would help."""

from __future__ import annotations

import typer
from rich.text import Text

from app.cli.connect import find_job, on_node
from app.cli.fetching import JobArgument, JsonOption
from app.cli.show import clean, console, dumped, print_json
from client import RenderServerProxy
from client.models import Explanation


def explain(context: typer.Context, job: JobArgument, as_json: JsonOption = False) -> None:
    """Say why a job is not running or how it failed, and what would help."""

    async def work(node: RenderServerProxy) -> Explanation:
        return await node.explain_job((await find_job(node, job)).id)

    found = on_node(context, work)
    if as_json:
        print_json(dumped(found))
        return
    _print(found.summary, style="bold")
    for sentence in found.sentences:
        _print(sentence)
    for lines, heading in ((found.help, "What would help:"), (found.log, "The last lines of its log:")):
        if lines:
            console.print()
            console.print(heading, style="dim")
        for line in lines:
            _print(f"  {line}")


def _print(text: str, style: str = "") -> None:
    console.print(Text(clean(text), style=style), soft_wrap=True)
