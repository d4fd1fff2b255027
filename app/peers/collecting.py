"""Brings outputs home from another node: each is fetched once, taken up where a broken connection left it, and compared
with what that node says of it. What verifies and keeps it is the same as for a frame that was rendered here."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import httpx
from pydantic import TypeAdapter

from app.peers.client import PeerClient
from client.connection import read, worth_repeating
from client.errors import TransferFailed, ZordonError
from client.models import OutputEntry
from engines.contract import ExpectedOutput, VideoCheck

PIECE: Final = 1 << 18
"""How much is hashed and written at a time, in bytes."""
TRIES: Final = 6
STREAM_SECONDS: Final = 20.0
"""So long a node may send nothing of a file."""
_PAUSES: Final = (0.1, 0.3, 1.0, 2.0, 2.0)
_OUTPUTS: Final = TypeAdapter(list[OutputEntry])
_RANGE: Final = re.compile(r"\Abytes (\d+)-\d+/(\d+)\Z")


async def outputs_of(client: PeerClient, subjob: str) -> list[OutputEntry]:
    """The verified outputs that a subjob has on its node.

    Raises:
        ZordonError: they cannot be had.
    """
    return read(_OUTPUTS, await client.get(f"/api/jobs/{quote(subjob, safe='')}/manifest"))


async def fetch(ask: Callable[[], PeerClient], subjob: str, entry: OutputEntry, target: Path) -> None:
    """Fetch one output.

    Args:
        ask: gives what asks the node; again for every try, for it may have moved.
        target: the file to write; its folder is there.

    Raises:
        ZordonError: it did not come, or is not what the node said it is.
        OSError: it cannot be written.
    """
    got = _Got(target)
    path = f"/api/jobs/{quote(subjob, safe='')}/download?{urlencode({'filename': entry.name})}"
    try:
        for pause in (*_PAUSES, None):
            try:
                await _go_on(ask(), path, entry, got)
                break
            except ZordonError as error:
                if pause is None or not worth_repeating(error):
                    raise
                await asyncio.sleep(pause)
    finally:
        await asyncio.to_thread(got.close)
    if got.hash.hexdigest() != entry.sha256:
        raise TransferFailed(f"{entry.name} came damaged: it has not the SHA-256 that its node says")


class _Got:
    """What has come of a file."""

    def __init__(self, target: Path) -> None:
        self.size = 0
        self.hash = hashlib.sha256()
        self._file = target.open("wb")

    def add(self, data: bytes) -> None:
        """Hash and write a piece. For a thread, if it is large."""
        self.hash.update(data)
        self._file.write(data)
        self.size += len(data)

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._file.close()


async def _go_on(client: PeerClient, path: str, entry: OutputEntry, got: _Got) -> None:
    headers = {"Accept-Encoding": "identity"}
    if got.size:
        headers["Range"] = f"bytes={got.size}-"
    async with client.stream(path, headers, timeout=STREAM_SECONDS) as response:
        if got.size:
            match = _RANGE.match(response.headers.get("Content-Range", ""))
            if response.status_code != 206 or match is None or int(match[1]) != got.size:
                raise TransferFailed(f"{entry.name} cannot be taken up in the middle")
        held = bytearray()
        try:
            async for some in response.aiter_raw():
                held += some
                if got.size + len(held) > entry.size:
                    raise TransferFailed(f"{entry.name} has more than the {entry.size} bytes that its node says")
                if len(held) >= PIECE:
                    piece, held = bytes(held), bytearray()
                    await asyncio.to_thread(got.add, piece)
        except httpx.TransportError:
            got.add(bytes(held))  # the rest of it is asked for next
            raise
        got.add(bytes(held))
    if got.size != entry.size:
        raise TransferFailed(f"{entry.name}: {got.size} of {entry.size} bytes came")


def as_fetched(part: ExpectedOutput) -> ExpectedOutput:
    """What is looked for in a part that another node has sent. It was decoded there, and has the SHA-256 that it had
    then: decoding every picture again would take a twentieth of the time of encoding it, and show nothing new."""
    if not isinstance(part.check, VideoCheck) or part.check.frames is None:  # the sound is cheap, and has no pictures
        return part
    return replace(part, check=replace(part.check, decode=False))
