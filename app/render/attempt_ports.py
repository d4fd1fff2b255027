"""What an attempt of a slot does to the outside: every frame that it verifies and every word of its engine becomes an
event of its job, a line of the job's log, or progress that clients see."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from app.jobs.events import FrameFailed, FramesVerified, WarningNoted
from app.jobs.record import JobRecord
from app.render.at_work import JobAtWork
from app.render.attempt import AttemptPorts
from app.render.causes import out_of_space
from app.render.queue import TAKEN_BACK
from engines.contract import Chunk, EngineVersion, ExpectedOutput, FailureCause, Ready

if TYPE_CHECKING:
    from app.render.supervisor import Supervisor


def ports_of(
    owner: Supervisor,
    work: JobAtWork,
    record: JobRecord,
    chunk: Chunk,
    version: EngineVersion,
    assembles: bool,
    stop: Callable[[str], None],
) -> AttemptPorts:
    """The ports of an attempt at a chunk of a job.

    Args:
        owner: the supervisor of its slot.
        work: what those that work for the job share.
        record: the job as it was when the attempt began.
        chunk: what it renders.
        version: with which engine.
        assembles: whether it puts parts together.
        stop: ends the attempt, with the reason.
    """
    attempt, frames = chunk.attempt, record.spec.frames

    async def deliver(chunk: Chunk, expected: Sequence[ExpectedOutput], seconds: float | None) -> None:
        await owner.delivery.deliver(record, chunk, expected, seconds, assembled=assembles)

    def verified(done: Sequence[int], seconds: float | None) -> None:
        work.attempt_over(attempt)
        owner.space.progressed(record.id)
        owner.jobs.apply(record.id, frames_verified(owner, work, record, attempt, done, seconds))
        if owner.queue.resting and _has_frames(owner.jobs.live(record.id), attempt):
            stop(TAKEN_BACK)  # after this frame, not after the chunk
        if owner.on_frames is not None:
            owner.on_frames(record, version, work.colour)

    def frame_failed(frame: int, cause: FailureCause, message: str) -> None:
        work.log.say(f"frame {frame} failed ({cause}): {message}")
        owner.jobs.apply(record.id, FrameFailed(attempt, frames.position(frame), cause, message, time.time()))

    async def full(cause: FailureCause, message: str) -> bool:
        free = await owner.space.free()
        return owner.space.is_short(free, record.id) and out_of_space(cause, message, free)

    def warned(message: str) -> None:
        work.log.say(f"warning: {message}")
        owner.jobs.apply(record.id, WarningNoted(message))

    def ready(event: Ready) -> None:
        work.colour = dict(event.colour)

    def progress(fraction: float, current: str) -> None:
        owner.jobs.progress(record.id, work.progress(attempt, fraction, current))

    def median() -> float | None:
        return work.median if work.seconds else record.state.seconds_per_frame

    return AttemptPorts(deliver, verified, frame_failed, full, warned, ready, progress, median, owner.gpu.seconds)


def frames_verified(
    owner: Supervisor,
    work: JobAtWork,
    record: JobRecord,
    attempt: str,
    frames: Sequence[int],
    seconds: float | None,
) -> FramesVerified:
    """The event of frames that an attempt has delivered; ``seconds`` is what the last one took."""
    files = owner.delivery.file_count(record.id)
    median = work.frame_took(seconds)
    positions = record.spec.frames.positions(frames)
    return FramesVerified(attempt, positions, files, median, seconds, work.pace)


def _has_frames(record: JobRecord | None, attempt: str) -> bool:
    """Whether an attempt has frames that are not verified yet."""
    return record is not None and bool(record.state.running.positions(attempt))
