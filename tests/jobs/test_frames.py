"""Frame sets: the notation is fileseq's, the memory is ours."""

from __future__ import annotations

import fileseq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.frames import FrameSet, FrameSetError, IndexSet

positions = st.sets(st.integers(0, 40))  # up to 21 runs: few, and many


@pytest.mark.parametrize(
    "notation", ["1-100", "1-100x2", "1-10,20,30-40", "1-10y3", "1-10:3", "10-1", "-3--1", "5", "1-5,3-8", "1,3,2"]
)
def test_reads_what_fileseq_reads(notation: str) -> None:
    frames = FrameSet.parse(notation)
    assert list(frames) == list(fileseq.FrameSet(notation))
    assert list(FrameSet.parse(frames.notation())) == list(frames)


@pytest.mark.parametrize(
    ("notation", "story"),
    [
        ("", "empty"),
        (" , ", "empty"),
        ("1..5", "no frame set"),
        ("abc", "no frame set"),
        ("1-10x0", "no frame set"),
        ("1-3x0.5", "fractional"),
        ("1-10000001", "more than 10000000"),
        ("1-9999999y2", "write it as parts"),
        ("1-9999999,5-9999999", "more than"),
        ("99999999999", "beyond"),
        ("1," * 60_000, "longer than"),
    ],
)
def test_refuses_with_a_reason(notation: str, story: str) -> None:
    with pytest.raises(FrameSetError, match=story):
        FrameSet.parse(notation)


def test_ten_million_frames_are_a_few_objects() -> None:
    frames = FrameSet.parse("1-10000000")
    assert len(frames) == 10_000_000
    assert len(frames.runs) == 1
    assert frames.frame(9_999_999) == 10_000_000
    assert frames.notation(IndexSet.span(10, 19)) == "11-20"


@given(st.lists(st.integers(-20, 20), min_size=1, unique=True))
def test_any_frames_in_any_order_survive_the_notation(numbers: list[int]) -> None:
    frames = FrameSet.of(numbers)
    assert list(frames) == numbers
    assert list(FrameSet.parse(frames.notation())) == numbers
    assert [frames.frame(frames.position(number)) for number in numbers] == numbers


@given(positions, positions)
def test_index_sets_are_sets(left: set[int], right: set[int]) -> None:
    a, b = IndexSet.of(left), IndexSet.of(right)
    assert a | b == IndexSet.of(left | right)
    assert a - b == IndexSet.of(left - right)
    assert a & b == IndexSet.of(left & right)
    assert len(a) == len(left)
    assert all((number in a) == (number in left) for number in range(41))


@given(st.lists(positions, max_size=5))
def test_what_several_sets_share_is_what_more_than_one_has(sets: list[set[int]]) -> None:
    shared = {number for number in range(41) if sum(number in one for one in sets) > 1}
    assert IndexSet.shared(IndexSet.of(one) for one in sets) == IndexSet.of(shared)
    assert IndexSet.union(IndexSet.of(one) for one in sets) == IndexSet.of(number for one in sets for number in one)


@pytest.mark.parametrize("notation", ["9" * 400, "1-10x" + "9" * 400, "-" + "9" * 26])
def test_a_number_without_end_is_refused_like_any_other(notation: str) -> None:
    with pytest.raises(FrameSetError):
        FrameSet.parse(notation)
