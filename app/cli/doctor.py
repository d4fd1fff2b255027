"""``zordon doctor``: what is missing on this machine, and how to mend it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import typer
from rich.text import Text

from app.cli.connect import reach_of, run
from app.cli.exits import Exit
from app.cli.fetching import JsonOption
from app.cli.findings import Finding, Place, Verdict
from app.cli.show import clean, console, print_json
from client import RenderServerProxy, ZordonError
from client.discovery import default_data_dir

_MARKS = {Verdict.OK: ("ok", "green"), Verdict.NOTE: ("note", "yellow"), Verdict.MISSING: ("missing", "bold red")}


def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Look what is missing on this machine, and say how to mend it."""
    from app.cli import (
        checks,
        farm_checks,
        machine_checks,
    )  # they load the settings of the service, which no other command needs

    reach = reach_of(context)

    async def look() -> Sequence[Finding]:
        target = replace(reach, token=reach.token or "unused").target()
        async with RenderServerProxy.at(target) as node:
            all_checks = (*checks.CHECKS, *machine_checks.CHECKS, *farm_checks.CHECKS)
            place = Place(reach.data_dir or default_data_dir(), target.host, target.port, await _answers(node))
        return [await asyncio.to_thread(check, place) for check in all_checks]

    findings = run(look)
    if as_json:
        print_json(
            [
                {"check": found.check, "verdict": found.verdict.value, "message": found.message, "mend": found.mend}
                for found in findings
            ]
        )
    else:
        for found in findings:
            mark, style = _MARKS[found.verdict]
            line = Text.assemble((f"{mark:8}", style), (f"{found.check:12}", "bold"), clean(found.message))
            console.print(line, soft_wrap=True)
            if found.mend:
                console.print(Text(f"{'':20}{found.mend}"), soft_wrap=True)
    if any(found.verdict is Verdict.MISSING for found in findings):
        raise typer.Exit(Exit.FAILED)


async def _answers(node: RenderServerProxy) -> bool:
    """Whether a Zordon service answers there; whatever else answers is none."""
    try:
        return await node.check_connection()
    except ZordonError:
        return False
