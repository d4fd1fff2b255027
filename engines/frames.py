"""Frame sets in the field's notation, compact enough for ten million frames.

fileseq owns the notation (``1-100``, ``1-100x2``, ``1-10,20,30-40``, ``1-10y3``, ``1-10:3``); this module keeps what it
parsed as a few Python ``range`` objects in render order, so that a job of ten million frames costs as much as one of
ten. Which of a job's frames are done, running or failed is an :class:`IndexSet` over positions in that order: sorted,
disjoint intervals, whatever the steps of the notation were.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from fileseq.exceptions import MaxSizeException, ParseException
from fileseq.frameset import FrameSet as NotedFrameSet

MAX_FRAMES = 10_000_000
"""The most frames a job may have."""

MAX_EXPANDED = 100_000
"""The most frames a notation may have that must be written out one by one (``y``, ``:``, overlapping parts)."""

MAX_NOTATION = 100_000
"""The most characters of a frame notation that are looked at."""

MAX_FRAME_NUMBER = 999_999_999
"""The largest frame number, either side of zero, that any engine or file name here has to carry."""

_FEW = 8
"""So few spans are put into thousands, or cut out of them, one by one: the others are copied, and not looked at."""
_BEYOND = 1 << 62

_ENDLESS = re.compile(r"\d{25}")
_PART = re.compile(r"\A(-?\d+)(?:-(-?\d+)(?:([xy:])(\d+))?)?\Z", re.ASCII)
_LONGEST_PART = 60
_EXAMPLES = "write frames as 1-100, 1-100x2 or 1-10,20,30-40"


class FrameSetError(ValueError):
    """The text is no frame set, is empty, or has too many frames."""


@dataclass(frozen=True, slots=True)
class IndexSet:
    """A set of positions ``0…n-1`` as sorted, disjoint, non-touching intervals ``(first, last)``, both included."""

    spans: tuple[tuple[int, int], ...] = ()

    @staticmethod
    def of(positions: Iterable[int]) -> IndexSet:
        """The set of these positions, in any order, repeated or not."""
        spans: list[tuple[int, int]] = []
        for position in sorted(positions):
            if spans and position <= spans[-1][1] + 1:
                spans[-1] = (spans[-1][0], max(spans[-1][1], position))
            else:
                spans.append((position, position))
        return IndexSet(tuple(spans))

    @staticmethod
    def span(first: int, last: int) -> IndexSet:
        """The positions from ``first`` to ``last``, both included; empty if ``last < first``."""
        return IndexSet(((first, last),) if last >= first else ())

    @staticmethod
    def union(sets: Iterable[IndexSet]) -> IndexSet:
        """All positions of all these sets: what a chain of ``|`` gives, for thousands of them at once."""
        merged: list[tuple[int, int]] = []
        for first, last in sorted(span for one in sets for span in one.spans):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        return IndexSet(tuple(merged))

    @staticmethod
    def shared(sets: Iterable[IndexSet]) -> IndexSet:
        """The positions that more than one of these sets has."""
        twice: list[IndexSet] = []
        reached: tuple[int, int] | None = None
        for first, last in sorted(span for one in sets for span in one.spans):
            if reached is not None and first <= reached[1]:
                twice.append(IndexSet.span(first, min(last, reached[1])))
            if reached is None or last > reached[1]:
                reached = (first, last)
        return IndexSet.union(twice)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.spans)

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.spans:
            yield from range(first, last + 1)

    def __contains__(self, position: int) -> bool:
        at = bisect_right(self.spans, (position, _BEYOND)) - 1
        return at >= 0 and self.spans[at][0] <= position <= self.spans[at][1]

    def __or__(self, other: IndexSet) -> IndexSet:
        if not other.spans:
            return self
        few, many = (self.spans, other.spans) if len(self.spans) <= len(other.spans) else (other.spans, self.spans)
        if len(few) > _FEW:
            return IndexSet.union((self, other))
        for first, last in few:
            begin, end = _touched(many, first - 1, last + 1)
            if begin < end:
                first, last = min(first, many[begin][0]), max(last, many[end - 1][1])
            many = (*many[:begin], (first, last), *many[end:])
        return IndexSet(many)

    def __sub__(self, other: IndexSet) -> IndexSet:
        if not self.spans or not other.spans:
            return self
        if len(other.spans) > _FEW:
            return IndexSet(tuple(piece for span in self.spans for piece in _rest(span, other.spans)))
        left = self.spans
        for first, last in other.spans:
            begin, end = _touched(left, first, last)
            if begin < end:
                pieces = [piece for span in left[begin:end] for piece in _rest(span, ((first, last),))]
                left = (*left[:begin], *pieces, *left[end:])
        return IndexSet(left)

    def __and__(self, other: IndexSet) -> IndexSet:
        few, many = (self.spans, other.spans) if len(self.spans) <= len(other.spans) else (other.spans, self.spans)
        kept: list[tuple[int, int]] = []
        for first, last in few:
            begin, end = _touched(many, first, last)
            kept += [(max(first, span[0]), min(last, span[1])) for span in many[begin:end]]
        return IndexSet(tuple(kept))

    def first_run(self, most: int) -> IndexSet:
        """The first unbroken run of positions, cut to at most ``most`` of them."""
        if not self.spans:
            return self
        first, last = self.spans[0]
        return IndexSet(((first, min(last, first + most - 1)),))

    def first(self, most: int) -> IndexSet:
        """The first ``most`` positions, or all of them if there are no more."""
        kept: list[tuple[int, int]] = []
        for first, last in self.spans:
            if most <= 0:
                break
            kept.append((first, min(last, first + most - 1)))
            most -= last - first + 1
        return IndexSet(tuple(kept))

    def last(self, most: int) -> IndexSet:
        """The last ``most`` positions, or all of them if there are no more."""
        kept: list[tuple[int, int]] = []
        for first, last in reversed(self.spans):
            if most <= 0:
                break
            kept.append((max(first, last - most + 1), last))
            most -= last - first + 1
        return IndexSet(tuple(reversed(kept)))


Spans = tuple[tuple[int, int], ...]


def _touched(spans: Spans, first: int, last: int) -> tuple[int, int]:
    """Which of sorted spans have a position from ``first`` to ``last``: from which, and up to which (excluded)."""
    begin = bisect_right(spans, (first, _BEYOND))
    if begin and spans[begin - 1][1] >= first:
        begin -= 1
    return begin, bisect_right(spans, (last, _BEYOND), begin)


def _rest(span: tuple[int, int], cuts: Spans) -> Iterator[tuple[int, int]]:
    """What sorted cuts leave of a span."""
    first, last = span
    for number in range(*_touched(cuts, first, last)):
        if cuts[number][0] > first:
            yield first, cuts[number][0] - 1
        first = cuts[number][1] + 1
    if first <= last:
        yield first, last


@dataclass(frozen=True)
class FrameSet:
    """The distinct frames of a job, in the order in which they are rendered.

    ``runs`` are non-empty, disjoint ranges of frame numbers (steps of any sign, never 0).
    """

    runs: tuple[range, ...]

    @staticmethod
    def parse(notation: str) -> FrameSet:
        """Read the field's notation.

        Raises:
            FrameSetError: it does not parse, names no frame, or more than :data:`MAX_FRAMES`.
        """
        text = "".join(notation.split())
        if not text.strip(","):
            raise FrameSetError(f"the frame set is empty: {_EXAMPLES}")
        if len(text) > MAX_NOTATION:
            raise FrameSetError(f"the frame set is longer than {MAX_NOTATION} characters: {_EXAMPLES}")
        if simple := _simple_runs(text):
            return FrameSet(simple)
        if _ENDLESS.search(text):  # fileseq's decimals give up on it with an error of their own
            raise FrameSetError(f"{text[:60]!r} has a frame number beyond {MAX_FRAME_NUMBER}")
        try:
            parsed = NotedFrameSet(text)
        except (MaxSizeException, ParseException, ValueError, ArithmeticError) as error:
            raise FrameSetError(f"{text[:60]!r} is no frame set: {_EXAMPLES}") from error
        runs = _runs_of(int(frame) for frame in parsed)
        if not runs:  # 5-5y1: every frame but each one
            raise FrameSetError(f"{text[:60]!r} names no frame: {_EXAMPLES}")
        return FrameSet(runs)

    @staticmethod
    def of(frames: Iterable[int]) -> FrameSet:
        """The set of these frames, in this order; repeated ones count once.

        Raises:
            FrameSetError: there are none.
        """
        runs = _runs_of(dict.fromkeys(frames))
        if not runs:
            raise FrameSetError(f"the frame set is empty: {_EXAMPLES}")
        return FrameSet(runs)

    @staticmethod
    def between(start: int, end: int, step: int = 1) -> FrameSet:
        """The frames from ``start`` to ``end``, both included.

        Raises:
            FrameSetError: ``end`` is before ``start``, ``step`` is below 1, or there are more than :data:`MAX_FRAMES`.
        """
        if step < 1:
            raise FrameSetError(f"the frame step is {step}; it must be 1 or more")
        if end < start:
            raise FrameSetError(f"the last frame ({end}) is before the first ({start})")
        frames = range(start, end + 1, step)
        if len(frames) > MAX_FRAMES:
            raise FrameSetError(f"{start}-{end} has more than {MAX_FRAMES} frames")
        return FrameSet((frames,))

    @cached_property
    def _offsets(self) -> tuple[int, ...]:
        offsets = [0]
        for run in self.runs:
            offsets.append(offsets[-1] + len(run))
        return tuple(offsets)

    def __len__(self) -> int:
        return self._offsets[-1]

    def __iter__(self) -> Iterator[int]:
        for run in self.runs:
            yield from run

    def __contains__(self, frame: int) -> bool:
        return any(frame in run for run in self.runs)

    def frame(self, position: int) -> int:
        """The frame number at a position.

        Raises:
            IndexError: there is no such position.
        """
        if not 0 <= position < len(self):
            raise IndexError(position)
        at = bisect_right(self._offsets, position) - 1
        return self.runs[at][position - self._offsets[at]]

    def position(self, frame: int) -> int:
        """The position of a frame number.

        Raises:
            ValueError: the frame is not in the set.
        """
        for offset, run in zip(self._offsets, self.runs, strict=False):
            if frame in run:
                return offset + run.index(frame)
        raise ValueError(f"frame {frame} is not in {self.notation()}")

    def positions(self, frames: Iterable[int]) -> IndexSet:
        """The positions of those of ``frames`` that are in the set; others are left out."""
        return IndexSet.of(self.position(frame) for frame in frames if frame in self)

    def all_positions(self) -> IndexSet:
        """Every position of the set."""
        return IndexSet.span(0, len(self) - 1)

    def has_positions(self, positions: IndexSet) -> bool:
        """Whether all of these are positions of the set."""
        return not positions or (positions.spans[0][0] >= 0 and positions.spans[-1][1] < len(self))

    def frames_at(self, positions: IndexSet) -> tuple[int, ...]:
        """The frame numbers at these positions, in render order."""
        return tuple(frame for run in self._slices(positions) for frame in run)

    def notation(self, positions: IndexSet | None = None) -> str:
        """The set, or the part of it at ``positions``, as text that :meth:`parse` reads; ``""`` if there is nothing."""
        return self._notation if positions is None else _text(self._slices(positions))

    @cached_property
    def _notation(self) -> str:
        return _text(self.runs)

    @cached_property
    def lowest(self) -> int:
        """The smallest frame number."""
        return min(min(run[0], run[-1]) for run in self.runs)

    @cached_property
    def highest(self) -> int:
        """The largest frame number."""
        return max(max(run[0], run[-1]) for run in self.runs)

    def _slices(self, positions: IndexSet) -> Iterator[range]:
        for first, last in positions.spans:
            at = bisect_right(self._offsets, first) - 1
            while at < len(self.runs) and self._offsets[at] <= last:
                offset = self._offsets[at]
                yield self.runs[at][max(0, first - offset) : last - offset + 1]
                at += 1


def _simple_runs(text: str) -> tuple[range, ...] | None:
    """The runs of a notation of disjoint plain and stepped parts, or None where fileseq has to write frames out.

    Raises:
        FrameSetError: a part is no notation, or the parts have more frames than allowed.
    """
    runs: list[range] = []
    written_out = total = 0
    for part in text.split(","):
        if not part:
            continue
        match = _PART.match(part)
        if match is None or len(part) > _LONGEST_PART:
            # fileseq takes more than that (``1-10#``), and would write ten million frames out one by one.
            fractional = re.search(r"\d\.\d", part) is not None
            what = "has fractional frames; frames are whole numbers" if fractional else "is no frame set"
            raise FrameSetError(f"{text[:60]!r} {what}: {_EXAMPLES}")
        start, kind = int(match[1]), match[3]
        end = int(match[2]) if match[2] is not None else start
        step = int(match[4]) if match[4] is not None else 1
        if step < 1:
            raise FrameSetError(f"{text[:60]!r} is no frame set, a step is 1 or more: {_EXAMPLES}")
        count = abs(end - start) // (1 if kind in ("y", ":") else step) + 1
        total += count
        written_out += count if kind in ("y", ":") else 0
        if total > MAX_FRAMES:
            raise FrameSetError(f"{text[:60]!r} has more than {MAX_FRAMES} frames")
        if max(abs(start), abs(end)) > MAX_FRAME_NUMBER:
            raise FrameSetError(f"{text[:60]!r} has a frame number beyond {MAX_FRAME_NUMBER}")
        sign = 1 if end >= start else -1
        runs.append(range(start, end + sign, step * sign))
    ordered = sorted((min(run[0], run[-1]), max(run[0], run[-1])) for run in runs)
    overlapping = any(after[0] <= before[1] for before, after in pairwise(ordered))
    if not (written_out or overlapping):
        return tuple(runs)
    if total > MAX_EXPANDED:
        raise FrameSetError(
            f"{text[:60]!r} overlaps or staggers more than {MAX_EXPANDED} frames; write it as parts that do not overlap"
        )
    return None


def _runs_of(frames: Iterable[int]) -> tuple[range, ...]:
    """Distinct frame numbers, in order, as the fewest ranges a greedy reader finds."""
    runs: list[range] = []
    pending: list[int] = []
    step = 0
    for frame in frames:
        if len(pending) >= 2 and frame - pending[-1] != step:
            # Two frames alone are no stepped run: the second may begin the next one.
            keep = len(pending) if len(pending) > 2 or step == 1 else 1
            runs.append(range(pending[0], pending[keep - 1] + (1 if step > 0 else -1), step))
            pending = pending[keep:]
        pending.append(frame)
        if len(pending) >= 2:
            step = pending[-1] - pending[-2]
        if len(pending) > 3:
            del pending[1:-2]
    if len(pending) == 2 and step != 1:
        runs += [range(frame, frame + 1) for frame in pending]
    elif pending:
        sign = step if len(pending) > 1 else 1
        runs.append(range(pending[0], pending[-1] + (1 if sign > 0 else -1), sign))
    return tuple(runs)


def _text(runs: Iterable[range]) -> str:
    return ",".join([_run_text(run) for run in runs])


def _run_text(run: range) -> str:
    if len(run) == 1:
        return str(run[0])
    if abs(run.step) == 1:
        return f"{run[0]}-{run[-1]}"
    return f"{run[0]}-{run[-1]}x{abs(run.step)}" if len(run) > 2 else f"{run[0]},{run[-1]}"
