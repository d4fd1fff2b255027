"""The pages of those who offer engines, each read once in a while and never waited for long."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import httpx

from app.installs.retries import Patience
from app.installs.transfer import fetch_text

KEPT_SECONDS: Final = 600.0
"""How long a page counts."""
AT_ONCE: Final = 6
"""How many pages of one source are asked for at the same time."""
PATIENCE: Final = Patience(stall=10.0, connect=5.0, tries=2, first_wait=0.3, longest_wait=1.0)
"""Somebody waits for the answer: who does not answer soon is told to be out of reach."""


class Pages:
    """See the module. One a source; for the event loop."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._known: dict[str, tuple[float, str]] = {}  # by URL: until when it counts (monotonic), text
        self._free = asyncio.Semaphore(AT_ONCE)

    async def read(self, url: str) -> str:
        """A page.

        Raises:
            SourceError: it did not come.
        """
        until, text = self._known.get(url, (0.0, ""))
        if time.monotonic() < until:
            return text
        async with self._free:
            text = await fetch_text(self._client, url, patience=PATIENCE)
        self._known[url] = (time.monotonic() + KEPT_SECONDS, text)
        return text
