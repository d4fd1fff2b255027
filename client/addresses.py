"""Where a node is: ``host:port``, ``[::1]:8080``, ``https://render-3:8443``."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from .connection import DEFAULT_PORT

_HOST: Final = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]{1,16})?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Host without brackets, port, and the scheme if it is known; else both are tried."""

    host: str
    port: int
    scheme: str | None = None

    @property
    def place(self) -> str:
        """``host:port``, for people and as a key."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on whatever machine it is called from."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return self.place if self.scheme != "https" else f"https://{self.place}"


def parse_address(text: str) -> Address:
    """Read an address; without a port it is the one that nodes have by themselves.

    Raises:
        ValueError: it is none.
    """
    before, separator, after = text.strip().partition("://")
    scheme, rest = (before.lower(), after.rstrip("/")) if separator else (None, before)
    if scheme not in (None, "http", "https"):
        raise ValueError(f"{text[:80]!r} is no address of a node: http:// and https:// are known, and no other scheme")
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        well_formed = bool(bracket) and ":" in host and (not port or port[0] == ":")
        port = port[1:]
    elif rest.count(":") > 1:
        host, port, well_formed = rest, "", True
    else:
        host, colon, port = rest.partition(":")
        well_formed = not colon or bool(port)
    if not well_formed or _HOST.fullmatch(host) is None or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise ValueError(
            f"{text[:80]!r} is no address of a node: write HOST:PORT, such as render-2:8080 or [fe80::1]:8080"
        )
    return Address(host.lower(), int(port) if port else DEFAULT_PORT, scheme)
