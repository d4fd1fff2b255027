"""The previews of jobs: made in worker processes, one still and one video at a time, kept until a frame is newer.

A job's newest frame is shown in two sizes, and when the job has ended well, all its frames as a small video. The name
of a cached file is made of what it shows, so that a preview is good for as long as its name is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.outputs.kinds import is_video, is_visible
from app.outputs.manifest import Entry, Manifest
from app.outputs.moving import make_smaller_video, make_video, thinned
from app.outputs.sending import FileAnswer
from app.outputs.stills import SIZES, PreviewError, make_stills
from app.outputs.workers import WorkerCrashed, Workers, WorkersClosed

log = structlog.get_logger(__name__)

DEFAULT_FPS = 24.0
"""Frames per second of a preview whose job says nothing."""
_KEPT = 2  # of each kind in the folder: a client may be about to open the last but one


@dataclass(frozen=True, slots=True)
class PreviewSource:
    """What previews of one job are made of."""

    manifest: Manifest
    output: Path  # the folder of the outputs
    folder: Path  # where the previews are kept; made if need be
    complete: bool = False  # whether the job has ended well: then there is a video
    fps: float | None = None  # frames per second
    colour: Mapping[str, str] | None = None  # see Plan.colour
    colour_config: Path | None = None  # the engine's OpenColorIO config


@dataclass(frozen=True, slots=True)
class Preview:
    """A preview that is ready."""

    path: Path
    media_type: str
    key: str  # changes with what it shows
    size: int  # bytes
    mtime_ns: int

    def answer(self) -> FileAnswer:
        """It as an answer: shown by the browser, not saved; asked for again each time, sent only if it has changed."""
        entry = Entry(self.path.name, self.size, self.key, 0, None, None, None, self.mtime_ns, "")
        return FileAnswer(
            self.path.parent, entry, attachment=False, media_type=self.media_type, cache="private, no-cache"
        )


class Previews:
    """All previews of the service. For the event loop; :meth:`close` before the workers."""

    def __init__(self, workers: Workers, interval: float = 2.0) -> None:
        """``interval``: the least time between two renewals of a job's previews by themselves, in seconds."""
        self._workers = workers
        self._interval = interval
        # One each: so a long video leaves a worker for everything else.
        self._still_turn = asyncio.Semaphore(1)
        self._video_turn = asyncio.Semaphore(1)
        self._making: dict[Path, asyncio.Task[None]] = {}
        self._failed: dict[Path, str] = {}
        self._following: dict[Path, asyncio.Task[None]] = {}
        self._waiting: dict[Path, PreviewSource] = {}

    def notice(self, source: PreviewSource) -> None:
        """A job has new outputs, or has ended: renew its previews soon. Does not wait; may be called at every frame."""
        self._waiting[source.folder] = source
        if source.folder not in self._following:
            task = asyncio.get_running_loop().create_task(self._follow(source.folder))
            self._following[source.folder] = task

    async def get(self, source: PreviewSource, size: str = "small", *, video_ok: bool = False) -> Preview | None:
        """A preview of a job as it is now.

        While the job runs, an older picture is better than waiting for the newest one, which is made meanwhile. The
        video is given only if it is there already.

        Args:
            size: one of :data:`app.outputs.stills.SIZES`.
            video_ok: whether a video will do.

        Returns:
            None if the job has no output that could be shown.

        Raises:
            PreviewError: it cannot be made; the message says why.
            ValueError: there is no such size.
        """
        if size not in SIZES:
            raise ValueError(f"there is no preview size {size[:40]!r}; there are {', '.join(SIZES)}")
        if video_ok and source.complete:
            video = await self._workers.run_quick(_video_path, source)
            if video is not None and (ready := await self._ready(video)) is not None:
                return ready
            self.notice(source)
        newest = _newest(source)
        if newest is None:
            return None
        wanted = _still_path(source, newest, size)
        if (ready := await self._ready(wanted)) is not None:
            return ready
        older = None if source.complete else await self._workers.run_quick(_latest, source.folder, size)
        if older is not None and (ready := await self._ready(older)) is not None:
            self.notice(source)
            return ready
        await self._make_stills(source, newest)
        return await self._ready(wanted)

    async def video(self, source: PreviewSource) -> Preview | None:
        """The preview video, made now if need be; None if there is nothing that moves.

        Raises:
            PreviewError: it cannot be made.
        """
        path = await self._workers.run_quick(_video_path, source)
        if path is None:
            return None
        if (ready := await self._ready(path)) is not None:
            return ready
        await self._make(path, lambda: self._write_video(source, path))
        return await self._ready(path)

    async def forget(self, folder: Path) -> None:
        """The job of this folder is being deleted: stop making previews of it."""
        self._waiting.pop(folder, None)
        tasks = [self._following.pop(folder, None)]
        tasks += [task for path, task in self._making.items() if path.parent == folder]
        self._failed = {path: why for path, why in self._failed.items() if path.parent != folder}
        await _end([task for task in tasks if task is not None])

    async def close(self) -> None:
        """Stop making previews."""
        self._waiting.clear()
        await _end([*self._following.values(), *self._making.values()])

    # --- making --------------------------------------------------------------------------------------------------

    async def _follow(self, folder: Path) -> None:
        """Renew one job's previews until nothing is new."""
        try:
            while (source := self._waiting.pop(folder, None)) is not None:
                try:
                    newest = _newest(source)
                    if newest is not None and await self._ready(_still_path(source, newest, "small")) is None:
                        await self._make_stills(source, newest)
                    if source.complete:
                        await self.video(source)
                except PreviewError as error:
                    log.warning("a preview could not be made", folder=str(folder), reason=str(error))
                await asyncio.sleep(self._interval)
        except WorkersClosed:
            return
        finally:
            if self._following.get(folder) is asyncio.current_task():
                del self._following[folder]

    async def _make_stills(self, source: PreviewSource, newest: Entry) -> None:
        small = _still_path(source, newest, "small")
        await self._make(small, lambda: self._write_stills(source, newest))

    async def _write_stills(self, source: PreviewSource, newest: Entry) -> None:
        targets = {size: _still_path(source, newest, size) for size in SIZES}
        async with self._still_turn:
            await self._workers.run_quick(_make_folder, source.folder)
            await self._workers.run(
                make_stills, source.output / newest.name, targets, dict(source.colour or {}), source.colour_config
            )
            await self._workers.run_quick(_tidy, source.folder)

    async def _write_video(self, source: PreviewSource, target: Path) -> None:
        stills, video = await self._workers.run_quick(_moving, source)
        async with self._video_turn:
            await self._workers.run_quick(_make_folder, source.folder)
            if stills:
                shown, fps = thinned(stills, source.fps or DEFAULT_FPS)
                paths = [source.output / entry.name for entry in shown]
                await self._workers.run(make_video, paths, fps, target, dict(source.colour or {}), source.colour_config)
            elif video is not None:
                await self._workers.run(make_smaller_video, source.output / video.name, target)
            await self._workers.run_quick(_tidy, source.folder)

    async def _make(self, key: Path, work: Callable[[], Coroutine[object, object, None]]) -> None:
        """Do some work once for all who want the same at the same time; what failed is not tried again."""
        if key in self._failed:
            raise PreviewError(self._failed[key])
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.get_running_loop().create_task(work())
            task.add_done_callback(lambda done: self._made(key, done))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise PreviewError("the job is being deleted, or the service stops") from None
            raise
        except (WorkerCrashed, OSError) as error:
            raise PreviewError(str(error)) from error

    def _made(self, key: Path, task: asyncio.Task[None]) -> None:
        self._making.pop(key, None)
        if not task.cancelled() and isinstance(error := task.exception(), PreviewError | WorkerCrashed):
            self._failed[key] = str(error)

    async def _ready(self, path: Path) -> Preview | None:
        return await self._workers.run_quick(found_preview, path)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, PreviewError, WorkerCrashed, OSError, WorkersClosed):
            await task


# --- what shows what -------------------------------------------------------------------------------------------------


def _newest(source: PreviewSource) -> Entry | None:
    return source.manifest.newest(lambda entry: is_visible(entry.name))


def _moving(source: PreviewSource) -> tuple[list[Entry], Entry | None]:
    """The stills of a preview video, one a frame, or else the video that it is made of."""
    by_frame: dict[int, Entry] = {}
    video: Entry | None = None
    for entry in source.manifest.entries():
        if is_video(entry.name):
            video = video or entry
        elif entry.frame is not None and is_visible(entry.name):
            by_frame.setdefault(entry.frame, entry)
    stills = [by_frame[frame] for frame in sorted(by_frame)]
    return (stills, None) if len(stills) > 1 else ([], video)


def _still_path(source: PreviewSource, entry: Entry, size: str) -> Path:
    return source.folder / f"{size}-{key_of(source, entry.sha256)}.jpg"


def _video_path(source: PreviewSource) -> Path | None:
    stills, video = _moving(source)
    shown = stills or ([video] if video is not None else [])
    if not shown:
        return None
    return source.folder / f"video-{key_of(source, str(source.fps), *(entry.sha256 for entry in shown))}.mp4"


def key_of(source: PreviewSource, *shown: str) -> str:
    """A name for what a preview shows, in these colours."""
    colour = sorted((source.colour or {}).items())
    return hashlib.sha256(repr((shown, colour, source.colour_config)).encode()).hexdigest()[:20]


# --- on the disk, in threads ---------------------------------------------------------------------------------------


def found_preview(path: Path) -> Preview | None:
    """The preview in this file, if it is there. For a thread."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    media_type = "video/mp4" if path.suffix == ".mp4" else "image/jpeg"
    return Preview(path, media_type, path.stem, status.st_size, status.st_mtime_ns)


def _make_folder(folder: Path) -> None:
    folder.mkdir(exist_ok=True)


def _newest_first(folder: Path, kind: str) -> list[Path]:
    found = folder.glob(f"{kind}-*") if folder.is_dir() else ()
    return sorted((path for path in found if path.suffix != ".part"), key=lambda path: -path.stat().st_mtime_ns)


def _latest(folder: Path, size: str) -> Path | None:
    return next(iter(_newest_first(folder, size)), None)


def _tidy(folder: Path) -> None:
    for kind in (*SIZES, "video"):
        for path in _newest_first(folder, kind)[_KEPT:]:
            with contextlib.suppress(OSError):  # in use, on Windows: the next time, then
                path.unlink()
