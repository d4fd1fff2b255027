"""All commands under one name, and the options that come before them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli import addon, bench, changing, demo, doctor, explaining, fetching, listing, node, serve, submit
from app.cli.connect import Reach
from app.cli.engines import engines_commands
from app.cli.exits import EPILOG
from app.cli.farm import join, nodes, pair
from app.cli.token import login, token_commands
from app.version import APP_VERSION

application = typer.Typer(
    name="zordon",
    help="A render farm that sets itself up: Blender and FFmpeg jobs over all the machines of a small studio.",
    epilog=EPILOG,
    no_args_is_help=True,
    # A traceback with the values of every variable would show the token.
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"zordon {APP_VERSION}")
        raise typer.Exit


@application.callback()
def root(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option(help="Where the service is. (env: ZORDON_HOST; default: this machine)")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="(env: ZORDON_PORT; default: its own, or 8080)")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="(env: ZORDON_TOKEN; default: what the service on this machine keeps)")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(file_okay=False, help="Data folder of the service. (env: ZORDON_DATA_DIR)")
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="PEM file that the service's certificate is checked by. (env: ZORDON_CA)"),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Keep where the service is for the command that follows."""
    context.obj = Reach(host, port, token, data_dir, ca)


application.command("serve")(serve.serve)
application.command("submit")(submit.submit)
application.command("jobs")(listing.jobs)
application.command("watch")(listing.watch_jobs)
application.command("logs")(fetching.logs)
application.command("get")(fetching.get)
application.command("explain")(explaining.explain)
application.command("retry")(changing.retry)
application.command("set")(changing.set_job)
application.command("cancel")(changing.cancel)
application.command("delete")(changing.delete)
application.add_typer(engines_commands)
application.command("addon")(addon.addon)
application.command("status")(listing.status)
application.command("pause")(node.pause)
application.command("resume")(node.resume)
application.command("tags")(node.tags)
application.command("schedule")(node.schedule)
application.command("nodes")(nodes)
application.command("pair")(pair)
application.command("join")(join)
application.command("bench")(bench.bench)
application.command("demo")(demo.demo)
application.add_typer(token_commands)
application.command("login")(login)
application.command("doctor")(doctor.doctor)
