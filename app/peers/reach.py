"""Whether others reach this node, as far as its settings tell."""

from __future__ import annotations

from app.settings import Settings


def why_unreachable(settings: Settings) -> str:
    """Why other machines cannot reach this node; empty if nothing speaks against it."""
    if settings.lan or settings.public_address is not None:
        return ""
    return (
        f"this node listens on {settings.bind_host} only, where other machines do not reach it: start it with "
        "`zordon serve --lan`"
    )
