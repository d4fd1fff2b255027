"""What this process, which runs the node of a test, holds open."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see open files")
WORKERS = Counter({"pipe": 4})
"""Two workers with two pipes each are started when they are needed, and kept."""


def open_now() -> Counter[str]:
    """What is open, by kind or path."""
    found: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[str(entry.readlink()).partition(":[")[0]] += 1
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


async def closed_again(before: Counter[str], seconds: float = 60) -> None:
    """Wait until no more is open than before, but for workers: what was given up is ended in threads.

    Raises:
        TimeoutError: something stays open; a note says what.
    """
    more: Counter[str] = Counter()
    try:
        async with asyncio.timeout(seconds):
            while True:
                more = open_now() - before - WORKERS
                if not more:
                    return
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        error.add_note(f"still open: {dict(more)}")
        raise
