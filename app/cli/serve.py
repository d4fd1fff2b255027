"""``zordon serve``: the one command that runs the service instead of talking to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.connect import fail, reach_of
from app.cli.exits import Exit


def serve(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on. (env: ZORDON_HOST; default: 127.0.0.1)")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one. (env: ZORDON_PORT; default: 8080)")
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Where jobs, outputs and engines are kept. (env: ZORDON_DATA_DIR)"),
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="What clients must show; made on first start if not given. (env: ZORDON_TOKEN)")
    ] = None,
    lan: Annotated[
        bool, typer.Option("--lan", help="Listen for the other machines of the studio. (env: ZORDON_LAN)")
    ] = False,
    peer: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST:PORT", help="Another node of the farm; may be repeated. (env: ZORDON_PEERS)"),
    ] = None,
    no_discovery: Annotated[
        bool, typer.Option("--no-discovery", help="Look for no nodes on the network. (env: ZORDON_DISCOVERY=false)")
    ] = False,
    tls_cert: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Certificate for HTTPS, a PEM file. (env: ZORDON_TLS_CERT)")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Its private key, a PEM file. (env: ZORDON_TLS_KEY)")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Add the debug routes. (env: ZORDON_DEBUG)")] = False,
) -> None:
    """Run the service on this machine until Ctrl-C.

    Every further setting is an environment variable ZORDON_… or a line of settings.yaml in the data folder.
    """
    # Imported here: the service brings FastAPI, FFmpeg and OpenImageIO, which no other command needs.
    from app.main import serve as run_service
    from app.settings import SettingsError, load_settings

    reach = reach_of(context)
    try:
        settings = load_settings(
            host=host if host is not None else reach.host,
            port=port if port is not None else reach.port,
            data_dir=data_dir or reach.data_dir,
            token=token or reach.token,
            lan=lan or None,
            peers=peer or None,
            discovery=False if no_discovery else None,
            tls_cert=tls_cert,
            tls_key=tls_key,
            debug=debug or None,
        )
    except SettingsError as error:
        fail(str(error), Exit.USAGE)
    try:
        run_service(settings)
    except SystemExit as end:
        # It has said why.
        raise typer.Exit(Exit.SERVER if end.code else Exit.OK) from None
