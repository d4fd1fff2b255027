"""One-time codes that let a browser in. They live for minutes and in memory only: a restart makes them worthless.

The code comes to the browser behind the ``#`` of an address, which no browser sends to anybody; the page trades it
for a cookie that scripts cannot read.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from app.access.identity import Identity
from app.access.tokens import digest_of

CODE_SECONDS: Final = 600.0
_MAX_OPEN: Final = 20
"""The oldest code goes when one more is made."""


class LoginCodes:
    """The codes that nobody has used yet.

    Args:
        clock: seconds that only ever grow; another one in tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[bytes, tuple[Identity, float]] = {}

    def make(self, by: Identity) -> str:
        """A new code, good for :data:`CODE_SECONDS`. The session that it begins is ended when ``by`` is revoked."""
        code = secrets.token_urlsafe(32)
        while len(self._open) >= _MAX_OPEN:
            del self._open[next(iter(self._open))]
        self._open[digest_of(code.encode())] = (by, self._clock() + CODE_SECONDS)
        return code

    def take(self, code: str) -> Identity | None:
        """Who made this code; None if it is none, was used, is too old, or whoever made it was revoked meanwhile."""
        by, until = self._open.pop(digest_of(code.encode()), (None, 0.0))
        if by is None or self._clock() >= until or not by.good(time.time()):
            return None
        return by
