"""What the node does for the farm: ``pause``, ``resume``, ``tags``, ``schedule``."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final

import typer
from pydantic import ValidationError
from rich.text import Text

from app.cli.arguments import read_time
from app.cli.connect import on_node
from app.cli.fetching import JsonOption
from app.cli.show import clean, console, dumped, print_json
from client import RenderServerProxy
from client.models import ChangeNode, NodeStatus, RenderWindow

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW: Final = re.compile(r"(?P<days>[a-z,-]+) (?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d)")


def pause(
    context: typer.Context,
    reason: Annotated[str | None, typer.Option(help="For whoever waits for it.")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it goes on by itself: 18:00, +90m, 2026-05-01T18:00.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Do not finish the frames under way.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Have the machine for yourself: the node finishes the frames under way and begins nothing new."""
    moment = None if until is None else read_time(until, datetime.now().astimezone())

    async def work(node: RenderServerProxy) -> NodeStatus:
        return await node.pause_node(reason, moment, now=now)

    _report(on_node(context, work), as_json=as_json)


def resume(context: typer.Context, as_json: JsonOption = False) -> None:
    """Let the node begin new things again."""

    async def work(node: RenderServerProxy) -> NodeStatus:
        return await node.resume_node()

    _report(on_node(context, work), as_json=as_json)


def tags(
    context: typer.Context,
    wanted: Annotated[
        list[str] | None, typer.Argument(metavar="TAG...", help="All tags that it shall have; none: show those it has.")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="It shall have none.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show or set the tags of the node, which jobs may ask for: gpu, windows, big-memory, …"""
    if clear and wanted:
        raise typer.BadParameter("give tags or --clear, not both")
    if wanted:
        try:
            ChangeNode(tags=wanted)
        except ValidationError as error:
            raise typer.BadParameter(
                "a tag has 1 to 50 small letters, digits, dots and - _, and begins with a letter or digit"
            ) from error

    async def work(node: RenderServerProxy) -> NodeStatus:
        return await node.change_node(tags=wanted or []) if wanted or clear else await node.get_status()

    _report(on_node(context, work), as_json=as_json)


def schedule(
    context: typer.Context,
    windows: Annotated[
        list[str] | None,
        typer.Argument(metavar="WINDOW...", help="Such as 'mon-fri 18:00-08:00'; none: show the schedule."),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="It may always render.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show or set when the node may render, on its own clock."""
    if clear and windows:
        raise typer.BadParameter("give windows or --clear, not both")
    wanted = [_window(text) for text in windows or ()]

    async def work(node: RenderServerProxy) -> NodeStatus:
        return await node.change_node(schedule=wanted) if wanted or clear else await node.get_status()

    _report(on_node(context, work), as_json=as_json)


def _window(text: str) -> RenderWindow:
    match = _WINDOW.fullmatch(text.strip().lower())
    try:
        if match is None:
            raise ValueError
        days = [day for part in match["days"].split(",") for day in _days(part)]
        return RenderWindow.model_validate({"days": days, "from": match["begin"], "to": match["end"]})
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: write it as 'mon-fri 18:00-08:00' or 'sat,sun 00:00-00:00'") from error


def _days(part: str) -> list[str]:
    """``fri`` is one, ``fri-mon`` are four.

    Raises:
        ValueError: it names no days.
    """
    first, dash, last = part.partition("-")
    begin, end = _DAYS.index(first), _DAYS.index(last if dash else first)
    return [_DAYS[(begin + step) % 7] for step in range((end - begin) % 7 + 1)]


def _report(status: NodeStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(dumped(status))
        return
    state = status.resting or "this node begins new things"
    console.print(Text(f"{clean(status.hostname)}: {clean(state)}"), soft_wrap=True)
    console.print(Text(f"  tags: {', '.join(status.tags) or 'none'}"), soft_wrap=True)
    for window in status.schedule:
        console.print(Text(f"  may render: {' '.join(window.days)} {window.from_}-{window.to}"), soft_wrap=True)
