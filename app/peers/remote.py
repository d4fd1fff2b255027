"""One attempt that another node makes: asked for there as a subjob, followed, its frames brought home one by one.

It tells what happens as events of the job, like a slot does. That the attempt is over may be decided from outside at
any time (:meth:`RemoteAttempt.let_go`): then the rules have been told already, and what is still under way only ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from pydantic import JsonValue, TypeAdapter

from app.jobs.record import JobRecord
from app.jobs.store import StoreError
from app.outputs.verification import VerificationError
from app.peers.collecting import as_fetched, fetch, outputs_of
from app.peers.outcomes import Broke, Came, LetGo, Outcome, Short
from app.peers.peer import Peer
from app.peers.updates import frames_of, job_of, update_from
from app.render.at_work import JobAtWork
from app.render.session_request import session_request
from app.render.supervisor import Supervisor
from client.connection import read, worth_repeating
from client.errors import JobNotFound, RequestRefused, TransferFailed, ZordonError
from client.models import Job, JobStatus, OutputEntry, SubjobUpdate
from engines.contract import Chunk, ExpectedOutput, FailureCause, Refusal
from engines.frames import IndexSet

log = structlog.get_logger(__name__)

SILENCE_SECONDS: Final = 15.0
"""After so long without an update a node is asked how its subjob is."""
_SUBMIT_SECONDS: Final = 120.0
_PAUSES: Final = (0.2, 0.5, 1.0, 2.0)
_JOBS: Final = TypeAdapter(list[Job])


Bring = Callable[[JobRecord, Peer], Awaitable[str | None]]
"""Brings the project of a job and its engine version to a node; gives the id of the tree there, None if the job has no
project. Raises ZordonError."""
Home = Callable[["RemoteAttempt", IndexSet, float | None], None]
"""Told of frames that were verified here and moved into the outputs."""


@dataclass(eq=False)
class RemoteAttempt:
    """See the module.

    Attributes:
        attempt: its id.
        job: id of the job.
        peer: the node that makes it.
        positions: the chunk.
        work: of the job, entered for as long as this lives.
        subjob: its id there, once it is known.
        begun: whether a frame of it is being rendered there.
        since: when it was given, or its last frame came, by ``time.monotonic()``.
    """

    attempt: str
    job: str
    peer: Peer
    positions: IndexSet
    work: JobAtWork
    supervisor: Supervisor
    bring: Bring
    home: Home
    origin: dict[str, JsonValue]
    subjob: str | None = None
    begun: bool = False
    since: float = field(default_factory=time.monotonic)
    frames_home: int = 0
    named: Callable[[RemoteAttempt], None] = lambda remote: None
    _update: SubjobUpdate | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _over: bool = False
    _inner: asyncio.Task[Outcome] | None = None
    _keeping: asyncio.Task[None] | None = None

    @property
    def node(self) -> str:
        """Id of the node."""
        return self.peer.id

    def heard(self, update: SubjobUpdate) -> None:
        """Its node says how it is. What comes late, or twice, changes nothing."""
        if self._update is not None and update.revision <= self._update.revision:
            return
        if self._update is not None and self._update.status.ended and not update.status.ended:
            return
        if update.status is JobStatus.RUNNING and not self.begun:
            self.begun, self.since = True, time.monotonic()
        self._update = update
        self._news.set()

    def let_go(self) -> None:
        """The attempt is over: end what is under way for it. A frame that is just being kept is kept."""
        self._over = True
        if self._inner is not None and self._keeping is None:
            self._inner.cancel()

    async def run(self, committed: asyncio.Future[None]) -> Outcome:
        """Follow it to its end.

        Args:
            committed: of the attempt and its row; nothing is asked for before.
        """
        self._inner = asyncio.get_running_loop().create_task(self._run(committed))
        try:
            return await self._inner
        except asyncio.CancelledError:
            if self._over and self._inner.cancelled():
                return LetGo()
            self._inner.cancel()
            await asyncio.gather(self._inner, return_exceptions=True)
            raise

    async def _run(self, committed: asyncio.Future[None]) -> Outcome:
        try:
            await committed
            await self.supervisor.delivery.hold(self._record())
            if self.subjob is None:
                await self._submit()
            return await self._follow()
        except JobNotFound:
            return Broke(f"{self.peer.name} does not know its subjob any more", fault=False)
        except (RequestRefused, TransferFailed) as error:
            return Broke(str(error), fault=True)
        except ZordonError as error:
            return Broke(str(error), fault=False)
        except VerificationError as error:
            free, space = await self.supervisor.space.free(), self.supervisor.space
            if error.cause is FailureCause.DISK and space.is_short(free, self.job):
                return Short(str(error))
            return Broke(f"what has come cannot be counted: {error}", fault=error.cause is not FailureCause.DISK)
        except (Refusal, LookupError, StoreError, OSError) as error:
            return Broke(f"it cannot be followed here: {error}", fault=False)
        except Exception as error:  # whatever an engine of somebody else raises, the others go on
            log.exception("an engine or the service has a fault", job=self.job, attempt=self.attempt)
            return Broke(f"there is a fault in the service ({type(error).__name__}): {error}", fault=True)

    # --- asking for it -------------------------------------------------------------------------------------------

    async def _submit(self) -> None:
        record = self._record()
        tree = await self.bring(record, self.peer)
        body = self._request(record, tree)
        for pause in (*_PAUSES, None):
            try:
                client = self.peer.client
                answer = await client.post("/api/add_job", body, self.attempt, timeout=_SUBMIT_SECONDS)
                break
            except ZordonError as error:
                if pause is None or not worth_repeating(error) or not self.peer.usable:
                    raise
                await asyncio.sleep(pause)
        self.subjob = read(_JOBS, answer)[0].id
        self.named(self)

    def _request(self, record: JobRecord, tree: str | None) -> dict[str, JsonValue]:
        spec = record.spec
        args: dict[str, JsonValue] = dict(spec.options)
        if spec.raw_arguments:
            args["raw_arguments"] = list(spec.raw_arguments)
        body: dict[str, JsonValue] = {
            "renderer": spec.engine,
            "engine_version": spec.engine_version,
            "name": spec.output_name,
            "frames": spec.frames.notation(self.positions) if spec.divisible else spec.frames.notation(),
            "args": args,
            "output_format": spec.output_format,
            "priority": spec.priority,
            "notes": f"frames of {spec.name} for {spec.hostname}"[:10_000],
            "enable_split_jobs": False,
            "subjob": self.origin,
        }
        if spec.parts:
            first = spec.frames.frame(self.positions.spans[0][0])
            body["part"] = {"first": first, "failures": record.failures_at(self.positions)}
        if tree is not None:
            body["project_tree"] = tree
        return body

    # --- following it --------------------------------------------------------------------------------------------

    async def _follow(self) -> Outcome:
        expected = await asyncio.to_thread(self._expected)
        while True:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                await self._ask()
            self._news.clear()
            update = self._update
            if update is None:
                continue
            await self._bring_home(update, expected)
            if update.status.ended and update is self._update:
                return Came(update)

    async def _ask(self) -> None:
        """Ask its node how it is: a word of it may have been lost, or the subjob is not there any more."""
        if not self.peer.usable:
            return
        assert self.subjob is not None
        revision = self._update.revision + 1 if self._update is not None else 0
        self.heard(update_from(await job_of(self.peer.client, self.subjob), self.attempt, revision))

    def _expected(self) -> Sequence[ExpectedOutput]:
        """The files that come of the chunk."""
        record, owner = self._record(), self.supervisor
        spec = record.spec
        version = owner.catalog.find(spec.engine, spec.engine_version)
        if version is None:
            raise LookupError(f"{spec.engine} {spec.engine_version} is not here any more")
        engine = owner.catalog.engine(spec.engine)
        request = session_request(record, version, self.attempt, engine, owner.settings, owner.folders)
        chunk = self._chunk(record)
        chunk.folder.mkdir(parents=True, exist_ok=True)
        return engine.expected(request, chunk)

    def _chunk(self, record: JobRecord) -> Chunk:
        folder = self.supervisor.folders.attempt(self.attempt)
        return Chunk(self.attempt, record.spec.frames.frames_at(self.positions), folder)

    async def _bring_home(self, update: SubjobUpdate, expected: Sequence[ExpectedOutput]) -> None:
        record = self._record()
        if record.spec.divisible:
            await self._bring_frames(record, update, expected)
        elif update.status is JobStatus.COMPLETED and self.wanted():
            await self._bring_all(record, expected)

    async def _bring_frames(self, record: JobRecord, update: SubjobUpdate, expected: Sequence[ExpectedOutput]) -> None:
        there = frames_of(record, update.done_frames)
        if not there & self.wanted():
            return
        assert self.subjob is not None
        files = {item.frame: item for item in expected if item.frame is not None}
        outputs = {one.frame: one for one in await outputs_of(self.peer.client, self.subjob)}
        for position in there & self.wanted():
            frame = record.spec.frames.frame(position)
            if frame in files and frame in outputs and position in self.wanted():
                item, output = files[frame], outputs[frame]
                await self._take(record, IndexSet.span(position, position), {item.name: item}, [output], output.seconds)

    async def _bring_all(self, record: JobRecord, expected: Sequence[ExpectedOutput]) -> None:
        """The files of a job, or of a part, that is there whole or not at all."""
        assert self.subjob is not None
        files = {item.name: item for item in expected}
        outputs = [one for one in await outputs_of(self.peer.client, self.subjob) if one.name in files]
        took = time.monotonic() - self.since
        await self._take(record, self.positions, files, outputs, took / max(1, len(self.positions)))

    async def _take(
        self,
        record: JobRecord,
        positions: IndexSet,
        expected: Mapping[str, ExpectedOutput],
        outputs: Sequence[OutputEntry],
        seconds: float | None,
    ) -> None:
        """Fetch, verify and keep files that count together."""
        assert self.subjob is not None
        chunk = self._chunk(record)
        only = next(iter(expected)) if len(expected) == 1 else None  # by its frame: its name there does not matter
        for output in outputs:
            await fetch(lambda: self.peer.client, self.subjob, output, chunk.folder / (only or output.name))
        wanted = [as_fetched(one) if record.spec.parts else one for one in expected.values()]
        keep = self._keep(record, chunk, positions, wanted, seconds)
        self._keeping = asyncio.get_running_loop().create_task(keep)
        try:
            await asyncio.shield(self._keeping)
        finally:
            if not self._keeping.done():
                await asyncio.wait([self._keeping])
            self._keeping = None
        if self._over:
            raise asyncio.CancelledError

    async def _keep(
        self,
        record: JobRecord,
        chunk: Chunk,
        positions: IndexSet,
        expected: Sequence[ExpectedOutput],
        seconds: float | None,
    ) -> None:
        await self.supervisor.delivery.deliver(record, chunk, expected, seconds, node=self.peer.name)
        if not self.frames_home and self.begun and seconds is not None:
            passed = time.monotonic() - self.since
            self.work.start_took(max(0.0, passed - seconds * len(positions)), self.node)
        self.frames_home += len(positions)
        self.since = time.monotonic()
        self.home(self, positions, seconds)

    # --- what is known -------------------------------------------------------------------------------------------

    def wanted(self) -> IndexSet:
        """Positions that it still has to bring."""
        record = self.supervisor.jobs.live(self.job)
        if record is None or self._over:
            return IndexSet()
        return record.state.running.positions(self.attempt)

    def progress(self) -> tuple[float, str]:
        """Frames in work, and what is being done."""
        update = self._update
        if update is None or not self.begun:
            return 0.0, f"{self.peer.name} has {len(self.positions)} frames"
        inside = update.percent / 100.0 * len(self.positions) - self.frames_home
        return max(0.0, min(inside, 1.0)), f"{self.peer.name}"

    def _record(self) -> JobRecord:
        record = self.supervisor.jobs.live(self.job)
        if record is None:
            raise LookupError("the job has ended")
        return record
