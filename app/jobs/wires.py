"""The wire bytes of all jobs, each kept once.

The list of all jobs would be a second copy of every one of them, made anew after every change. So jobs stand side by
side in blocks: the list is the blocks one after the other, and a change costs one block.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

BLOCK_JOBS: Final = 128
"""So many jobs have a block together: a list of ten thousand is eighty pieces, and one job is found in microseconds."""
_MOST_FRESH: Final = 32


class _Block:
    """Some jobs, in the order of submission.

    ``text`` has the first ``len(ends)`` of them, each with a comma before it, up to its end in ``ends``. What is in
    ``fresh`` is newer than the text.
    """

    __slots__ = ("ends", "fresh", "ids", "text")

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.ends = array("L")
        self.text = b""
        self.fresh: dict[str, bytes] = {}

    def wire(self, job_id: str) -> bytes:
        fresh = self.fresh.get(job_id)
        return self._kept(self.ids.index(job_id)) if fresh is None else fresh

    def wires(self) -> Iterator[bytes]:
        for at, job_id in enumerate(self.ids):
            fresh = self.fresh.get(job_id)
            yield self._kept(at) if fresh is None else fresh

    def put(self, job_id: str, wire: bytes) -> None:
        self.fresh[job_id] = wire
        if len(self.fresh) >= _MOST_FRESH:
            self.settle()

    def remove(self, job_id: str) -> None:
        self.settle()
        wires = list(self.wires())
        at = self.ids.index(job_id)
        del self.ids[at], wires[at]
        self._write(wires)

    def settle(self) -> None:
        """Bring what is fresh into the text."""
        if self.fresh:
            self._write(list(self.wires()))
            self.fresh = {}

    def _write(self, wires: list[bytes]) -> None:
        self.text = b"".join([part for wire in wires for part in (b",", wire)])
        end = 0
        self.ends = array("L", [end := end + 1 + len(wire) for wire in wires])

    def _kept(self, at: int) -> bytes:
        return self.text[1 + (self.ends[at - 1] if at else 0) : self.ends[at]]


class Wires:
    """JSON by job id, in the order in which the jobs came."""

    def __init__(self) -> None:
        self._blocks: list[_Block] = []
        self._block_of: dict[str, _Block] = {}

    def __len__(self) -> int:
        return len(self._block_of)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._block_of

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            yield from block.wires()

    def get(self, job_id: str) -> bytes | None:
        """The bytes of one job; None if there is none of this id."""
        block = self._block_of.get(job_id)
        return None if block is None else block.wire(job_id)

    def put(self, job_id: str, wire: bytes) -> None:
        """Keep a new job, or what one is now."""
        block = self._block_of.get(job_id)
        if block is None:
            if not self._blocks or len(self._blocks[-1].ids) >= BLOCK_JOBS:
                self._blocks.append(_Block())
            block = self._block_of[job_id] = self._blocks[-1]
            block.ids.append(job_id)
        block.put(job_id, wire)

    def remove(self, job_id: str) -> bool:
        """Forget a job; False if there is none of this id."""
        block = self._block_of.pop(job_id, None)
        if block is None:
            return False
        block.remove(job_id)
        if not block.ids:
            self._blocks.remove(block)
        return True

    def texts(self) -> list[bytes]:
        """All jobs in their order, as pieces to be sent one after the other, each job with a comma before it."""
        for block in self._blocks:
            block.settle()
        return [block.text for block in self._blocks]
