"""The other side of the lanes: tells the nodes of their parents how our subjobs are, again and again until they have
heard it, also after a restart; and forgets a subjob some time after nothing more is wanted of it.

An update says all there is to say, so that it does not matter which of them are lost, late or doubled. What its answer
says counts here: a subjob of which nothing is wanted any more is cancelled, and one that nobody knows is deleted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Final

import structlog
from pydantic import TypeAdapter

from app.jobs import queries
from app.jobs.events import Effect, JobEvent
from app.jobs.known import JobNotFound
from app.jobs.record import JobRecord, Origin
from app.jobs.service import JobService
from app.jobs.store import Store, StoreError
from app.peers.peer import PeerChange
from app.peers.registry import Peers
from client.connection import read
from client.errors import RequestRefused, ZordonError
from client.models import NodeState, SubjobAnswer, SubjobUpdate

log = structlog.get_logger(__name__)

FORGET_SECONDS: Final = 600.0
"""So long after nothing more is wanted of a subjob it is forgotten."""
REPEAT_SECONDS: Final = 2.0
"""So often an update is repeated while the parent fetches what an ended subjob has."""
ALIVE_SECONDS: Final = 5.0
"""So often it is told that nothing has changed."""
PAUSE_SECONDS: Final = 0.1
"""The least time between two updates of one subjob."""
_BACK_OFF: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
_ANSWER: Final = TypeAdapter(SubjobAnswer)


class Reporting:
    """The subjobs that other nodes have here. For the event loop's thread; :meth:`start` it, :meth:`close` it."""

    def __init__(self, store: Store, jobs: JobService, peers: Peers) -> None:
        self._store = store
        self._jobs = jobs
        self._peers = peers
        self._news: dict[str, asyncio.Event] = {}  # by id of the subjob
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._revision = 0
        jobs.on_effect(self._effect)
        jobs.on_event(self._event)
        peers.on_change(self._peer_changed)

    async def start(self) -> None:
        """Go on with what was not confirmed before a restart."""
        now = time.time()
        for job, confirmed in (await self._store.read(queries.load_origins)).items():
            if confirmed is None:
                self._tell(job)
            else:
                self._spawn(self._forget(job, confirmed + FORGET_SECONDS - now), f"forget {job}")

    async def close(self) -> None:
        """Tell nothing any more; the next start goes on."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- what happens ----------------------------------------------------------------------------------------------

    def _effect(self, record: JobRecord, effect: Effect) -> None:
        if record.spec.origin is not None:
            self._tell(record.id)

    def _event(self, record: JobRecord, event: JobEvent) -> None:
        if record.spec.origin is not None:
            self._tell(record.id)

    def _peer_changed(self, change: PeerChange) -> None:
        if change.state is NodeState.ONLINE:
            for news in self._news.values():
                news.set()

    def _tell(self, job: str) -> None:
        if self._closing:
            return
        news = self._news.get(job)
        if news is None:
            news = self._news[job] = asyncio.Event()
            self._spawn(self._tell_until_confirmed(job, news), f"tell of {job}")
        news.set()

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("a subjob is told of no more", task=task.get_name(), exc_info=error)

    # --- telling ---------------------------------------------------------------------------------------------------

    async def _tell_until_confirmed(self, job: str, news: asyncio.Event) -> None:
        failures, patience = 0, ALIVE_SECONDS
        try:
            while True:
                try:
                    async with asyncio.timeout(patience):
                        await news.wait()
                except TimeoutError:
                    pass
                news.clear()
                record = await self._jobs.record(job)
                if record.spec.origin is None:
                    return
                answer = await self._say(record, record.spec.origin)
                if answer is None:
                    patience = _BACK_OFF[min(failures, len(_BACK_OFF) - 1)]
                    failures += 1
                    continue
                failures = 0
                if await self._is_confirmed(record, answer):
                    return
                patience = REPEAT_SECONDS if record.ended else ALIVE_SECONDS
                await asyncio.sleep(PAUSE_SECONDS)
        except JobNotFound:
            return  # somebody has deleted it
        finally:
            self._news.pop(job, None)

    async def _say(self, record: JobRecord, origin: Origin) -> SubjobAnswer | None:
        """What the parent's node answers; None: it has not heard it."""
        peer = self._peers.get(origin.node)
        if peer is None or not peer.usable:
            return None
        self._revision = max(self._revision + 1, time.time_ns() // 1_000_000)  # a clock may be set back
        update = update_of(record, origin, self._revision)
        try:
            client = peer.client
            answer = await client.post(f"/api/jobs/{origin.parent}/subjob_update", update.model_dump(mode="json"))
            return read(_ANSWER, answer)
        except RequestRefused as error:
            log.warning("an update of a subjob was refused", job=record.id, node=peer.name, reason=str(error))
        except ZordonError as error:
            log.info("an update of a subjob was not heard", job=record.id, node=peer.name, reason=str(error))
        return None

    async def _is_confirmed(self, record: JobRecord, answer: SubjobAnswer) -> bool:
        """Do what an answer asks for. Returns whether there is nothing more to tell."""
        try:
            if not answer.known:
                await self._jobs.delete(record.id)
                return True
            if answer.wanted:
                return False
            if not record.ended:
                await self._jobs.cancel(record.id, "the node of its parent wants nothing more of it")
                return False
            now = time.time()
            await self._store.write([queries.confirm_origin(record.id, now)])
        except StoreError as error:
            log.error("what became of a subjob could not be stored", job=record.id, reason=str(error))
            return False
        self._spawn(self._forget(record.id, FORGET_SECONDS), f"forget {record.id}")
        return True

    async def _forget(self, job: str, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
        try:
            await self._jobs.delete(job)
        except JobNotFound:
            return
        except StoreError as error:
            log.error("a subjob cannot be forgotten; the next start tries again", job=job, reason=str(error))


def update_of(record: JobRecord, origin: Origin, revision: int) -> SubjobUpdate:
    """All there is to say of a subjob now."""
    spec, state = record.spec, record.state
    done = len(state.done)
    return SubjobUpdate(
        id=record.id,
        status=record.status,
        reason=state.reason[:1000],
        errors=[error[:1000] for error in state.errors[-5:]],
        attempt=origin.attempt,
        revision=revision,
        done_frames=spec.frames.notation(state.done),
        failed_frames=spec.frames.notation(state.failed),
        cause=state.cause,
        percent=100.0 * done / len(spec.frames),
        seconds_per_frame=state.seconds_per_frame,
    )
