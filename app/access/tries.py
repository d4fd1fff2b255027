"""How often an address may show a wrong secret.

The limit keeps guessing slow and logs short. Secrets that we make cannot be guessed at any rate, so a right one is let
in however many wrong ones came from its address: a broken script must not lock out the studio behind the same router.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

log = structlog.get_logger(__name__)

WINDOW_SECONDS: Final = 60.0
_MAX_ADDRESSES: Final = 4096
_IPV6_NETWORK: Final = 64


@dataclass(slots=True)
class _Window:
    since: float
    count: int = 0


class FailedTries:
    """Counts wrong secrets by address.

    Args:
        limit: how many an address may show in :data:`WINDOW_SECONDS`.
        clock: seconds that only ever grow; another one in tests.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def failed(self, address: str) -> int | None:
        """Count a wrong secret. Returns in how many seconds the next may come, if it was one too many; else None."""
        now = self._clock()
        key = network_of(address)
        window = self._windows.get(key)
        if window is None or now - window.since >= WINDOW_SECONDS:
            self._windows.pop(key, None)
            while len(self._windows) >= _MAX_ADDRESSES:
                del self._windows[next(iter(self._windows))]
            window = self._windows[key] = _Window(now)
        window.count += 1
        if window.count <= self._limit:
            return None
        if window.count == self._limit + 1:
            log.warning("an address shows wrong tokens", address=key, limit=self._limit)
        return max(1, math.ceil(window.since + WINDOW_SECONDS - now))


def network_of(address: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits, of which one machine has all addresses.

    >>> network_of("192.0.2.7"), network_of("2001:db8::1:2:3:4"), network_of("::ffff:192.0.2.7"), network_of("?")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7', '?')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found.packed, _IPV6_NETWORK), strict=False))
    return str(found)
