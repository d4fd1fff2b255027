"""``zordon nodes``, ``zordon pair``, ``zordon join``: the farm, and how a machine comes into it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from app.cli.connect import fail, on_node
from app.cli.exits import Exit
from app.cli.fetching import JsonOption
from app.cli.show import clean, console, dumped, duration, errors, print_json
from client import RenderServerProxy
from client.models import Joined, NodeList, NodeState, Pairing, PeerNode

_STYLES: Final = {
    NodeState.ONLINE: "green",
    NodeState.AWAY: "yellow",
    NodeState.LEFT: "dim",
    NodeState.REFUSED: "bold red",
}
_POLL_SECONDS: Final = 0.5


def nodes(
    context: typer.Context,
    forget: Annotated[
        str | None, typer.Option(metavar="NODE", help="Take a node off the list: its name or id.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the nodes of the farm: who is there, who is not used, and why."""

    async def work(node: RenderServerProxy) -> NodeList | None:
        if forget is not None:
            named = {one.id for one in (await node.get_nodes()).nodes if forget in (one.id, one.name) and not one.own}
            if len(named) != 1 or "" in named:
                return None
            await node.forget_node(named.pop())
        return await node.get_nodes()

    found = on_node(context, work)
    if found is None:
        fail(f"there is not exactly one other node {forget!r}; its id is in `zordon nodes --json`", Exit.NOT_FOUND)
    if as_json:
        print_json(dumped(found))
        return
    if found.farm is None:
        errors.print(
            "This node is in no farm yet: `zordon pair` on one machine, `zordon join CODE` on the other.",
            soft_wrap=True,
        )
    else:
        console.print(Text.assemble("Farm ", (clean(found.farm.name), "bold"), f" ({found.farm.id})"), soft_wrap=True)
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("Node", "Address", "State", "Answered", "Busy", "Version", ""):
        table.add_column(heading, overflow="fold")
    for one in found.nodes:
        table.add_row(*_row(one))
    console.print(table)


def pair(
    context: typer.Context,
    wait: Annotated[bool, typer.Option(" /--no-wait", help="Show the code and do not wait for the other one.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Show a code by which another machine joins this node's farm; a node in none founds one.

    The code is good for one machine, for ten minutes. Ctrl-C takes it back.
    """

    async def work(node: RenderServerProxy) -> Pairing:
        offered = await node.offer_pairing()
        if as_json:
            print_json(dumped(offered))
        else:
            _say_code(offered)
        return await _joined(node, offered) if wait and not as_json else offered

    try:
        ended = on_node(context, work, on_interrupt="the code was taken back")
    except typer.Exit as end:
        if end.exit_code == Exit.INTERRUPTED:
            on_node(context, lambda node: node.withdraw_pairing())
        raise
    if as_json or not wait:
        return
    if not ended.joined:
        fail("nobody has joined: the code is good for nothing any more; `zordon pair` makes another", Exit.FAILED)
    new = ended.joined[-1]
    console.print(Text(f"{clean(new.name)} ({new.address}) has joined; `zordon nodes` shows it."), soft_wrap=True)


def join(
    context: typer.Context,
    code: Annotated[str, typer.Argument(metavar="CODE", help="As `zordon pair` shows it on the other machine.")],
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where the other one is; else it is looked for.")
    ] = None,
    leave: Annotated[bool, typer.Option("--leave", help="Leave the farm that this node is in.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring this node into the farm of another machine, which shows the code."""

    async def work(node: RenderServerProxy) -> Joined:
        return await node.join_farm(code, address, leave=leave)

    joined = on_node(context, work)
    if as_json:
        print_json(dumped(joined))
        return
    partner = joined.partner
    console.print(
        Text(
            f"This node is in {clean(joined.farm.name)} ({joined.farm.id}) now, "
            f"by {clean(partner.name)} at {partner.address}."
        ),
        soft_wrap=True,
    )
    _say_note(joined.note)


def _say_code(offered: Pairing) -> None:
    farm = offered.farm
    console.print(
        Text.assemble(
            "On the other machine: ",
            (f"zordon join {offered.code}", "bold"),
            f"  (once, within ten minutes; joins {clean(farm.name) if farm is not None else 'this node'})",
        ),
        soft_wrap=True,
    )
    _say_note(offered.note)


def _say_note(note: str) -> None:
    if note:
        errors.print(f"Note: {clean(note)}", style="yellow", markup=False, soft_wrap=True)


async def _joined(node: RenderServerProxy, offered: Pairing) -> Pairing:
    """Wait until somebody has joined, or the code is good for nothing any more."""
    while True:
        now = await node.get_pairing()
        if now.code != offered.code:
            return now.model_copy(update={"joined": now.joined[len(offered.joined) :]})
        await asyncio.sleep(_POLL_SECONDS)


def _row(one: PeerNode) -> list[Text]:
    busy = ", ".join(
        f"{engine} {one.busy.get(engine, 0)}/{slots}" for engine, slots in one.slots.items() if one.busy.get(engine)
    )
    told = one.reason or one.paused_reason
    return [
        Text.assemble((clean(one.name), "bold"), " (this one)" if one.own else ""),
        Text(clean(one.address)),
        Text("paused" if one.paused and one.state is NodeState.ONLINE else one.state.value, style=_STYLES[one.state]),
        Text("" if one.age is None or one.own else f"{duration(one.age)} ago"),
        Text(clean(busy) or ("-" if one.state is NodeState.ONLINE else "")),
        Text(clean(one.app_version)),
        Text(clean(told)),
    ]
