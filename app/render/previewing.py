"""What the previews of a job are made of: its outputs, its frame rate, the colours of the engine that rendered it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping

import structlog

from app.jobs.events import Effect, Ended
from app.jobs.folders import DataFolder
from app.jobs.record import JobRecord
from app.jobs.service import JobNotFound, JobService
from app.jobs.subjobs import subjobs_of
from app.outputs.colours import read_colours, write_colours
from app.outputs.frame_previews import FramePreviews
from app.outputs.kinds import is_visible
from app.outputs.manifest import Manifest, Manifests
from app.outputs.previews import Preview, Previews, PreviewSource
from app.outputs.sending import FileAnswer
from app.outputs.stills import PreviewError
from app.render.catalog import EngineCatalog
from client.models import JobStatus
from engines.contract import EngineVersion

log = structlog.get_logger(__name__)

_REMEMBERED = 1000


class JobPreviews:
    """The previews of all jobs, by job."""

    def __init__(
        self,
        previews: Previews,
        jobs: JobService,
        catalog: EngineCatalog,
        folders: DataFolder,
        manifests: Manifests,
        frames: FramePreviews,
    ) -> None:
        self._previews = previews
        self._frames = frames
        self._jobs = jobs
        self._catalog = catalog
        self._folders = folders
        self._manifests = manifests
        # What the engine itself said of its colours; None: nothing but what the plan says.
        self._colours: dict[str, Mapping[str, str] | None] = {}
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, job_id: str, size: str, *, video_ok: bool) -> Preview | None:
        """A preview of a job as it is now; None if it has no output that could be shown.

        A parent renders nothing itself: it is shown by the newest picture of its subjobs.

        Args:
            size: ``small`` or ``big``.
            video_ok: whether the video will do, if it is there already.

        Raises:
            JobNotFound: there is no such job.
            PreviewError: it cannot be made.
        """
        source = await self._source_of(job_id)
        if not len(source.manifest) and (child := await self._newest_of_subjobs(job_id)) is not None:
            # The video of one subjob would show a part of the job as if it were all of it.
            return await self._previews.get(child, size, video_ok=False)
        return await self._previews.get(source, size, video_ok=video_ok)

    async def video(self, job_id: str) -> Preview | None:
        """The preview video of a completed job, made now if need be; None if there is nothing that moves.

        Raises:
            JobNotFound: there is no such job.
            PreviewError: it cannot be made.
        """
        return await self._previews.video(await self._source_of(job_id))

    async def frame(self, job_id: str, frame: int, size: str) -> FileAnswer | None:
        """The picture of one frame of a job, as an answer; None if the frame is not verified, or no output shows it.

        Args:
            size: one of :data:`app.outputs.frame_previews.FRAME_SIZES`.

        Raises:
            JobNotFound: there is no such job.
            PreviewError: it cannot be made.
            PreviewsBusy: too many are being made.
        """
        record = await self._jobs.record(job_id)
        records = [record, *(await subjobs_of(self._jobs, record)).values()]
        for one in records:
            frames = one.spec.frames
            if frame not in frames or one.spec.children:
                continue
            position = frames.position(frame)
            if position in one.state.done:
                source = await self._source_of(one.id)
                try:
                    return await self._frames.get(source, frame, (position, len(frames)), size)
                except PreviewError:
                    if one.id in self._jobs:
                        raise
                    raise JobNotFound(job_id) from None  # it was deleted meanwhile
        return None

    def on_frames(self, record: JobRecord, version: EngineVersion, colour: Mapping[str, str]) -> None:
        """A job has new outputs: renew its previews soon."""
        if colour and colour != self._colours.get(record.id):
            self._remember(record.id, dict(colour))
            self._start(self._keep(record, dict(colour)))
        self._notice(record)

    def on_effect(self, record: JobRecord, effect: Effect) -> None:
        """A job has ended well: make its video."""
        if isinstance(effect, Ended) and effect.status is JobStatus.COMPLETED:
            self._notice(record)

    async def close(self) -> None:
        """Wait until what engines said of their colours is written down. Comes before the previews are closed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def forget(self, job_id: str) -> None:
        """The job is gone, and its files go next: whoever makes a preview of them stops."""
        self._colours.pop(job_id, None)
        await self._previews.forget(self._folders.previews(job_id))
        await self._frames.forget(self._folders.previews(job_id))

    async def _newest_of_subjobs(self, job_id: str) -> PreviewSource | None:
        newest: tuple[int, PreviewSource] | None = None
        for child in (await subjobs_of(self._jobs, await self._jobs.record(job_id))).values():
            source = await self._source_of(child.id)
            entry = source.manifest.newest(lambda entry: is_visible(entry.name))
            if entry is not None and (newest is None or entry.mtime_ns > newest[0]):
                newest = entry.mtime_ns, source
        return None if newest is None else newest[1]

    async def _source_of(self, job_id: str) -> PreviewSource:
        record = await self._jobs.record(job_id)
        path = self._folders.manifest(job_id)
        manifest = self._manifests.at_hand(path)
        if manifest is None:
            manifest = await asyncio.to_thread(self._manifests.at, path)
        await self._recall(job_id)
        return self._source(record, manifest)

    def _notice(self, record: JobRecord) -> None:
        if record.spec.origin is not None:
            return  # a share of a job of another node: that one shows all of it; here it is made if somebody asks
        if record.id not in self._colours:
            self._start(self._notice_later(record))
            return
        manifest = self._manifests.at_hand(self._folders.manifest(record.id))
        if manifest is not None:
            self._previews.notice(self._source(record, manifest))

    async def _notice_later(self, record: JobRecord) -> None:
        await self._recall(record.id)
        if record.id in self._jobs:  # it may have been deleted meanwhile
            self._notice(record)

    # --- colours -------------------------------------------------------------------------------------------------

    async def _recall(self, job_id: str) -> None:
        """Have at hand what the engine of a job said of its colours, perhaps to a service that ran before this one."""
        if job_id in self._colours:
            return
        try:
            said = await asyncio.to_thread(read_colours, self._folders.colours(job_id))
        except OSError as error:
            log.warning("the colours of a job cannot be read", job=job_id, reason=str(error))
            said = None
        if job_id not in self._colours:  # the engine itself may have spoken meanwhile
            self._remember(job_id, said)

    def _remember(self, job_id: str, colour: Mapping[str, str] | None) -> None:
        self._colours[job_id] = colour
        if len(self._colours) > _REMEMBERED:
            del self._colours[next(iter(self._colours))]

    async def _keep(self, record: JobRecord, colour: Mapping[str, str]) -> None:
        path = self._folders.colours(record.id)
        try:
            async with self._writing:  # in the order in which they were said
                if colour == dict(record.spec.colour):
                    await asyncio.to_thread(path.unlink, missing_ok=True)
                else:
                    await asyncio.to_thread(write_colours, path, colour)
        except FileNotFoundError:
            return  # the job was deleted
        except OSError as error:
            log.warning("the colours of a job cannot be kept", job=record.id, reason=str(error))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _source(self, record: JobRecord, manifest: Manifest) -> PreviewSource:
        spec = record.spec
        version = self._catalog.find(spec.engine, spec.engine_version)
        engine = self._catalog.engines.get(spec.engine)
        return PreviewSource(
            manifest=manifest,
            output=self._folders.output(spec.id),
            folder=self._folders.previews(spec.id),
            complete=record.status is JobStatus.COMPLETED,
            fps=spec.fps,
            colour=self._colours.get(spec.id) or spec.colour,
            colour_config=engine.colour_config(version) if engine is not None and version is not None else None,
        )
