"""Why an attempt failed, by all that is known: what the engine said, how it ended, what the machine says of that time.

The cause decides what happens next (:mod:`app.jobs.transitions`): what retrying can mend is tried again, what it cannot
is told at once, and a full disk is waited for. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.jobs.record import JobRecord
from app.render.attempt import Failed
from engines.contract import FailureCause

FULL_BYTES = 1 << 20
"""With less free space than this, in bytes, whatever goes wrong with a file goes wrong because of it."""

_NO_SPACE = re.compile(
    r"no space left on (the )?device|disk quota exceeded|\bENOSPC\b|\[?errno (28|122)\b", re.IGNORECASE
)
_NO_MEMORY = re.compile(
    r"out of (gpu |device )?memory|\bbad_alloc\b|\bMemoryError\b|malloc returns null|calloc returns null"
    r"|(cannot|failed to|unable to) allocate|\bENOMEM\b|memory allocation (failed|of \d+ bytes failed)",
    re.IGNORECASE,
)
_LIMITS = {  # signals by which a process ends that met a limit (getrlimit(2))
    -24: "it took more processor time than engine_cpu_seconds allows",
    -25: "a file that it wrote became larger than max_attempt_bytes allows",
}
_VAGUE = frozenset({FailureCause.CRASH, FailureCause.ERROR})
_OF_FILES = _VAGUE | {FailureCause.MISSING_FRAME, FailureCause.BAD_FRAME, FailureCause.MACHINE}
_KILLED = frozenset({-9, 137})  # SIGKILL, by itself and through a shell; Windows has no name for it


@dataclass(frozen=True, slots=True)
class MachineSigns:
    """What the machine says of the time of an attempt. None: it cannot be told here."""

    oom_kills: int | None = None  # processes that the kernel ended for want of memory meanwhile
    free_bytes: int | None = None  # of the data folder's disk, right after


def classify(failed: Failed, tail: Sequence[str], signs: MachineSigns) -> Failed:
    """The failure with its cause, and what is known beyond what the engine said.

    Args:
        failed: as the attempt saw it; ``code`` is how the process ended (negative: signal), if it did.
        tail: the last lines of what the engine printed.
        signs: see there.
    """
    if failed.code in _LIMITS and failed.cause in _VAGUE:
        return replace(failed, cause=FailureCause.ERROR, message=_LIMITS[failed.code])
    if failed.code in _KILLED and failed.cause in _VAGUE | {FailureCause.OUT_OF_MEMORY}:
        if signs.oom_kills:
            said = "the system ended it (SIGKILL) because memory had run out"
            return replace(failed, cause=FailureCause.OUT_OF_MEMORY, message=said)
        if signs.oom_kills == 0:
            said = "somebody else ended it (SIGKILL): the system says that it was not for want of memory"
            return replace(failed, cause=FailureCause.MACHINE, message=said)
    if failed.cause in _OF_FILES and out_of_space(failed.cause, failed.message, signs.free_bytes):
        return replace(failed, cause=FailureCause.DISK)
    if failed.cause in _VAGUE:
        for text in (failed.message, *reversed(tail)):
            if _NO_SPACE.search(text):
                return _said(failed, FailureCause.DISK, text)
            if _NO_MEMORY.search(text):
                return _said(failed, FailureCause.OUT_OF_MEMORY, text)
    return failed


def out_of_space(cause: FailureCause, message: str, free_bytes: int | None) -> bool:
    """Whether something failed because the disk is full: it says so, or has to do with a file and the disk is."""
    if _NO_SPACE.search(message):
        return True
    return (cause in _OF_FILES or cause is FailureCause.DISK) and free_bytes is not None and free_bytes < FULL_BYTES


def _said(failed: Failed, cause: FailureCause, text: str) -> Failed:
    known = text.strip()[:300]
    message = failed.message if known in failed.message else f"{failed.message}; it said: {known}"
    return replace(failed, cause=cause, message=message)


def not_together(record: JobRecord, bad: Sequence[int]) -> Failed:
    """Parts of a video that do not follow each other; ``bad`` are the first frames of those that are made again."""
    first = record.spec.frames.position(bad[0])
    named = record.spec.frames.notation(record.part_positions(first))
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    message = f"the part {named}{more} does not go on where the one before it ends; it is made again, the careful way"
    return Failed(FailureCause.BAD_FRAME, message, refused=tuple(bad))
