"""Jobs that a person changes: their name, their place in the queue, their notes. In whatever state they are."""

from __future__ import annotations

import structlog

from app.jobs.events import Effect, JobEdited, PriorityChanged
from app.jobs.known import JobNotFound
from app.jobs.record import JobRecord
from app.jobs.retrying import RetryingJobs
from app.jobs.store import StoreError

log = structlog.get_logger(__name__)


class EditingJobs(RetryingJobs):
    """Changes what a person may change."""

    async def edit(self, job_id: str, edit: JobEdited) -> bytes:
        """Change a job, live or ended; its subjobs get the same priority. Returns its wire bytes.

        Raises:
            JobNotFound: there is none.
            StoreError: nothing was changed.
        """
        if job_id not in self._status:
            raise JobNotFound(job_id)
        await self._apply_to_any(job_id, edit)
        wire = self._feed.job(job_id)
        if wire is None:
            raise JobNotFound(job_id)
        return wire

    def _tell(self, record: JobRecord, effect: Effect) -> None:
        if isinstance(effect, PriorityChanged):
            for child in record.spec.children:
                self._spawn(self._pass_on(child, JobEdited(priority=effect.priority)))
        super()._tell(record, effect)

    async def _pass_on(self, child: str, edit: JobEdited) -> None:
        try:
            await self._apply_to_any(child, edit)
        except (JobNotFound, StoreError) as error:
            log.warning("a subjob could not be changed as its parent was", job=child, reason=str(error))
