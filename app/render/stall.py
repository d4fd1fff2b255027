"""When an engine is stalled: no progress, no output and no work of its processes, all three, for long enough.

Silence alone is no sign: Cycles prints sample 1 and then nothing for as long as the frame takes. A busy processor alone
is none either. How long is long enough depends on the job: who renders a frame a second and is quiet for minutes has
stopped, who takes an hour a frame has not. Pure: who measures, and when, is the matter of :mod:`app.render.attempt`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FRAMES = 10.0
"""So many times the median time of a frame is long enough."""
LEAST_SECONDS = 60.0
"""Nobody is stalled before, unless the setting is shorter: networks and disks have their moments."""
IDLE_SHARE = 0.02
"""Of one processor (or of the GPU): who uses less does nothing."""
GAP_SECONDS = 120.0
"""Between two looks. After a longer one nobody knows what happened in it: the service itself was stopped."""

GpuSeconds = Callable[[int], float | None]
"""How long the GPU has worked for a process and its descendants, in seconds (:mod:`app.render.gpu`); None: it cannot be
told here. What is not known does not count, neither for a stall nor against it."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What is seen of a session at one moment. Times are seconds on a clock that only goes forward."""

    at: float
    progressed: float  # when a frame last moved
    spoke: float  # when it last said anything at all
    cpu: float  # processor time of all its processes so far, in seconds; less than before if one of them ended
    gpu: float | None = None  # the same of the GPU; None: not known


def patience(bound: float, seconds_per_frame: float | None) -> float:
    """How long a session may show no sign of life, in seconds.

    Args:
        bound: the setting ``stall_seconds``: what counts while nobody knows the job.
        seconds_per_frame: the median of its finished frames; None while the project is opened, or if there is none.

    >>> patience(600.0, None), patience(600.0, 1.0), patience(600.0, 3600.0), patience(5.0, 0.1)
    (600.0, 60.0, 36000.0, 5.0)
    """
    if seconds_per_frame is None:
        return bound
    return max(min(LEAST_SECONDS, bound), FRAMES * seconds_per_frame)


class StallWatch:
    """Looks at one session again and again. One that was never seen idle is not stalled."""

    def __init__(self) -> None:
        self._last: Signs | None = None
        self._idle_since = 0.0

    def look(self, signs: Signs, seconds: float) -> str:
        """Take the next look; ``seconds`` is how long it may show no sign of life.

        Returns:
            A sentence that says that it is stalled; empty if it is not.
        """
        last, self._last = self._last, signs
        if last is None or signs.at - last.at > GAP_SECONDS or _busy(last, signs):
            self._idle_since = signs.at
        quiet = signs.at - max(self._idle_since, signs.progressed, signs.spoke)
        if quiet < seconds:
            return ""
        gpu = " or GPU time" if signs.gpu is not None else ""
        note = "" if signs.gpu is not None else " (whether the GPU works cannot be told here)"
        return f"it showed no progress, no output and no CPU time{gpu} for {quiet:.0f} s{note}"


def _busy(last: Signs, signs: Signs) -> bool:
    """Whether it worked between two looks. Time that has gone was that of a process that ended: it worked too."""
    enough = IDLE_SHARE * (signs.at - last.at)
    gpu = abs(signs.gpu - last.gpu) if signs.gpu is not None and last.gpu is not None else 0.0
    return abs(signs.cpu - last.cpu) > enough or gpu > enough
