"""How long a job still takes, and how sure that is. Pure."""

from __future__ import annotations

import math

from app.jobs.record import Pace

_Z = 1.6449
"""The normal distribution's quantile for 0.95: one in twenty is above, one in twenty below."""


def time_left(frames: float, at_once: int, seconds_per_frame: float) -> float:
    """Seconds until all is rendered.

    Args:
        frames: how many are left, the unfinished parts of those in work included.
        at_once: how many are rendered at the same time.
        seconds_per_frame: the median of those that are done.
    """
    return frames * seconds_per_frame / at_once


def spread(frames: float, at_once: int, pace: Pace | None) -> tuple[float, float] | None:
    """Between how many seconds the end comes with a probability of nine in ten, by how far the measured frames are
    apart; None while fewer than two are measured.

    The prediction interval for the sum of m further observations after n of mean x and deviation s: ``m x ± t s m
    sqrt(1/m + 1/n)``, t being Student's quantile for n - 1 degrees of freedom (Hahn, Meeker, Escobar: Statistical
    Intervals, 2nd edition, section 4.7; there for the mean of the m, which is a m-th of it). The frames that come may
    be of another kind than those that were; nobody knows that beforehand.
    """
    if pace is None or pace.count < 2 or frames <= 0:
        return None
    middle = frames * pace.mean
    reach = _quantile(pace.count - 1) * pace.deviation * frames * math.sqrt(1 / frames + 1 / pace.count)
    return max(0.0, middle - reach) / at_once, (middle + reach) / at_once


def _quantile(freedom: int) -> float:
    """Student's t for 0.95 by its expansion around the normal one (Abramowitz, Stegun: 26.7.5), two terms of it."""
    first = (_Z**3 + _Z) / (4 * freedom)
    second = (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * freedom**2)
    return _Z + first + second
