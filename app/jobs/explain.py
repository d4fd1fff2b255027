"""Why a job is not running, or how it failed, in sentences, with what would help. Pure: everything that is known comes
as :class:`Facts`, from :mod:`app.render.explaining`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.jobs import helping
from app.jobs.helping import MEANINGS, Help
from app.jobs.record import JobRecord
from app.jobs.rules.settling import backoff
from client.models import Explanation, JobStatus
from engines.contract import FailureCause

MAX_NAMED = 5
"""So many jobs, or errors, are named; of the others it is said how many there are."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known beside the job itself."""

    now: float  # seconds since 1970
    reason: str  # as on the wire: with how far what it waits for is
    title: str  # of its engine
    slots: int  # of its engine on this node
    ahead: Sequence[JobRecord] = ()  # jobs of the same engine that get a free slot before it, the next one first
    at_work: Sequence[JobRecord] = ()  # jobs that the slots of its engine render now
    free_bytes: int | None = None  # of the data folder's disk
    needed_bytes: int = 0  # that must be free for a job that waits for space
    unsaved: str = ""  # what has happened to it and cannot be stored, and why
    last_failure: str = ""  # what the last failed attempt said
    log: Sequence[str] = ()  # last lines of the job's log
    held: str = ""  # why this node begins nothing of it now
    elsewhere: Sequence[str] = ()  # what other nodes have of it, and why others have nothing, a sentence each
    children: Mapping[str, JobStatus] = field(default_factory=dict)  # those that are still there


@dataclass(slots=True)
class _Story:
    summary: str
    sentences: list[str] = field(default_factory=list)
    help: list[Help] = field(default_factory=list)


def explain(record: JobRecord, facts: Facts) -> Explanation:
    """The explanation of one job as it is now."""
    story = _TELLERS[record.status](record, facts)
    unwell = record.status in (JobStatus.ERROR, JobStatus.CANCELLED) or bool(record.state.errors)
    ended_well = record.status is JobStatus.COMPLETED
    if record.status in (JobStatus.NOT_STARTED, JobStatus.RUNNING):
        story.sentences += facts.elsewhere
    if facts.unsaved:
        story.sentences.insert(0, _sentence(facts.unsaved))
        story.help.insert(0, helping.MEND_DISK)
    frames = record.spec.frames
    if record.status in (JobStatus.ERROR, JobStatus.CANCELLED):
        concerned = frames.all_positions() - record.state.done
    else:
        concerned = record.state.failed
    waits = record.status is JobStatus.NOT_STARTED
    return Explanation(
        id=record.id,
        status=record.status,
        summary=story.summary,
        sentences=story.sentences,
        help=[help.in_shell(record.id) for help in story.help],
        steps=[help.step for help in story.help],
        cause=None if ended_well or not record.state.cause else record.state.cause,
        frames=frames.notation(concerned)[:1000],
        ahead=len(facts.ahead) if waits else None,
        log=list(facts.log) if unwell and not ended_well else [],
    )


def _configuring(record: JobRecord, facts: Facts) -> _Story:
    missing = record.spec.missing
    version = f"{facts.title} {record.spec.engine_version}".strip()
    story = _Story(f"It waits for its engine: {version}.", [_sentence(facts.reason)])
    if missing is not None and missing.fetch:
        story.help.append(helping.FETCHED)
    else:
        wanted = missing.version if missing is not None else record.spec.engine_version
        story.help += helping.install(record.spec.engine, facts.title, wanted)
    return story


def _scheduled(record: JobRecord, facts: Facts) -> _Story:
    start = record.spec.scheduled_start or facts.now
    at = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M UTC")
    story = _Story(f"It waits for its time: {at}, which is in {_span(start - facts.now)}.")
    story.help.append(helping.WITHOUT_START)
    return story


def _not_started(record: JobRecord, facts: Facts) -> _Story:
    if record.state.needs_space:
        return _without_space(record, facts)
    if facts.slots == 0:
        off = f"This node renders nothing with {facts.title}: the setting slots says 0."
        return _Story(off, help=[helping.slots(record.spec.engine)])
    failures = _failures(record, facts)
    if facts.held:
        story = _Story(_sentence(facts.held), failures)
        if record.spec.tags or record.spec.memory_bytes is not None:
            story.help.append(helping.MEMORY_AND_TAGS)
        story.help.append(helping.RESUME)
        return story
    if backoff(record):
        return _Story("It is tried again after a pause.", failures, _helps(record))
    if facts.ahead:
        urgent = sum(other.spec.priority > record.spec.priority for other in facts.ahead)
        before = "1 job is" if len(facts.ahead) == 1 else f"{len(facts.ahead)} jobs are"
        story = _Story(f"It waits for a free slot; {before} before it, {urgent} of higher priority.")
        story.sentences.append(f"Next: {_names(facts.ahead)}.")
        story.help.append(helping.URGENT)
    else:
        story = _Story("It is the next one, and waits for a free slot.")
    if facts.at_work:
        noun = "slot" if facts.slots == 1 else "slots"
        story.sentences.append(f"{facts.title} has {facts.slots} {noun} here; at work: {_names(facts.at_work)}.")
        story.help.append(helping.MORE_SLOTS)
    story.sentences += failures
    return story


def _without_space(record: JobRecord, facts: Facts) -> _Story:
    story = _Story("It waits for space on the disk of the data folder.")
    if facts.free_bytes is not None:
        free, needed = _size(facts.free_bytes), _size(facts.needed_bytes)
        story.sentences.append(f"{free} are free; it goes on by itself when there are {needed}.")
    if record.state.errors:
        story.sentences.append(f"It met the full disk here: {record.state.errors[-1]}")
    story.help += helping.ROOM
    return story


def _running(record: JobRecord, facts: Facts) -> _Story:
    total, done = len(record.spec.frames), len(record.state.done)
    if record.state.ending is not None:
        return _Story(_sentence(record.state.reason))
    story = _Story(f"It is running; {done} of {total} frames are done.", _failures(record, facts))
    if story.sentences:
        story.help = _helps(record)
    return story


def _waiting(record: JobRecord, facts: Facts) -> _Story:
    total, ended = len(record.spec.children), len(record.state.children_ended)
    story = _Story(f"Its subjobs render; {ended} of {total} have ended.")
    for status in JobStatus:
        count = sum(known is status for known in facts.children.values())
        if count:
            story.sentences.append(f"{count} of them: {status.value.replace('_', ' ')}.")
    story.help.append(helping.SUBJOBS)
    return story


def _completed(record: JobRecord, facts: Facts) -> _Story:
    story = _Story(f"It is completed: all {len(record.spec.frames)} frames are verified.")
    if record.state.errors:
        story.sentences.append(f"On the way, this went wrong and was mended: {record.state.errors[-1]}")
    story.help.append(helping.LOST)
    return story


def _cancelled(record: JobRecord, facts: Facts) -> _Story:
    total, done = len(record.spec.frames), len(record.state.done)
    story = _Story(f"It was cancelled: {record.state.reason}.", [f"{done} of {total} frames were done by then."])
    story.sentences += _failures(record, facts)
    story.help.append(helping.MISSING)
    return story


def _failed(record: JobRecord, facts: Facts) -> _Story:
    story = _Story(_sentence(f"It failed: {record.state.reason}"), _failures(record, facts), _helps(record))
    story.help.append(helping.MISSING_IN_SUBJOBS if record.spec.children else helping.WHEN_MENDED)
    return story


_TELLERS = {
    JobStatus.CONFIGURING: _configuring,
    JobStatus.SCHEDULED: _scheduled,
    JobStatus.NOT_STARTED: _not_started,
    JobStatus.RUNNING: _running,
    JobStatus.WAITING_FOR_SUBJOBS: _waiting,
    JobStatus.COMPLETED: _completed,
    JobStatus.CANCELLED: _cancelled,
    JobStatus.ERROR: _failed,
}


def _failures(record: JobRecord, facts: Facts) -> list[str]:
    """What has gone wrong so far, the cause first."""
    sentences = [MEANINGS[cause][0]] if (cause := _cause(record)) is not None else []
    errors = record.state.errors
    if len(errors) > MAX_NAMED:
        sentences.append(f"{len(errors)} errors; the last ones:")
    sentences += [_sentence(error) for error in errors[-MAX_NAMED:]]
    if record.state.failed:
        given_up = record.spec.frames.notation(record.state.failed)
        sentences.append(f"Given up after several tries: frames {given_up[:200]}.")
    if facts.last_failure and not any(facts.last_failure in error for error in errors):
        sentences.append(f"The last failed attempt: {_sentence(facts.last_failure)}")
    return sentences


def _helps(record: JobRecord) -> list[Help]:
    cause = _cause(record)
    return list(MEANINGS[cause][1]) if cause is not None else []


def _cause(record: JobRecord) -> FailureCause | None:
    known = record.state.cause
    return FailureCause(known) if known in FailureCause.__members__.values() else None


def _names(records: Sequence[JobRecord]) -> str:
    named = ", ".join(f"{record.spec.name} ({record.id[:8]})" for record in records[:MAX_NAMED])
    left = len(records) - MAX_NAMED
    return f"{named} and {left} more" if left > 0 else named


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 0):.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
