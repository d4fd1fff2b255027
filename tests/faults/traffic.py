"""What clients do to the service while it is being killed, and what they were answered.

The choice of every action comes from one seed. What was sent and not answered is in doubt until the next start: then
it is asked about, and the lists of the service and of the clients must be the same.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from client import RenderServerProxy
from client.errors import (
    Conflict,
    ConnectionFailed,
    JobNotFound,
    NotFound,
    ProtocolError,
    RequestRefused,
    ServerError,
    Timeout,
    TransferFailed,
    Unavailable,
)
from client.models import AddJob, Job
from tests.faults.bad_inputs import BadInputs

BROKEN_OFF = (ConnectionFailed, Timeout, ProtocolError, TransferFailed, Unavailable)
"""What a client meets when the service dies under it, or stops."""
MANY = 30
"""With so many jobs that have not ended, no more are submitted: they shall be rendered as well."""


@dataclass(frozen=True)
class Submit:
    """One request of ``POST /api/add_job``."""

    key: str
    document: AddJob
    file: Path | None

    async def send(self, node: RenderServerProxy) -> list[Job]:
        """Send it."""
        return await node.create_job(self.document, self.file, idempotency_key=self.key)


@dataclass
class Ledger:
    """What was answered, and what is in doubt."""

    answered: dict[str, Submit] = field(default_factory=dict)  # by the id of its first job
    jobs: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by the id of the first job: the ids of all
    sent: list[Submit] = field(default_factory=list)  # not answered
    deleting: set[str] = field(default_factory=set)  # not answered
    deleted: set[str] = field(default_factory=set)  # every id of theirs
    cancelled: set[str] = field(default_factory=set)

    def ids(self) -> set[str]:
        """Every job that there must be."""
        return {one for jobs in self.jobs.values() for one in jobs}

    def doubted(self) -> set[str]:
        """Every job that may be deleted or not."""
        return {one for first in self.deleting for one in self.jobs[first]}

    def note_answer(self, submit: Submit, jobs: Sequence[Job]) -> None:
        """A submit was answered."""
        first = jobs[0].id
        self.answered[first] = submit
        self.jobs[first] = tuple(job.id for job in jobs)
        if submit in self.sent:
            self.sent.remove(submit)

    def note_deleted(self, first: str) -> None:
        """A job and its subjobs are gone."""
        self.deleting.discard(first)
        self.deleted.update(self.jobs.pop(first))
        del self.answered[first]


class Traffic:
    """Does what clients do. ``video``: a small project for FFmpeg; ``tried``: bad requests that were refused."""

    def __init__(self, dice: random.Random, ledger: Ledger, video: Path, downloads: Path) -> None:
        self.ledger = ledger
        self._dice = dice
        self._video = video
        self._downloads = downloads
        self._number = 0
        self.bad = BadInputs(dice)
        self._actions: list[tuple[int, Callable[[RenderServerProxy], Awaitable[None]]]] = [
            (8, self.submit),
            (1, self.upload),
            (2, self.cancel),
            (3, self.delete),
            (3, self.look),
            (2, self.fetch),
            (2, self.misbehave),
        ]

    async def run(self, node: RenderServerProxy) -> None:
        """One client: one action after the other, until the service is gone."""
        weights, actions = zip(*self._actions, strict=True)
        while True:
            [action] = self._dice.choices(actions, weights)
            try:
                await action(node)
            except BROKEN_OFF:
                return
            await asyncio.sleep(self._dice.uniform(0, 0.05))  # clients think; the service also has jobs to render

    # --- actions -------------------------------------------------------------------------------------------------

    async def submit(self, node: RenderServerProxy) -> None:
        """A job of the test pattern, sometimes one with subjobs."""
        if self._dice.random() < 0.8 and len(self._unfinished(await node.get_jobs())) >= MANY:
            return
        await self._send(node, Submit(self._key(), AddJob.model_validate(self._pattern()), None))

    async def upload(self, node: RenderServerProxy) -> None:
        """A job of FFmpeg with a project of some megabytes."""
        document = {"renderer": "ffmpeg", "args": {"preset": self._dice.choice(["h264_web", "video_to_frames"])}}
        await self._send(node, Submit(self._key(), AddJob.model_validate(document), self._video))

    async def cancel(self, node: RenderServerProxy) -> None:
        """Cancel some job."""
        if job := self._some_job():
            self.ledger.cancelled.update(self.ledger.jobs[job])
            await _unless_gone(node.cancel_job(job))

    async def delete(self, node: RenderServerProxy) -> None:
        """Delete some job, with its subjobs."""
        if job := self._some_job():
            self.ledger.deleting.add(job)
            await _unless_gone(node.delete_job(job))
            self.ledger.note_deleted(job)

    async def look(self, node: RenderServerProxy) -> None:
        """Read the list, and the log of some job."""
        jobs = (await node.get_jobs()).jobs
        if jobs:
            await _unless_gone(node.get_job_logs(self._dice.choice(jobs).id))

    async def fetch(self, node: RenderServerProxy) -> None:
        """Fetch the outputs of some job as a zip."""
        if job := self._some_job():
            self._downloads.mkdir(exist_ok=True)
            target = self._downloads / f"{self._key()}.zip"
            await _unless_gone(node.download_all_job_files(job, target))

    async def misbehave(self, node: RenderServerProxy) -> None:
        """Send what no client should send."""
        await self.bad.send(node)

    # --- parts ---------------------------------------------------------------------------------------------------

    async def _send(self, node: RenderServerProxy, submit: Submit) -> None:
        self.ledger.sent.append(submit)
        self.ledger.note_answer(submit, await submit.send(node))

    def _key(self) -> str:
        self._number += 1
        return f"faults-{self._number}"

    def _some_job(self) -> str | None:
        known = [first for first in self.ledger.jobs if first not in self.ledger.deleting]
        return self._dice.choice(known) if known else None

    @staticmethod
    def _unfinished(listed: object) -> list[Job]:
        jobs = getattr(listed, "jobs", [])
        return [job for job in jobs if not job.status.ended]

    def _pattern(self) -> dict[str, object]:
        dice = self._dice
        size = dice.choice([16, 32, 64])
        options: dict[str, object] = {"width": size, "height": size}
        if dice.random() < 0.5:
            options["seconds_per_frame"] = dice.choice([0.02, 0.05, 0.1])
        if dice.random() < 0.2:
            options["ignore_term"] = True
        if dice.random() < 0.2:
            options["grandchildren"] = dice.randint(1, 2)
        if dice.random() < 0.1:
            options[dice.choice(["fail_frames", "crash_frames", "broken_frames"])] = "2"
        document: dict[str, object] = {
            "renderer": "testpattern",
            "frames": f"1-{dice.randint(2, 9)}",
            "args": options,
            "priority": dice.randint(0, 100),
        }
        if dice.random() < 0.1:
            document["child_jobs"] = [{"frames": "1-3"}, {"frames": "4-5"}]
        return document


async def _unless_gone(request: Awaitable[object]) -> None:
    """Await a request about a job that somebody else may just have deleted, or that has no outputs yet."""
    try:
        await request
    except (JobNotFound, NotFound, Conflict):
        pass
    except ServerError as error:
        if isinstance(error, Unavailable):
            raise
        raise AssertionError(f"the service failed: {error.status} {error}") from error
    except RequestRefused as error:
        raise AssertionError(f"the service refused what it should do: {error.status} {error}") from error
