"""``zordon engines``: what is installed, what could be, fetching and removing versions."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from app.cli.connect import fail, on_node
from app.cli.exits import Exit
from app.cli.fetching import JsonOption
from app.cli.show import age, clean, console, dumped, errors, print_json, size
from client import RenderServerProxy
from client.models import EngineDetail, EnginePruned, EngineReleases, Install, InstallState

EngineArgument = Annotated[str, typer.Argument(metavar="ENGINE", help="Such as blender or ffmpeg.")]
VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="4.5.3, or 4.5 for the newest of that series.")]

_INSTALL_SHOWN: Final = 10

engines_commands = typer.Typer(
    name="engines", help="List the engines of the node; fetch and remove versions of them.", invoke_without_command=True
)


@engines_commands.callback()
def engines(
    context: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="With extensions, output formats and options.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the engines of the node and their installed versions."""
    if context.invoked_subcommand is not None:
        return

    async def work(node: RenderServerProxy) -> tuple[dict[str, EngineDetail], list[Install]]:
        return await node.get_engines("full" if full else "standard"), await node.get_installs()

    found, installs = on_node(context, work)
    if as_json:
        print_json({name: dumped(engine) for name, engine in found.items()})
        return
    console.print(_installed(found))
    if full:
        console.print()
        console.print(_abilities(found))
    for install in installs:
        if not install.state.ended:
            share = "" if install.percent_complete is None else f" ({install.percent_complete:.0f} %)"
            console.print(Text(f"{install.engine} {install.version} {clean(install.reason)}{share}", style="cyan"))


@engines_commands.command("available")
def available(
    context: typer.Context,
    engine: EngineArgument,
    show_all: Annotated[bool, typer.Option("--all", help="Every version, not just the newest ones.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the versions that can be fetched, newest first."""

    async def work(node: RenderServerProxy) -> EngineReleases:
        return await node.get_available_engines(engine)

    found = on_node(context, work)
    if as_json:
        print_json(dumped(found))
        return
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("Version", "", "From", "Size", ""):
        table.add_column(heading)
    shown = found.releases if show_all else found.releases[:_INSTALL_SHOWN]
    for release in shown:
        table.add_row(
            Text(release.version, style="bold"),
            Text("LTS" if release.lts else "", style="green"),
            Text(release.source),
            Text("" if release.size is None else size(release.size)),
            Text("installed" if release.installed else "", style="dim"),
        )
    if found.releases:
        console.print(table)
    else:
        console.print(f"Nobody offers {clean(engine)} for this node.")
    if len(shown) < len(found.releases):
        console.print(f"… and {len(found.releases) - len(shown)} older ones; --all shows them.", style="dim")
    for source, reason in found.troubles.items():
        errors.print(Text(f"{source} could not be asked: {clean(reason)}", style="yellow"), soft_wrap=True)


@engines_commands.command("install")
def install(
    context: typer.Context,
    engine: EngineArgument,
    version: VersionArgument,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until it is installed.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Fetch a version, and watch it come. Interrupted, it goes on by itself."""

    async def work(node: RenderServerProxy) -> Install:
        begun = await node.download_engine(engine, version)
        if begun.state.ended or not wait:
            return begun
        return await _follow(node, begun, quiet=as_json)

    ended = on_node(context, work, on_interrupt="interrupted; the node goes on fetching it")
    if as_json:
        print_json(dumped(ended))
    elif ended.state is InstallState.INSTALLED:
        console.print(Text(f"{ended.engine} {ended.version} is installed: {clean(ended.reason)}"), soft_wrap=True)
    elif not ended.state.ended:
        console.print(
            Text(f"{ended.engine} {ended.version} {clean(ended.reason)}; `zordon engines` shows how far it is")
        )
    if ended.state in (InstallState.FAILED, InstallState.CANCELLED):
        fail(f"{ended.engine} {ended.version} is not installed: {ended.reason}", Exit.FAILED)


@engines_commands.command("remove")
def remove(context: typer.Context, engine: EngineArgument, version: VersionArgument) -> None:
    """Delete a version that Zordon has fetched. Copies that others installed are not touched."""

    async def work(node: RenderServerProxy) -> str:
        return await node.delete_engine_download(engine, version)

    on_node(context, work)
    console.print(Text(f"Removed {clean(engine)} {clean(version)}"))


@engines_commands.command("prune")
def prune(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    unused_days: Annotated[
        float | None, typer.Option(min=0, help="Unused for so many days; else as the settings of the node say.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(min=0, help="GB that may stay; else as the settings of the node say.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Delete fetched versions that nobody has used for long, until the rest is within the budget."""

    async def work(node: RenderServerProxy) -> EnginePruned:
        most = None if budget is None else int(budget * 1e9)
        return await node.prune_engines(dry_run=dry_run, unused_days=unused_days, budget_bytes=most)

    done = on_node(context, work)
    if as_json:
        print_json(dumped(done))
        return
    for name in done.removed:
        console.print(Text(f"{'Would remove' if dry_run else 'Removed'} {clean(name)}"))
    for name, reason in done.kept.items():
        console.print(Text(f"Kept {clean(name)}: {clean(reason)}", style="dim"))
    console.print(f"{size(done.bytes_freed)} {'would be' if dry_run else 'are'} free again.")


async def _follow(node: RenderServerProxy, begun: Install, *, quiet: bool) -> Install:
    """Show an install until it has ended. It comes with the deltas of the job list."""
    name = f"{begun.engine} {begun.version}"
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as bars:
        bar = bars.add_task(name, total=None)
        said, token, one = "", "", begun
        while not one.state.ended:
            bars.update(
                bar, description=f"{name}: {one.state.value}", completed=one.bytes_done, total=one.bytes_total or None
            )
            if not console.is_terminal and not quiet and said != one.state.value:
                said = one.state.value
                console.print(Text(f"{name} {clean(one.reason)}"), soft_wrap=True)
            delta = await node.long_poll_delta(token)
            if delta is None:
                continue
            token = delta.token
            moved = [install for install in delta.installs if install.id == one.id]
            one = moved[-1] if moved else await node.get_install(one.id) if delta.full else one
    return one


def _installed(found: dict[str, EngineDetail]) -> Table:
    """One row a copy."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("Engine", "Version", "Kind", "Size", "Last used", "Where"):
        table.add_column(
            heading, overflow="fold", no_wrap=heading != "Where", justify="right" if heading == "Size" else "left"
        )
    for name, engine in found.items():
        label = Text(name, style="bold")
        for copy in engine.versions:
            version = copy.version if not copy.base_version else f"{copy.version} ({copy.base_version})"
            used = "" if copy.last_used is None else f"{age(copy.last_used)} ago"
            taken = "" if copy.size is None else size(copy.size)
            table.add_row(label, clean(version), copy.type, taken, used, Text(clean(copy.path), style="dim"))
            label = Text()
        for broken in engine.unusable or []:
            where = Text(f"{clean(broken.path)}: {clean(broken.reason)}", style="yellow")
            table.add_row(label, clean(broken.name or "?"), broken.type, "", "does not work", where)
            label = Text()
        if not engine.versions:
            table.add_row(label, "none", "", "", "", Text(clean(engine.reason), style="yellow"))
    return table


def _abilities(found: dict[str, EngineDetail]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for heading in ("Engine", "Opens", "Writes", "Options"):
        table.add_column(heading, overflow="fold")
    for name, engine in found.items():
        table.add_row(
            Text(name, style="bold"),
            Text(" ".join(engine.supported_extensions or [])),
            Text(", ".join(engine.supported_export_formats or [])),
            Text(", ".join(_option_names(engine))),
        )
    return table


def _option_names(engine: EngineDetail) -> list[str]:
    properties = (engine.options or {}).get("properties")
    return sorted(properties) if isinstance(properties, dict) else []
