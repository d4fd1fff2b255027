"""How long a job still takes."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from app.jobs.eta import spread, time_left
from app.jobs.record import Pace


def test_the_frames_left_are_shared_by_what_renders_at_a_time() -> None:
    assert time_left(10.0, 1, 2.5) == 25.0
    assert time_left(10.0, 4, 2.5) == 6.25


@pytest.mark.parametrize("pace", [None, Pace(2.0, 0.0, 1)])
def test_one_measured_frame_says_nothing_of_the_spread(pace: Pace | None) -> None:
    assert spread(10.0, 1, pace) is None


def test_nothing_left_has_no_spread() -> None:
    assert spread(0.0, 1, Pace(2.0, 0.5, 10)) is None


def test_frames_that_all_took_the_same_leave_no_doubt() -> None:
    assert spread(10.0, 2, Pace(2.0, 0.0, 10)) == (10.0, 10.0)


def test_the_formula() -> None:
    # t for 0.95 with 9 degrees of freedom is 1.8331 in every table.
    low, high = spread(20.0, 1, Pace(3.0, 1.0, 10)) or (0.0, 0.0)
    reach = 1.8331 * 1.0 * 20 * math.sqrt(1 / 20 + 1 / 10)
    assert low == pytest.approx(60 - reach, rel=0.002)
    assert high == pytest.approx(60 + reach, rel=0.002)


def test_nine_ends_in_ten_are_in_between() -> None:
    chance = random.Random(7)
    inside, rounds = 0, 2000
    for _ in range(rounds):
        seconds = [chance.gauss(5.0, 1.0) for _ in range(42)]
        measured, coming = seconds[:12], seconds[12:]
        pace = Pace(statistics.fmean(measured), statistics.stdev(measured), len(measured))
        low, high = spread(len(coming), 1, pace) or (0.0, 0.0)
        inside += low <= sum(coming) <= high
    assert 0.88 < inside / rounds < 0.92
