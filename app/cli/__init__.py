"""The ``zordon`` command; talks to the service through ``client/``, as any user would."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the console script."""
    # Imported here: a program that imports a part of this package must not pay for all commands.
    from app.cli.application import application

    application()
