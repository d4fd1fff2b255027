"""What the attempts of a job have at the moment. Pure and immutable, as a record is.

A farm has thousands of attempts out at a time, and each of their events makes a new one of these: what is held, and
what is held twice, is therefore carried from one to the next, and never counted again over all attempts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from engines.frames import IndexSet

_NOTHING = IndexSet()


@dataclass(frozen=True, slots=True)
class RunningChunk:
    """A chunk that an attempt is rendering now. ``positions`` are those of its frames that are not yet verified."""

    attempt: str
    positions: IndexSet
    began: float | None = None  # seconds since 1970
    assembles: bool = False  # whether it puts the parts of the job together
    node: str = ""  # name of the node that renders it, if it is another one
    encoded: bytes | None = field(default=None, init=False, repr=False, compare=False)  # kept by app.jobs.codec


class Running:
    """The chunks of all attempts, in the order in which they began.

    Attributes:
        held: positions that some attempt has.
        shared: positions that more than one attempt has.
    """

    __slots__ = ("_chunks", "held", "shared")

    def __init__(self, chunks: Iterable[RunningChunk] = ()) -> None:
        by_attempt = {chunk.attempt: chunk for chunk in chunks}
        positions = [chunk.positions for chunk in by_attempt.values()]
        self._set(by_attempt, IndexSet.union(positions), IndexSet.shared(positions))

    def _set(self, chunks: dict[str, RunningChunk], held: IndexSet, shared: IndexSet) -> Running:
        self._chunks = chunks
        self.held = held
        self.shared = shared
        return self

    def __iter__(self) -> Iterator[RunningChunk]:
        return iter(self._chunks.values())

    def __len__(self) -> int:
        return len(self._chunks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Running) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Running({list(self)})"

    def get(self, attempt: str) -> RunningChunk | None:
        """What an attempt has; None: it is not, or no longer, the job's own."""
        return self._chunks.get(attempt)

    def positions(self, attempt: str) -> IndexSet:
        """The frames that an attempt still has to bring; none if it is not under way."""
        chunk = self._chunks.get(attempt)
        return _NOTHING if chunk is None else chunk.positions

    def only_of(self, attempt: str) -> IndexSet:
        """The frames that an attempt has and no other one."""
        return self.positions(attempt) - self.shared

    def begun(self, chunk: RunningChunk) -> Running:
        """A copy with one more, whose attempt is new."""
        shared = self.shared | (self.held & chunk.positions)
        return _of({**self._chunks, chunk.attempt: chunk}, self.held | chunk.positions, shared)

    def over(self, attempt: str) -> Running:
        """A copy without an attempt."""
        less = self.less(attempt, self.positions(attempt))
        chunks = less._chunks.copy()
        chunks.pop(attempt, None)
        return _of(chunks, less.held, less.shared)

    def less(self, attempt: str, positions: IndexSet) -> Running:
        """A copy in which an attempt does not have some of its frames any more; others that have them keep them."""
        chunk = self._chunks.get(attempt)
        gone = _NOTHING if chunk is None else chunk.positions & positions
        if chunk is None or not gone:
            return self
        chunks = self._chunks.copy()
        chunks[attempt] = replace(chunk, positions=chunk.positions - gone)
        shared = self.shared
        if twice := gone & shared:
            shared = (shared - twice) | IndexSet.shared(one.positions & twice for one in chunks.values())
        return _of(chunks, self.held - (gone - twice), shared)

    def through(self, positions: IndexSet, by: str) -> tuple[Running, tuple[str, ...]]:
        """A copy without frames that ``by`` is through with, and the attempts of which it takes the last ones."""
        twice = positions & self.shared
        robbed: list[str] = []
        chunks = self._chunks.copy()
        for chunk in self if twice else filter(None, [self.get(by)]):
            left = chunk.positions - positions
            if left == chunk.positions:
                continue
            chunks[chunk.attempt] = replace(chunk, positions=left)
            if not left and chunk.attempt != by:
                robbed.append(chunk.attempt)
        return _of(chunks, self.held - positions, self.shared - twice), tuple(robbed)


def _of(chunks: dict[str, RunningChunk], held: IndexSet, shared: IndexSet) -> Running:
    return Running.__new__(Running)._set(chunks, held, shared)


NOBODY = Running()
