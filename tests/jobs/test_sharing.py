"""The arithmetic of shares: what it promises for any slots, and what it says in the cases that it is for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.record import JobSpec
from app.jobs.sharing import (
    FIRST_SHARE,
    HANDOVER_SECONDS,
    LAST_STARTS,
    MAX_FAILURES,
    PATIENCE_SECONDS,
    STARTS,
    Busy,
    Hand,
    Late,
    Standing,
    Takeover,
    Workforce,
    share,
    takeover,
    too_many,
    unfit,
)
from engines.frames import FrameSet, IndexSet

seconds = st.none() | st.floats(0.001, 5000)


@dataclass(frozen=True)
class Node:
    slots: dict[str, int] = field(default_factory=lambda: {"testpattern": 1})
    engines: dict[str, list[str]] = field(default_factory=lambda: {"testpattern": ["1"]})
    tags: tuple[str, ...] = ()
    memory_total: int = 1 << 34
    paused: bool = False
    paused_reason: str = ""


SPEC = JobSpec(
    id="j",
    name="a job",
    engine="testpattern",
    engine_version="1",
    engine_version_reason="",
    frames=FrameSet.parse("1-100"),
    divisible=True,
    created=1.0,
)


def busy(attempt: str, first: int, last: int, **other: object) -> Busy:
    known = Busy(attempt, f"node of {attempt}", IndexSet.span(first, last), 1.0, since=0.0)
    return replace(known, **other)  # type: ignore[arg-type]  # fields of it


@given(st.integers(1, 10**6), st.lists(seconds, min_size=1, max_size=20), st.floats(0.1, 600), st.integers(1, 5000))
def test_a_share_is_at_least_one_frame_and_never_more_than_is_allowed(
    waiting: int, pace: list[float | None], chunk_seconds: float, most: int
) -> None:
    hands = [Hand(str(number), one) for number, one in enumerate(pace)]
    for hand in hands:
        size = share(waiting, hand, Workforce.of(hands), chunk_seconds=chunk_seconds, max_frames=most)
        assert 1 <= size <= min(waiting, most)
        if hand.seconds_per_frame is not None and size > 1:
            assert size * max(hand.seconds_per_frame, 1e-3) <= chunk_seconds * 1.000001


@given(st.integers(100, 10**5), st.floats(1.5, 50))
def test_a_slot_that_is_so_many_times_faster_gets_so_many_times_more(waiting: int, factor: float) -> None:
    fast, slow = Hand("fast", 0.01), Hand("slow", 0.01 * factor)
    everybody = Workforce.of([fast, slow])
    of_fast = share(waiting, fast, everybody, chunk_seconds=1e9, max_frames=10**9)
    of_slow = share(waiting, slow, everybody, chunk_seconds=1e9, max_frames=10**9)
    assert (of_slow + 1) * factor >= of_fast - 1
    assert of_fast + 1 >= of_slow * factor - factor


def test_shares_shrink_toward_the_end_and_the_slots_come_to_it_together() -> None:
    hands = [Hand(str(number), 1.0 if number else 4.0) for number in range(4)]
    everybody, waiting, free, sizes = Workforce.of(hands), 500, dict.fromkeys(range(4), 0.0), []
    while waiting:
        number = min(free, key=free.__getitem__)
        size = share(waiting, hands[number], everybody, chunk_seconds=60, max_frames=1000)
        waiting -= size
        free[number] += size * (hands[number].seconds_per_frame or 0)
        sizes.append(size)
    ideal = 500 / everybody.speed
    assert max(free.values()) <= ideal * 1.05 + 1
    assert sizes[0] > 10 * sizes[-1]
    assert sizes[-1] == 1


def test_an_engine_that_takes_long_to_start_gets_shares_that_are_worth_it() -> None:
    quick, slow = Hand("quick", 0.2), Hand("slow", 0.2, start_seconds=5.0)
    everybody = Workforce.of([quick, slow, slow, slow])
    of = partial(share, all_hands=everybody, chunk_seconds=30, max_frames=50)
    assert of(100_000, quick) == 50
    assert of(100_000, slow) == STARTS * 5.0 / 0.2
    assert of(100, quick) == 12
    assert of(100, slow) == LAST_STARTS * 5.0 / 0.2
    assert of(7, slow) == 7


def test_what_a_start_costs_is_no_gain() -> None:
    slow = busy("a", 0, 9, seconds_per_frame=1.0)
    assert takeover(Hand("me", 1.0), [slow], 0.0) is not None
    assert takeover(Hand("me", 1.0, start_seconds=6.0), [slow], 0.0) is None


def test_the_first_shares_are_small_until_somebody_knows() -> None:
    new = Hand("new")
    assert share(1000, new, Workforce.of([new] * 4), chunk_seconds=60, max_frames=50) == FIRST_SHARE
    assert share(3, new, Workforce.of([new] * 4), chunk_seconds=60, max_frames=50) == 1
    known = Workforce.of([new, Hand("known", 1.0)])
    assert share(1000, new, known, chunk_seconds=60, max_frames=50) == FIRST_SHARE
    heavy = Workforce.of([new, Hand("known", 400.0)])
    assert share(1000, new, heavy, chunk_seconds=60, max_frames=50) == 1


def test_what_has_not_begun_is_taken_whole_before_anything_is_rendered_twice() -> None:
    behind = busy("b", 100, 105, begun=False, node="node of a")
    found = takeover(Hand("me", 1.0), [busy("a", 0, 99), behind], 0.0)
    assert found == Takeover("b", IndexSet.span(100, 105), True)


def test_what_was_only_just_given_is_left_where_it_is() -> None:
    given = busy("b", 100, 105, begun=False)
    assert takeover(Hand("me", 0.1), [given], PATIENCE_SECONDS - 0.1) is None
    assert takeover(Hand("me", 0.1), [given], PATIENCE_SECONDS) == Takeover("b", given.positions, True)


def test_of_what_is_under_way_the_end_is_taken_by_speed() -> None:
    slow = busy("a", 0, 9, seconds_per_frame=4.0)
    assert takeover(Hand("me", 1.0), [slow], 0.0) == Takeover("a", IndexSet.span(2, 9), False)
    assert takeover(Hand("me", 4.0), [slow], 0.0) == Takeover("a", IndexSet.span(5, 9), False)


def test_a_part_is_made_twice_only_if_all_of_it_is_sooner_there() -> None:
    part = replace(busy("a", 0, 9), whole=True)
    assert takeover(Hand("me", 1.0), [part], 0.0) is None  # both would be through at once
    assert takeover(Hand("me", 0.5), [part], 8.0) is None  # most of it is made
    assert takeover(Hand("me", 0.5), [part], 1.0) == Takeover("a", part.positions, False)
    assert takeover(Hand("me", 1.0), [part], 40.0) == Takeover("a", part.positions, False)  # it is stuck


def test_a_frame_that_takes_too_long_is_rendered_twice_and_no_third_time() -> None:
    stuck, me = busy("a", 7, 7), Hand("me", 1.0)
    assert takeover(me, [stuck], 1.0) is None  # it is about to come
    assert takeover(me, [stuck], 30.0) == Takeover("a", IndexSet.span(7, 7), False)
    assert takeover(me, [stuck, busy("b", 7, 7)], 30.0) is None


def test_nothing_is_taken_from_the_own_node_or_while_nobody_knows_how_long_a_frame_takes() -> None:
    assert takeover(Hand("node of a", 1.0), [busy("a", 0, 9, begun=False)], 50.0) is None
    assert takeover(Hand("me"), [busy("a", 0, 9, seconds_per_frame=None)], 50.0) is None


def test_what_is_not_worth_handing_over_is_left_where_it_is() -> None:
    assert takeover(Hand("me", 0.01), [busy("a", 0, 3, seconds_per_frame=0.01)], 0.0) is None


paces = st.none() | st.floats(0.1, 20)


@st.composite
def under_way(draw: st.DrawFn) -> list[Busy]:
    """Attempts on some nodes, of which some have the same frames."""
    found = []
    for number in range(draw(st.integers(1, 8))):
        first = draw(st.integers(0, 40))
        positions = IndexSet.span(first, first + draw(st.integers(0, 9)))
        since, begun = draw(st.floats(0, 60)), draw(st.booleans())
        found.append(Busy(f"a{number}", f"n{draw(st.integers(0, 5))}", positions, draw(paces), since, begun))
    return found


@given(under_way(), st.lists(st.tuples(st.integers(0, 9), paces), min_size=1, max_size=12))
def test_whoever_looks_one_after_the_other_no_frame_is_given_to_more_than_two(
    attempts: list[Busy], idle: list[tuple[int, float | None]]
) -> None:
    by_attempt = {one.attempt: one for one in attempts}
    shared = IndexSet.shared(one.positions for one in attempts)
    late, given, stolen = Late(attempts, shared, 60.0), IndexSet(), set()
    for number, pace in idle:
        found = late.takeover(Hand(f"n{number}", pace))
        if found is None:
            continue
        whose = by_attempt[found.attempt]
        assert whose.node != f"n{number}"
        assert found.positions
        assert not found.positions - whose.positions
        assert not found.positions & (shared | given)
        assert found.whole == (not whose.begun)
        assert found.attempt not in stolen
        if found.whole:
            assert found.positions == whose.positions
            stolen.add(found.attempt)
        given |= found.positions


@given(under_way(), paces)
def test_nothing_better_is_missed_by_looking_at_what_takes_longest_first(
    attempts: list[Busy], pace: float | None
) -> None:
    """Each attempt looked at by itself is no better than what is found among all."""
    me, now = Hand("me", pace), 60.0
    shared = IndexSet.shared(one.positions for one in attempts)
    alone = {one.attempt: Late([one], shared, now).takeover(me) for one in attempts if one.begun}
    found = Late(attempts, shared, now).takeover(me)
    if any(alone.values()):
        assert found is not None
    if found is None or found.whole:
        return
    gains = {
        one.attempt: saved(one, taken.positions, one.positions - shared, me, now)
        for one in attempts
        if (taken := alone.get(one.attempt)) is not None
    }
    assert gains[found.attempt] == max(gains.values())


def saved(one: Busy, taken: IndexSet, alone: IndexSet, me: Hand, now: float) -> float:
    """Seconds by which an attempt that has begun is through earlier."""
    theirs = one.seconds_per_frame or me.seconds_per_frame or 0.0
    mine = theirs if me.seconds_per_frame is None else me.seconds_per_frame
    left = (len(alone) - 1) * theirs + abs(theirs - max(now - one.since, 0.0))
    return left - len(taken) * mine - HANDOVER_SECONDS


def test_a_node_that_fails_in_a_row_gets_no_more_and_a_frame_between_forgives() -> None:
    standing = Standing().with_failure("no GPU").with_frame()
    for _ in range(MAX_FAILURES - 1):
        standing = standing.with_failure("no GPU")
    assert not standing.refusal
    standing = standing.with_failure("no GPU")
    assert standing.refusal == "it failed 2 times in a row, the last time: no GPU"
    assert standing.with_frame().refusal


@pytest.mark.parametrize(
    ("spec", "node", "why"),
    [
        (SPEC, Node(), ""),
        (replace(SPEC, enable_split_jobs=False), Node(), "enable_split_jobs"),
        (SPEC, Node(paused=True, paused_reason="somebody works at it"), "somebody works at it"),
        (replace(SPEC, tags=("gpu", "big")), Node(tags=("big",)), "not the tags gpu"),
        (replace(SPEC, tags=("big",)), Node(tags=("big",)), ""),
        (replace(SPEC, memory_bytes=1 << 40), Node(), "bytes of memory"),
        (SPEC, Node(slots={}), "no slot for testpattern"),
        (SPEC, Node(engines={"testpattern": ["2"]}), "no testpattern 1"),
    ],
)
def test_what_a_node_must_have(spec: JobSpec, node: Node, why: str) -> None:
    assert why in unfit(spec, node)
    assert bool(unfit(spec, node)) == bool(why)


def test_a_node_that_can_fetch_the_version_has_it() -> None:
    assert unfit(SPEC, Node(engines={}), fetchable=True) == ""


def test_no_more_nodes_than_max_nodes() -> None:
    assert too_many(["", "a"], "b", 2)
    assert not too_many(["", "a"], "a", 2)
    assert not too_many(["", "a"], "b", 3)
    assert not too_many(["", "a"], "b", None)
