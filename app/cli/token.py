"""``zordon token`` and ``zordon login``: who may use the node, and letting a browser in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from app.cli.connect import fail, on_node
from app.cli.exits import Exit
from app.cli.fetching import JsonOption
from app.cli.show import clean, console, dumped, errors, print_json
from client import RenderServerProxy
from client.models import AccessKind, LoginCode, MadeToken, Role, TokenInfo

token_commands = typer.Typer(
    name="token", help="Make, list and revoke the tokens of the node; for administrators.", no_args_is_help=True
)


@token_commands.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.")],
    role: Annotated[
        Role, typer.Option(help="read: look. submit: and submit jobs, cancel one's own. admin: everything.")
    ],
    days: Annotated[float | None, typer.Option(min=0.001, help="How long it is good for; else until revoked.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token. It is shown once, on stdout: nobody can find it out later."""

    async def work(node: RenderServerProxy) -> MadeToken:
        return await node.add_token(name, role, days)

    made = on_node(context, work)
    if as_json:
        print_json(dumped(made))
        return
    errors.print(
        Text(f"{clean(made.name)} ({made.id}) has the role {made.role.value}; keep this, it is not shown again:"),
        soft_wrap=True,
    )
    typer.echo(made.secret)


@token_commands.command("list")
def list_tokens(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the tokens, and the browsers that were let in."""

    async def work(node: RenderServerProxy) -> list[TokenInfo]:
        return await node.get_tokens()

    found = on_node(context, work)
    if as_json:
        print_json([dumped(token) for token in found])
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("Id", "Name", "Role", "Kind", "Made", "Until"):
        table.add_column(heading, overflow="fold")
    for token in found:
        table.add_row(
            Text(token.id, style="dim"),
            Text(clean(token.name), style="bold"),
            Text(token.role.value),
            Text(token.kind.value),
            Text(_moment(token.date_created)),
            Text(_moment(token.expires)),
        )
    console.print(table)


@token_commands.command("revoke")
def revoke(
    context: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id or its name.")],
) -> None:
    """Make a token or a browser's session worthless at once. Jobs that came with it go on."""

    async def work(node: RenderServerProxy) -> TokenInfo | None:
        # By name only what has a name of its own: sessions are called after whoever let them in.
        named = [
            one.id
            for one in await node.get_tokens()
            if token == one.id or (token == one.name and one.kind is not AccessKind.SESSION)
        ]
        return await node.revoke_token(named[0]) if named else None

    revoked = on_node(context, work)
    if revoked is None:
        fail(f"there is no token {token!r}; `zordon token list` has their names and ids", Exit.NOT_FOUND)
    console.print(Text(f"Revoked {clean(revoked.name)} ({revoked.id})"), soft_wrap=True)


def login(context: typer.Context, as_json: JsonOption = False) -> None:
    """Print an address that lets one browser in, once, within ten minutes."""

    async def work(node: RenderServerProxy) -> tuple[LoginCode, str]:
        code = await node.make_login_code()
        return code, f"{node.connection.url}/#code={code.code}"

    code, address = on_node(context, work)
    if as_json:
        print_json({"address": address, "code": code.code, "expires": code.expires.isoformat()})
    else:
        typer.echo(address)


def _moment(at: datetime | None) -> str:
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")
