"""The rules of a job: ``(job, event) → (job, effects)``, driven by one table, pure.

Every change of a job comes through :func:`transition`. It never raises for an event that is merely late (an attempt
that is no longer the job's own, a job that has ended): such an event changes nothing and has no effects. It raises
:class:`ImpossibleEvent` for one that cannot have happened, with the story that led there. One event alone brings a job
back that has ended: :class:`RetryAsked`.

::

    configuring ──EngineFound──▶ scheduled ──ScheduleDue──▶ not_started ──AttemptStarted──▶ running
        ▲                            │                        │   ▲                           │
        └────────EngineMissing───────┴────────────────────────┘   └──released, failed, chunk──┤
                                                                                              ▼
    waiting_for_subjobs ──ChildEnded (the last one)──────────────────────────▶ completed | error | cancelled
                                                                                   │
    configuring | scheduled | not_started | waiting_for_subjobs ◀────RetryAsked────┘
"""

from __future__ import annotations

from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptHeld,
    AttemptReleased,
    AttemptStarted,
    CancelAsked,
    ChildEnded,
    EngineAwaited,
    EngineFound,
    EngineMissing,
    FrameFailed,
    FramesLost,
    FramesVerified,
    JobEdited,
    JobEvent,
    Reconciled,
    RetryAsked,
    ScheduleDue,
    SpaceFound,
    WarningNoted,
)
from app.jobs.record import JobRecord, JobSpec
from app.jobs.rules.attempts import (
    attempt_ended,
    attempt_failed,
    attempt_held,
    attempt_released,
    attempt_started,
    frame_failed,
    frames_lost,
    frames_verified,
    not_waiting,
)
from app.jobs.rules.outcomes import ImpossibleEvent, Outcome, Rule
from app.jobs.rules.waiting import (
    engine_awaited,
    engine_changed,
    engine_found,
    engine_missing,
    reconciled,
    schedule_due,
    space_found,
)
from app.jobs.rules.wishes import (
    cancel_asked,
    child_ended,
    job_edited,
    retry_alive,
    retry_ended,
    retry_parent,
    warning_noted,
)
from client.models import JobStatus
from client.models import JobStatus as S

__all__ = ["ImpossibleEvent", "initial_status", "transition"]


def transition(record: JobRecord, event: JobEvent) -> Outcome:
    """Apply one event.

    Returns:
        The record (the same object if nothing changed) and what must be done now.

    Raises:
        ImpossibleEvent: see the module.
    """
    rule = _TABLE.get((record.status, type(event)))
    return rule(record, event) if rule is not None else (record, ())


def initial_status(spec: JobSpec) -> tuple[JobStatus, str]:
    """Status and reason of a job that was just submitted."""
    if spec.children:
        return S.WAITING_FOR_SUBJOBS, "its subjobs have not ended yet"
    if spec.missing is not None:
        return S.CONFIGURING, spec.missing.reason
    if spec.scheduled_start is not None:
        return S.SCHEDULED, "waits for its scheduled start"
    return S.NOT_STARTED, "waits for a free slot"


_ALIVE = (S.CONFIGURING, S.SCHEDULED, S.NOT_STARTED, S.RUNNING, S.WAITING_FOR_SUBJOBS)
_TABLE: dict[tuple[JobStatus, type], Rule] = {
    (S.SCHEDULED, ScheduleDue): schedule_due,
    (S.SCHEDULED, EngineMissing): engine_missing,
    (S.NOT_STARTED, EngineMissing): engine_missing,
    (S.CONFIGURING, EngineMissing): engine_missing,
    (S.CONFIGURING, EngineAwaited): engine_awaited,
    (S.CONFIGURING, EngineFound): engine_found,
    (S.SCHEDULED, EngineFound): engine_changed,
    (S.NOT_STARTED, EngineFound): engine_changed,
    (S.WAITING_FOR_SUBJOBS, EngineFound): engine_changed,
    **{(status, AttemptStarted): not_waiting for status in S},
    (S.NOT_STARTED, AttemptStarted): attempt_started,
    (S.RUNNING, AttemptStarted): attempt_started,
    (S.RUNNING, FramesVerified): frames_verified,
    (S.RUNNING, AttemptEnded): attempt_ended,
    (S.RUNNING, FrameFailed): frame_failed,
    (S.RUNNING, AttemptFailed): attempt_failed,
    (S.RUNNING, AttemptReleased): attempt_released,
    (S.RUNNING, AttemptHeld): attempt_held,
    (S.RUNNING, FramesLost): frames_lost,
    (S.RUNNING, SpaceFound): space_found,
    (S.NOT_STARTED, SpaceFound): space_found,
    (S.NOT_STARTED, RetryAsked): retry_alive,
    (S.RUNNING, RetryAsked): retry_alive,
    (S.WAITING_FOR_SUBJOBS, RetryAsked): retry_parent,
    **{(status, RetryAsked): retry_ended for status in (S.COMPLETED, S.CANCELLED, S.ERROR)},
    (S.WAITING_FOR_SUBJOBS, ChildEnded): child_ended,
    **{(status, Reconciled): reconciled for status in _ALIVE},
    **{(status, WarningNoted): warning_noted for status in _ALIVE},
    **{(status, CancelAsked): cancel_asked for status in _ALIVE},
    **{(status, JobEdited): job_edited for status in S},
}
