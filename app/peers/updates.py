"""What a node says of a subjob: asked for, or told, and what it means here."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from pydantic import TypeAdapter

from app.jobs.record import JobRecord
from app.peers.client import PeerClient
from client.connection import read
from client.models import Job, SubjobUpdate
from engines.contract import FailureCause
from engines.frames import FrameSet, FrameSetError, IndexSet

_JOB: Final = TypeAdapter(Job)
NODE_TROUBLE: Final = frozenset(
    cause.value
    for cause in (
        FailureCause.DISK,
        FailureCause.MACHINE,
        FailureCause.OUT_OF_MEMORY,
        FailureCause.BAD_OPTION,
        FailureCause.MISSING_ASSET,
    )
)
"""Causes that say more of a node than of a frame: another node may do better."""


async def job_of(client: PeerClient, subjob: str) -> Job:
    """A subjob as its node shows it.

    Raises:
        ZordonError: it cannot be had.
    """
    return read(_JOB, await client.get(f"/api/jobs/{quote(subjob, safe='')}"))


def update_from(job: Job, attempt: str, revision: int) -> SubjobUpdate:
    """What its node would tell of a subjob that looks so."""
    return SubjobUpdate(
        id=job.id,
        status=job.status,
        reason=job.reason,
        errors=job.errors,
        attempt=attempt,
        revision=revision,
        done_frames=job.done_frames,
        failed_frames=job.failed_frames,
        percent=job.percent_complete,
        seconds_per_frame=job.seconds_per_frame,
    )


def frames_of(record: JobRecord, notation: str) -> IndexSet:
    """The positions of those frames of a job that another node names; what is no frame of it is none."""
    if not notation:
        return IndexSet()
    try:
        named = FrameSet.parse(notation)
    except FrameSetError:
        return IndexSet()
    frames = record.spec.frames
    return IndexSet.of(frames.position(frame) for frame in named if frame in frames)


def causes(update: SubjobUpdate) -> tuple[FailureCause, str]:
    """The cause of a subjob's failure, and what to say of it."""
    known = update.cause in [cause.value for cause in FailureCause]
    cause = FailureCause(update.cause) if known else FailureCause.ERROR
    message = update.errors[-1] if update.errors else update.reason or "it failed there"
    return cause, message[:1000]
