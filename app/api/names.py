"""Under which names a node is called, and whether a client is on the same machine."""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache

from starlette.types import Scope

from app.settings import Settings


def own_names(settings: Settings) -> frozenset[str]:
    """The names under which a client may call this node, lower case, without ports."""
    machine = socket.gethostname().lower()
    short = machine.partition(".")[0]
    names = {"localhost", "127.0.0.1", "::1", machine, short, f"{short}.local", settings.host.lower()}
    for name in settings.allowed_hosts:
        names |= {name.lower(), host_name(name.encode("ascii", "replace"))}
    return frozenset(names - {"", "0.0.0.0", "::"})


def host_name(host: bytes) -> str:
    """The name in a ``Host`` header, lower case, without port, brackets and a trailing dot; empty if malformed.

    >>> host_name(b"Node-1.local:8080"), host_name(b"[::1]:80"), host_name(b"a@b")
    ('node-1.local', '::1', '')
    """
    text = host.decode("latin-1").lower()
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        well_formed = bracket and (not rest or (rest[0] == ":" and rest[1:].isdecimal()))
        return name if well_formed else ""
    name, colon, port = text.partition(":")
    if (colon and not port.isdecimal()) or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        return ""
    return name.removesuffix(".")


def is_loopback(scope: Scope) -> bool:
    """Whether the client is a program on this machine, by the address that it comes from."""
    client = scope.get("client")
    return client is not None and _is_loopback_address(client[0])


@lru_cache(1024)
def _is_loopback_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return bool((getattr(address, "ipv4_mapped", None) or address).is_loopback)


def is_address_of_socket(name: str, scope: Scope) -> bool:
    """Whether ``name`` is an address, and the one of ours that the client connected to."""
    server = scope.get("server")
    try:
        return server is not None and ipaddress.ip_address(name) == ipaddress.ip_address(server[0])
    except ValueError:
        return False
