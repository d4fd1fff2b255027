"""What attempts hold is carried from event to event; it is what a count over all of them would give."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptReleased,
    AttemptStarted,
    FrameFailed,
    FramesLost,
    FramesVerified,
    JobEvent,
)
from app.jobs.record import JobRecord, JobSpec, JobState
from app.jobs.running import Running, RunningChunk
from app.jobs.transitions import initial_status, transition
from engines.contract import FailureCause
from engines.frames import FrameSet, IndexSet

FRAMES = 30
some = st.sets(st.integers(0, FRAMES - 1)).map(IndexSet.of)
picks = st.integers(0, 5)


def counted(running: Running) -> Running:
    return Running(running)


@given(st.lists(st.tuples(st.sampled_from(["begun", "over", "less", "through"]), picks, some), max_size=40))
def test_what_is_held_and_what_is_shared_is_carried_along(steps: list[tuple[str, int, IndexSet]]) -> None:
    running = Running()
    for number, (what, pick, positions) in enumerate(steps):
        chunks = tuple(running)
        attempt = chunks[pick % len(chunks)].attempt if chunks else "nobody"
        had = running.positions(attempt)
        others = IndexSet.union(chunk.positions for chunk in chunks if chunk.attempt != attempt)
        assert running.only_of(attempt) == had - others
        if what == "begun":
            running = running.begun(RunningChunk(f"a{number}", positions))
        elif what == "over":
            running = running.over(attempt)
            assert running.get(attempt) is None
        elif what == "less":
            running = running.less(attempt, positions)
            assert running.positions(attempt) == had - positions
        else:
            done = had & positions
            running, robbed = running.through(done, attempt)
            assert not running.held & done
            assert set(robbed) == {
                chunk.attempt
                for chunk in chunks
                if chunk.attempt != attempt and chunk.positions & done and not chunk.positions - done
            }
        assert (running.held, running.shared) == (counted(running).held, counted(running).shared)


def spec() -> JobSpec:
    return JobSpec("j", "j", "testpattern", "1", "", FrameSet.between(1, FRAMES), True, 0.0)


def happens(what: str, record: JobRecord, chunk: RunningChunk, positions: IndexSet) -> JobEvent | None:
    return {
        "verified": FramesVerified(chunk.attempt, chunk.positions & positions, 1, 0.1),
        "ended": None if chunk.positions else AttemptEnded(chunk.attempt, 3.0),
        "released": AttemptReleased(chunk.attempt, "stop", 3.0),
        "failed": AttemptFailed(chunk.attempt, FailureCause.CRASH, "no", next(iter(positions), None), 3.0),
        "frame": FrameFailed(chunk.attempt, next(iter(positions), 0), FailureCause.ERROR, "no", 3.0),
        "lost": FramesLost(chunk.attempt, record.state.done & positions, 1),
    }.get(what)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["once", "twice", "verified", "ended", "released", "failed", "frame", "lost"]), picks, some
        ),
        max_size=60,
    )
)
def test_what_is_free_is_what_is_in_no_place_also_where_frames_are_rendered_twice(
    history: list[tuple[str, int, IndexSet]],
) -> None:
    record = JobRecord(spec(), JobState(*initial_status(spec())))
    for number, (what, pick, positions) in enumerate(history):
        chunks = tuple(record.state.running)
        event: JobEvent | None = None
        if what in ("once", "twice") and not record.ended:
            may = record.waiting_positions() | (record.running_positions() if what == "twice" else IndexSet())
            if may := (may & positions).first(pick + 1):
                event = AttemptStarted(f"j-{number}", may, 2.0, twice=what == "twice")
        elif chunks:
            event = happens(what, record, chunks[pick % len(chunks)], positions)
        if event is not None:
            record, _ = transition(record, event)
        assert record.free == JobRecord(record.spec, record.state).free
