"""What the service knows of its jobs, to be looked at: statuses of all, newest records of those that have not ended.

Only :class:`app.jobs.service.JobService` changes any of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.jobs import queries
from app.jobs.codec import IDLE, JobProgress, record_from
from app.jobs.errors import TooMany
from app.jobs.record import JobRecord, JobSpec
from app.jobs.store import Statement, Store
from client.models import JobStatus


class JobNotFound(LookupError):
    """There is no job of this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id[:100]!r} on this node")


@dataclass(frozen=True, slots=True)
class Unsaved:
    """A change of a job that is not stored yet."""

    before: JobRecord
    spec: bool  # whether it changed the spec
    also: Sequence[Statement]  # what is to be stored in the same transaction
    committed: Callable[[], None]


@dataclass(slots=True)
class LiveJob:
    """A job that has not ended (or whose end is not committed yet)."""

    record: JobRecord
    committed: JobRecord
    unsaved: list[Unsaved] = field(default_factory=list)  # changes that could not be stored, oldest first
    progress: JobProgress = IDLE
    progress_at: float = 0.0
    trouble: str = ""  # what is not stored yet and why; empty while everything is


class KnownJobs:
    """The jobs of this node. Every method is for the event loop's thread."""

    def __init__(self, store: Store, *, max_live_per_token: int | None = None, max_jobs: int | None = None) -> None:
        self._store = store
        self._max_jobs = max_jobs
        self._max_live_per_token = max_live_per_token
        self._being_stored: Counter[str] = Counter()  # new jobs that are not committed yet, by token
        self._live: dict[str, LiveJob] = {}
        self._status: dict[str, JobStatus] = {}
        self._project_users: dict[str, set[str]] = {}

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._status

    def status(self, job_id: str) -> JobStatus:
        """The status of a job as it was last committed.

        Raises:
            JobNotFound: there is none.
        """
        try:
            return self._status[job_id]
        except KeyError:
            raise JobNotFound(job_id) from None

    def check_room(self, submitted_by: str, count: int = 1) -> None:
        """See that a token may have so many jobs more, and the node so many in all.

        Raises:
            TooMany: one of them may not.
        """
        coming = self._being_stored.total() + count
        if self._max_jobs is not None and len(self._status) + coming > self._max_jobs:
            raise TooMany(
                f"this node keeps {len(self._status)} jobs, and {count} more are asked for; {self._max_jobs} are "
                "allowed (max_jobs): delete some that have ended"
            )
        self.check_live(submitted_by, count)

    def check_live(self, submitted_by: str, count: int = 1) -> None:
        """See that so many jobs more of a token may be alive.

        Raises:
            TooMany: they may not.
        """
        most = self._max_live_per_token
        if most is None or len(self._live) + self._being_stored.total() + count <= most:
            return  # however they are shared out: nothing has to be counted
        have = sum(1 for live in self._live.values() if live.record.spec.submitted_by == submitted_by)
        have += self._being_stored[submitted_by]
        if have + count > most:
            raise TooMany(
                f"this token has {have} jobs that have not ended, and asks for {count} more; {most} are allowed "
                "(max_live_jobs_per_token): wait until some have ended, or cancel some"
            )

    def projects_in_use(self) -> set[str]:
        """The folders below ``projects/`` that some job has, whether or not it has ended."""
        return set(self._project_users)

    def counts(self) -> dict[str, int]:
        """How many jobs there are of every status."""
        counts = {status.value: 0 for status in JobStatus}
        for status in self._status.values():
            counts[status.value] += 1
        return counts

    def of_status(self, status: JobStatus) -> list[str]:
        """The ids of the jobs that have this status, in the order of submission."""
        return [job_id for job_id, known in self._status.items() if known is status]

    def live(self, job_id: str) -> JobRecord | None:
        """The newest record of a job that has not ended; None for every other id."""
        live = self._live.get(job_id)
        return None if live is None else live.record

    def trouble(self, job_id: str) -> str:
        """What has happened to a job and could not be stored, and why; empty if everything is stored."""
        live = self._live.get(job_id)
        return "" if live is None else live.trouble

    def live_records(self) -> list[JobRecord]:
        """The newest records of all jobs that have not ended, oldest first."""
        return [live.record for live in self._live.values()]

    async def record(self, job_id: str) -> JobRecord:
        """The record of any job, from the store if it has ended.

        Raises:
            JobNotFound: there is none.
        """
        if job_id not in self._status:
            raise JobNotFound(job_id)
        live = self._live.get(job_id)
        if live is not None:
            return live.committed
        found = await self._store.read(lambda connection: queries.load_job(connection, job_id))
        if found is None:
            raise JobNotFound(job_id)
        return record_from(*found)


def project_of(spec: JobSpec) -> str | None:
    """The folder below ``projects/`` that the job uses; None if it reads a project in place or has none."""
    if spec.project_path is None or not spec.project_path.startswith("projects/"):
        return None
    return spec.project_path.split("/")[1]
