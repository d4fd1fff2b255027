"""Frame rates and frame times: is the rate constant, which one is it, when does a frame begin. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction

GRID_TOLERANCE = 0.3
"""How far, in frames, a frame may begin from where a constant rate would have it: Matroska rounds to milliseconds."""

LOOSE_TOLERANCE = 1.6
"""The same where times are reconstructed from the order of the packets."""

TIME_SAMPLES = 256
"""Times kept of a video whose rate varies, to find where the sound of a frame is."""

MOST_KEYS = 1000
"""Key frames kept of a video: there is one near every place where it may be cut."""

_FILM_RATES = {
    round(base * 1000 / 1001, 2): Fraction(base * 1000, 1001) for base in (24, 30, 48, 60, 120, 240)
}  # 23.98, 29.97, …: what people write for them


def frame_rate(
    stated: Sequence[Fraction], ticks: Sequence[int], time_base: Fraction, tolerance: float = GRID_TOLERANCE
) -> tuple[Fraction, bool]:
    """Frames per second, and whether every frame begins where that rate says, to ``tolerance`` frames.

    Of the stated rates and the measured mean, the one that fits best; the mean if none fits.

    Args:
        stated: what the file says, in frames per second.
        ticks: when each frame begins, ascending, in ``time_base`` seconds.
        time_base: seconds a tick.
    """
    if len(ticks) < 2 or ticks[-1] <= ticks[0]:
        return min(stated, default=Fraction(25)), True
    mean = ((len(ticks) - 1) / ((ticks[-1] - ticks[0]) * time_base)).limit_denominator(1001)
    best, deviation = mean, _deviation(mean, ticks, time_base)
    for rate in stated:
        # A stated rate wins over the mean unless it is clearly worse: the mean carries the rounding of two ticks.
        other = _deviation(rate, ticks, time_base)
        if other < tolerance and (best is mean or other < deviation):
            best, deviation = rate, other
    return best, deviation < tolerance


def _deviation(rate: Fraction, ticks: Sequence[int], time_base: Fraction) -> float:
    frames_per_tick, begin = float(rate * time_base), ticks[0]
    return max(abs((tick - begin) * frames_per_tick - number) for number, tick in enumerate(ticks))


def samples(ticks: Sequence[int], time_base: Fraction, start: float, end: float) -> tuple[tuple[float, ...], int]:
    """When every n-th frame begins, in seconds after ``start``, then ``end``; and n."""
    step = -(-len(ticks) // TIME_SAMPLES)
    seconds = float(time_base)
    return (*(round(tick * seconds - start, 6) for tick in ticks[::step]), end), step


def key_frames(ticks: Sequence[int], keys: Collection[int], time_base: Fraction, fps: Fraction) -> list[int]:
    """Indexes of frames that can be decoded by themselves and begin exactly where the rate says, so that they are found
    by their time. Not all of them: at most one a second, and :data:`MOST_KEYS` of a video.

    Args:
        ticks: when each frame begins, ascending, in ``time_base`` seconds.
        keys: those of the frames that can.
        time_base: seconds a tick.
        fps: frames per second, constant.
    """
    found: list[int] = []
    apart = max(float(fps), len(ticks) / MOST_KEYS)
    frame = float(1 / (fps * time_base))
    for index, tick in enumerate(ticks):
        if tick in keys and abs(tick - ticks[0] - index * frame) < 0.5 and (not found or index - found[-1] >= apart):
            found.append(index)
    return found


def exact_rate(fps: float) -> Fraction:
    """The rate that a person means: 23.976, 29.97 and the like are fractions of 1001.

    >>> exact_rate(29.97)
    Fraction(30000, 1001)
    >>> exact_rate(12.5)
    Fraction(25, 2)
    """
    near = _FILM_RATES.get(round(fps, 2))
    return near if near is not None else Fraction(fps).limit_denominator(1001)
