"""Previews of single frames, for whoever looks through a job: made when they are asked for, in a worker process, and
kept for a while. The name of a cached file is made of what it shows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path

from app.outputs.frame_stills import FULL, make_frame_still
from app.outputs.kinds import is_video, is_visible, media_type_of
from app.outputs.manifest import Entry
from app.outputs.previews import Preview, PreviewSource, found_preview, key_of
from app.outputs.sending import FileAnswer
from app.outputs.stills import PreviewError
from app.outputs.workers import WorkerCrashed, Workers

FRAME_SIZES = ("small", "big", FULL)
_KEPT: Mapping[str, int] = {"small": 2000, "big": 300, FULL: 30}
"""How many of each size are kept of a job; about 60 MB."""
_MOST_WAITING = 300
"""More than fit on a screen."""
_SHOWN_AS_THEY_ARE = frozenset({"image/png", "image/jpeg", "image/webp"})
"""What every browser shows in full as it is."""
_FAILURES_KEPT = 1000


class PreviewsBusy(Exception):
    """So many previews are being made that another one has to wait; asking again helps."""


class FramePreviews:
    """Previews of frames of all jobs. For the event loop; :meth:`close` before the workers."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._turn = asyncio.Semaphore(1)  # so the other worker is left for everything else
        self._making: dict[Path, asyncio.Task[None]] = {}
        self._failed: dict[Path, str] = {}

    async def get(self, source: PreviewSource, frame: int, place: tuple[int, int], size: str) -> FileAnswer | None:
        """The picture of one verified frame, as an answer.

        Args:
            frame: its number.
            place: its position among the frames of the job, and how many there are.
            size: one of :data:`FRAME_SIZES`.

        Returns:
            None if no output shows it.

        Raises:
            PreviewError: it cannot be made.
            PreviewsBusy: see the class.
        """
        entry = await self._workers.run_quick(_entry_of, source, frame)
        if entry is None:
            return None
        moves = is_video(entry.name)
        media_type = media_type_of(entry.name)
        if size == FULL and not moves and media_type in _SHOWN_AS_THEY_ARE:
            return FileAnswer(source.output, entry, attachment=False, media_type=media_type, cache="private, no-cache")
        shown = (entry.sha256, size, str(place)) if moves else (entry.sha256, size)
        target = source.folder / "frames" / f"{size}-{key_of(source, *shown)}.jpg"
        ready = await self._ready(target)
        if ready is None:
            await self._make(target, source, entry, size, place if moves else None)
            ready = await self._ready(target)
        return None if ready is None else ready.answer()

    async def forget(self, folder: Path) -> None:
        """The job whose previews are in this folder is being deleted: stop making previews of it."""
        self._failed = {path: why for path, why in self._failed.items() if path.parent.parent != folder}
        await _end([task for path, task in self._making.items() if path.parent.parent == folder])

    async def close(self) -> None:
        """Stop making previews."""
        await _end([*self._making.values()])

    async def _make(
        self, target: Path, source: PreviewSource, entry: Entry, size: str, place: tuple[int, int] | None
    ) -> None:
        """Make one once for all who want it at the same time; what failed is not tried again."""
        if target in self._failed:
            raise PreviewError(self._failed[target])
        task = self._making.get(target)
        if task is None:
            if len(self._making) >= _MOST_WAITING:
                raise PreviewsBusy(f"{len(self._making)} previews are being made; ask again in a moment")
            task = self._making[target] = asyncio.get_running_loop().create_task(
                self._write(target, source, entry, size, place)
            )
            task.add_done_callback(lambda done: self._made(target, done))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise PreviewError("the job is being deleted, or the service stops") from None
            raise
        except (WorkerCrashed, OSError) as error:
            raise PreviewError(str(error)) from error

    async def _write(
        self, target: Path, source: PreviewSource, entry: Entry, size: str, place: tuple[int, int] | None
    ) -> None:
        async with self._turn:
            await self._workers.run_quick(_make_folder, target.parent)
            picture, colour = source.output / entry.name, dict(source.colour or {})
            await self._workers.run(make_frame_still, picture, size, target, colour, source.colour_config, place)
            await self._workers.run_quick(_tidy, target.parent, size)

    def _made(self, target: Path, task: asyncio.Task[None]) -> None:
        self._making.pop(target, None)
        if not task.cancelled() and isinstance(error := task.exception(), PreviewError | WorkerCrashed):
            self._failed[target] = str(error)
            if len(self._failed) > _FAILURES_KEPT:
                del self._failed[next(iter(self._failed))]

    async def _ready(self, path: Path) -> Preview | None:
        return await self._workers.run_quick(found_preview, path)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# --- in threads ------------------------------------------------------------------------------------------------------


def _entry_of(source: PreviewSource, frame: int) -> Entry | None:
    """The output that shows a frame: its own picture, or the video with all frames."""
    own = next((entry for entry in source.manifest.by_frame().get(frame, ()) if is_visible(entry.name)), None)
    return own or next((entry for entry in source.manifest.entries() if is_video(entry.name)), None)


def _make_folder(folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)


def _tidy(folder: Path, size: str) -> None:
    paths = [path for path in folder.iterdir() if path.name.startswith(f"{size}-") and path.suffix == ".jpg"]
    if len(paths) <= _KEPT[size]:
        return
    oldest = sorted(paths, key=lambda path: path.stat().st_mtime_ns)
    for path in oldest[: len(paths) - _KEPT[size] * 9 // 10]:  # some at a time, not one each time
        with contextlib.suppress(OSError):  # in use, on Windows: the next time, then
            path.unlink()
