"""The kill loop: start the service, let clients work, kill it with -9 at a bad moment, look at what is left, again.

One seed decides what the clients do and when the kill comes; real processes and a real disk do the rest, so a replay
is close and not exact. After each start and each death the promises of docs/promises.md are checked.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from client import RenderServerProxy
from client.errors import JobNotFound
from client.models import Job, JobStatus
from engines.frames import FrameSet
from tests.faults.traffic import BROKEN_OFF, Ledger, Traffic
from tests.faults.victim import RUN_MARK, Place, Victim, engine_processes, marked
from tests.faults.witness import PromiseBroken, Witness

MOMENTS = ("submit", "upload", "render", "finish", "delete", "cancel", "start", "stop", "engine")
CLIENTS = 3
_END_SECONDS = 180.0


@dataclass
class Score:
    """What a run came to."""

    kills: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    frames: int = 0  # that counted in the end
    wasted: int = 0  # that were whole at a kill and not yet counted
    bad_inputs: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    stop_seconds: float = 0.0


class KillLoop:
    """See the module. ``tell`` is called with a line now and then."""

    def __init__(self, place: Place, seed: int, video: Path, tell: Callable[[str], None] = print) -> None:
        self.place = place.prepare()
        self.score = Score()
        self._dice = random.Random(seed)
        self._ledger = Ledger()
        self._traffic = Traffic(self._dice, self._ledger, video, place.base / "downloads")
        self._witness = Witness(self.place)
        self._tell = tell

    async def run(self, kills: int) -> Score:
        """So many kills, then peace.

        Raises:
            PromiseBroken: see the module.
        """
        for number in range(kills):
            moment = MOMENTS[number % len(MOMENTS)] if number < len(MOMENTS) else self._dice.choice(MOMENTS)
            await self._one_life(moment)
            self.score.kills[moment] += 1
            if (number + 1) % 20 == 0:
                self._tell(f"{number + 1} kills, {len(self._ledger.ids())} jobs, {len(self._witness.counted)} outputs")
        await self._peace()
        self.score.bad_inputs = self._traffic.bad.tried
        self.score.wasted = self._witness.wasted
        return self.score

    # --- one life ------------------------------------------------------------------------------------------------

    async def _one_life(self, moment: str) -> None:
        victim = await Victim.spawn(self.place)
        try:
            if moment == "start":
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._dice.uniform(0.2, 2.0)):
                        await victim.ready()
                        await asyncio.sleep(self._dice.uniform(0, 0.3))
            else:
                await victim.ready()
                async with victim.node() as node:
                    await self._after_start(node)
                    await self._live(victim, node, moment)
        finally:
            await victim.kill()
        self._witness.look(self._ledger.deleted, self._ledger.doubted())

    async def _live(self, victim: Victim, node: RenderServerProxy, moment: str) -> None:
        """Let clients work, and kill the service under them."""
        clients = [asyncio.create_task(self._traffic.run(node)) for _ in range(CLIENTS)]
        try:
            await asyncio.sleep(self._dice.uniform(0.1, 0.9))
            last = await self._bring_about(victim, node, moment)
            victim.send(signal.SIGKILL)
            await asyncio.gather(*clients)
            if last is not None:
                with suppress(*BROKEN_OFF):
                    await last
        finally:
            for client in clients:
                client.cancel()
            await asyncio.gather(*clients, return_exceptions=True)

    async def _bring_about(self, victim: Victim, node: RenderServerProxy, moment: str) -> asyncio.Future[None] | None:
        """Reach the moment; the kill is next. Returns what is under way then."""
        actions = {
            "submit": self._traffic.submit,
            "upload": self._traffic.upload,
            "delete": self._traffic.delete,
            "cancel": self._traffic.cancel,
        }
        if moment in actions:
            under_way = asyncio.ensure_future(actions[moment](node))
            await asyncio.sleep(self._dice.choice([0.002, 0.01, 0.03, 0.1]) * self._dice.random())
            return under_way
        if moment == "finish":
            await self._until_one_ends(node)
            await asyncio.sleep(self._dice.uniform(0, 0.02))
        elif moment == "stop":
            victim.send(signal.SIGTERM)
            await asyncio.sleep(self._dice.uniform(0, 0.6))
        elif moment == "engine":
            self._kill_engine()
            await asyncio.sleep(self._dice.uniform(0, 0.2))
        return None

    async def _until_one_ends(self, node: RenderServerProxy) -> None:
        """Wait for a change in which some job has ended; not for long, there may be none."""
        token = None
        with suppress(TimeoutError, *BROKEN_OFF):
            async with asyncio.timeout(3):
                while True:
                    delta = await node.long_poll_delta(token)
                    if delta is None:
                        return
                    if token is not None and any(job.status.ended for job in delta.jobs):
                        return
                    token = delta.token

    def _kill_engine(self) -> None:
        if engines := sorted(engine_processes(self._witness.store_id)):
            with suppress(ProcessLookupError):
                os.kill(self._dice.choice(engines), signal.SIGKILL)

    # --- after a start -------------------------------------------------------------------------------------------

    async def _after_start(self, node: RenderServerProxy) -> None:
        """The promises that can be seen of a service that has just come back."""
        before = self._witness.store_id
        await self._settle_doubts(node)
        listed = {job.id: job for job in (await node.get_jobs()).jobs}
        known = self._ledger.ids()
        if lost := known - listed.keys():
            raise PromiseBroken(f"1: jobs that were answered are gone: {sorted(lost)}")
        if strange := listed.keys() - known:
            raise PromiseBroken(f"1: there are jobs that nobody has submitted, or that were deleted: {sorted(strange)}")
        for job in listed.values():
            counted = self._witness.frames_of(job.id)
            done = set(FrameSet.parse(job.done_frames)) if job.done_frames else set()
            if not counted <= done:
                raise PromiseBroken(f"2: verified frames of job {job.id} do not count: {sorted(counted - done)}")
        if before:
            self._check_processes(listed)

    async def _settle_doubts(self, node: RenderServerProxy) -> None:
        """Ask about what was sent and not answered, and repeat one submit that was."""
        for submit in list(self._ledger.sent):
            self._ledger.note_answer(submit, await submit.send(node))
        for first in list(self._ledger.deleting):
            try:
                await node.get_job(first)
            except JobNotFound:
                self._ledger.note_deleted(first)
            else:
                await node.delete_job(first)
                self._ledger.note_deleted(first)
        if self._ledger.answered:
            first = self._dice.choice(list(self._ledger.answered))
            again = await self._ledger.answered[first].send(node)
            if tuple(job.id for job in again) != self._ledger.jobs[first]:
                raise PromiseBroken(f"1: a submit that was repeated under its key made other jobs: {again}")

    def _check_processes(self, listed: dict[str, Job]) -> None:
        ended = {job.id for job in listed.values() if job.status.ended}
        for pid, session in engine_processes(self._witness.store_id).items():
            job = session.rpartition("-")[0]
            if job in ended or job in self._ledger.deleted:
                raise PromiseBroken(f"3: process {pid} of job {job}, which has ended, is alive")

    # --- the end -------------------------------------------------------------------------------------------------

    async def _peace(self) -> None:
        """No more faults: every job ends, as it should, and the service leaves nothing behind."""
        victim = await Victim.spawn(self.place)
        try:
            await victim.ready()
            async with victim.node() as node:
                await self._after_start(node)
                jobs = await self._all_ended(node)
            self._check_processes({job.id: job for job in jobs})
            begun = time.monotonic()
            victim.send(signal.SIGTERM)
            code = await victim.gone()
            self.score.stop_seconds = time.monotonic() - begun
            if code != 0:
                raise PromiseBroken(f"6: the service did not stop cleanly (exit code {code}): {victim.said[-2000:]}")
        finally:
            await victim.kill()
        self._witness.look(self._ledger.deleted, ())
        left = {**engine_processes(self._witness.store_id), **marked(RUN_MARK, str(self.place.base))}
        if left:
            raise PromiseBroken(f"3: no service runs, and these processes are alive: {left}")
        for job in jobs:
            self._check_end(job)

    async def _all_ended(self, node: RenderServerProxy) -> list[Job]:
        token, jobs = None, list[Job]()
        try:
            async with asyncio.timeout(_END_SECONDS):
                while True:
                    listed = await node.long_poll(token)
                    if listed is not None:
                        token, jobs = listed.token, listed.jobs
                    if all(job.status.ended for job in jobs):
                        return jobs
        except TimeoutError:
            live = [f"{job.id} {job.status} {job.reason}" for job in jobs if not job.status.ended]
            raise PromiseBroken(f"6: the faults have stopped, and these jobs do not end: {live}") from None

    def _check_end(self, job: Job) -> None:
        """Frames done are the frames in the manifest, each once; nothing is missing that was not given up."""
        self.score.jobs += 1
        self.score.ended[job.status] += 1
        if job.children:
            return
        files, frames = self._witness.files_of(job.id), self._witness.frames_of(job.id)
        self.score.frames += job.frames_done
        if job.file_count != files:
            raise PromiseBroken(f"2: job {job.id} says {job.file_count} files, its manifest {files}")
        if frames and len(frames) != job.frames_done:
            raise PromiseBroken(f"2: job {job.id} says {job.frames_done} frames, its manifest {len(frames)}")
        failed = len(FrameSet.parse(job.failed_frames)) if job.failed_frames else 0
        if job.status is JobStatus.COMPLETED and job.frames_done != job.total_frames:
            raise PromiseBroken(f"2: job {job.id} is completed with {job.frames_done} of {job.total_frames} frames")
        if job.status is JobStatus.ERROR and not failed:
            raise PromiseBroken(f"6: job {job.id} ended as error without a frame that failed: {job.reason}")
        if job.status is JobStatus.CANCELLED and not self._was_cancelled(job):
            raise PromiseBroken(f"6: job {job.id} was cancelled by nobody: {job.reason}")

    def _was_cancelled(self, job: Job) -> bool:
        return job.id in self._ledger.cancelled or job.parent in self._ledger.cancelled
