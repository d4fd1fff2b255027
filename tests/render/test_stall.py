"""The rule that finds stalls: progress, silence and work together, measured by the job's own frames."""

from __future__ import annotations

import pytest

from app.render.stall import GAP_SECONDS, LEAST_SECONDS, Signs, StallWatch, patience

PATIENCE = 60.0


def first_stall(looks: list[Signs], seconds: float = PATIENCE) -> float | None:
    """When a watch says that it is stalled; None if it never does."""
    watch = StallWatch()
    return next((signs.at for signs in looks if watch.look(signs, seconds)), None)


def every_15_seconds(**rates: float) -> list[Signs]:
    """Ten minutes of looks. ``cpu`` and ``gpu``: seconds of work a second; ``spoke``, ``progressed``: every so many
    seconds."""
    found = []
    for at in range(0, 600, 15):
        said = {
            name: at - at % rates[name] if name in rates else 0.0  # when it last did
            for name in ("spoke", "progressed")
        }
        gpu = rates["gpu"] * at if "gpu" in rates else None
        found.append(Signs(float(at), said["progressed"], said["spoke"], rates.get("cpu", 0.0) * at, gpu))
    return found


def test_no_sign_of_any_kind_is_a_stall() -> None:
    assert first_stall(every_15_seconds()) == 60


@pytest.mark.parametrize("alive", [{"cpu": 0.5}, {"gpu": 0.5}, {"spoke": 45}, {"progressed": 45}])
def test_one_sign_of_life_is_enough(alive: dict[str, float]) -> None:
    assert first_stall(every_15_seconds(**alive)) is None


def test_a_process_that_only_turns_over_in_its_sleep_is_idle() -> None:
    assert first_stall(every_15_seconds(cpu=0.01)) == 60


def test_silence_alone_is_no_stall_however_long_it_takes() -> None:
    assert first_stall([Signs(float(at), 0, 0, float(at)) for at in range(0, 86_400, 15)]) is None


def test_a_child_that_ends_takes_its_time_along_and_that_is_work() -> None:
    looks = [Signs(float(at), 0, 0, 100.0 if at % 30 else 50.0) for at in range(0, 600, 15)]
    assert first_stall(looks) is None


def test_work_begins_the_wait_anew() -> None:
    looks = [Signs(float(at), 0, 0, 20.0 if at >= 45 else 0.0) for at in range(0, 600, 15)]
    assert first_stall(looks) == 45 + PATIENCE


def test_what_nobody_watched_does_not_count() -> None:
    slept = [Signs(0, 0, 0, 0), Signs(15, 0, 0, 0), Signs(15 + GAP_SECONDS + 1, 0, 0, 0)]
    assert first_stall(slept) is None
    assert first_stall([*slept, Signs(slept[-1].at + PATIENCE, 0, 0, 0)]) == slept[-1].at + PATIENCE


def test_the_wait_is_measured_by_the_jobs_own_frames() -> None:
    assert patience(600, None) == 600, "while nobody knows, the setting counts"
    assert patience(600, 0.5) == LEAST_SECONDS, "quick frames are waited for a moment at least"
    assert patience(600, 30) == 300, "less than the setting where frames are quick"
    assert patience(600, 3600) == 36_000, "more where they are slow"
    assert patience(2, 0.1) == 2, "a short setting stays short"


def test_what_is_not_known_is_said() -> None:
    watch = StallWatch()
    watch.look(Signs(0, 0, 0, 0), 10)
    assert "cannot be told" in watch.look(Signs(20, 0, 0, 0), 10)
    watch = StallWatch()
    watch.look(Signs(0, 0, 0, 0, gpu=1.0), 10)
    story = watch.look(Signs(20, 0, 0, 0, gpu=1.0), 10)
    assert "CPU time or GPU time" in story
    assert "cannot be told" not in story
