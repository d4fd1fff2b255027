"""Renders frames, each into the file that the service expects, and says so as soon as it is complete.

A run of frames (1-10, 2-20x2) is one animation render: Blender then builds the scene once and only evaluates what
changes, as ``blender -a`` does; frame by frame, the demo's project took a sixth longer. Blender counts such runs from 0
on only, so frames below are rendered one by one, and so is what is left alone.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import bpy

from zordon_runner.causes import cause_of, in_short
from zordon_runner.events import Events, Fatal
from zordon_runner.runs import runs_of

SAMPLES = re.compile(r"Sample (\d+)/(\d+)")
PROGRESS_EVERY = 0.2  # seconds

DRAFT = "zordon_draft_"
"""What files of a run are called until they are complete: the job's name may hold characters that Blender expands."""


class Renderer:
    """One scene and where its frames go: ``<folder>/<name>_<frame><extension>``."""

    def __init__(self, scene: bpy.types.Scene, name: str, extension: str, events: Events) -> None:
        self._scene = scene
        self._name = name
        self._extension = extension
        self._events = events
        self._folder = Path()
        self._frame: int | None = None
        self._label: int | None = None  # what the present frame is called: a part of a still has its number
        self._began = 0.0
        self._fraction = 0.0
        self._last_said = 0.0
        self._written: set[int] = set()
        self._in_run = False
        self._any_rendered = False
        # Else a frame below 0 silently becomes frame 0.
        bpy.context.preferences.edit.use_negative_frames = True
        scene.render.use_overwrite, scene.render.use_placeholder = True, False
        handlers = bpy.app.handlers
        handlers.render_pre.append(self._on_frame)
        handlers.render_write.append(self._on_written)
        # Before 4.5 Blender calls with nothing to tell; that it calls at all is a sign of life.
        handlers.render_stats.append(self._on_stats)

    def chunk(self, frames: list[int], folder: str) -> None:
        """Render the frames in this order.

        Raises:
            Fatal: no frame of this session can be rendered.
        """
        self._folder = Path(folder)
        for run in runs_of(frames):
            self._written = set()
            left = run
            while left:
                message = self._render(left)
                undone = [frame for frame in left if frame not in self._written]
                if not undone:
                    if message:
                        self._events.warning(message)
                    break
                # An animation render ends at the first frame that fails: go on behind it.
                self._give_up(undone[0], message)
                left = range(undone[0] + run.step, run.stop, run.step)

    def still(self, frame: int, part: int, path: Path) -> None:
        """Render a part of the picture of one frame into this file, and say so under the part's number.

        Raises:
            Fatal: nothing of this session can be rendered.
        """
        self._in_run, self._label = False, part
        scene = self._scene
        scene.frame_current = frame
        scene.render.filepath = unexpanded(str(path))
        self._began = time.perf_counter()
        message = ""
        try:
            bpy.ops.render.render(write_still=True, scene=scene.name)
        except RuntimeError as error:
            message = in_short(str(error))
        self._frame = None
        if message or not path.is_file() or path.stat().st_size == 0:
            cause = cause_of(message) if message else "missing_frame"
            story = message or "Blender said nothing was wrong, but wrote no file"
            raise Fatal(f"part {part}: {story}", cause)
        self._any_rendered = True
        self._events.say("frame", frame=part, seconds=round(time.perf_counter() - self._began, 4))

    def _render(self, frames: range) -> str:
        """Have Blender render; what it complained of, in one line, or nothing."""
        self._in_run = len(frames) > 1
        scene = self._scene
        # Only the number: the render evaluates the frame itself. frame_set() would evaluate everything once more for
        # a viewport that nobody sees.
        scene.frame_current = frames[0]
        if self._in_run:
            scene.frame_start, scene.frame_end, scene.frame_step = frames[0], frames[-1], frames.step
            scene.render.filepath = unexpanded(str(self._folder / f"{DRAFT}####"))
        else:
            scene.render.filepath = unexpanded(str(self._path(frames[0])))
        self._began = time.perf_counter()
        message = ""
        try:
            result = bpy.ops.render.render(animation=self._in_run, write_still=not self._in_run, scene=scene.name)
            if "FINISHED" not in result:
                message = "the render was cancelled"
        except RuntimeError as error:
            message = in_short(str(error))
        self._frame = None
        if not message and not self._in_run:
            self._take(frames[0], self._path(frames[0]))
        return message

    def _path(self, frame: int) -> Path:
        sign = "-" if frame < 0 else ""
        return self._folder / f"{self._name}_{sign}{abs(frame):04d}{self._extension}"

    def _take(self, frame: int, path: Path) -> None:
        """Say that a frame is complete, if its file is there; it gets its own name if it has another."""
        if not path.is_file() or path.stat().st_size == 0:
            return
        if path != self._path(frame):
            path.replace(self._path(frame))
        now = time.perf_counter()
        self._written.add(frame)
        self._any_rendered = True
        self._events.say("frame", frame=frame, seconds=round(now - self._began, 4))
        self._began = now

    def _give_up(self, frame: int, message: str) -> None:
        for path in (self._path(frame), self._folder / f"{DRAFT}{frame:04d}"):
            if path.is_file():
                path.unlink()
        if not message:
            self._events.failed(
                f"frame {frame}: Blender said nothing was wrong, but wrote no file", "missing_frame", frame
            )
            return
        cause = cause_of(message)
        if cause == "bad_option" and not self._any_rendered:
            raise Fatal(message, cause)
        self._events.failed(f"frame {frame}: {message}", cause, frame)

    # what Blender calls

    def _on_frame(self, *_: object) -> None:
        self._frame = self._scene.frame_current
        self._fraction = 0.0
        self._say_progress("")

    def _on_written(self, *_: object) -> None:
        if self._in_run:
            frame = self._scene.frame_current
            self._take(frame, self._folder / f"{DRAFT}{frame:04d}")

    def _on_stats(self, *told: object) -> None:
        if self._frame is None or time.monotonic() - self._last_said < PROGRESS_EVERY:
            return
        text = next((part for part in told if isinstance(part, str)), "")
        match = SAMPLES.search(text)
        if match:
            done, of = int(match.group(1)), max(1, int(match.group(2)))
            self._fraction = min(1.0, done / of)
            self._say_progress(f"sample {done}/{of}")
        else:
            self._say_progress(text.rpartition("|")[2].strip()[:120])

    def _say_progress(self, note: str) -> None:
        self._last_said = time.monotonic()
        frame = self._frame if self._label is None else self._label
        self._events.say("progress", frame=frame, fraction=self._fraction, note=note)


def unexpanded(path: str) -> str:
    """The path such that Blender writes exactly there: from 4.5 on it expands ``{name}`` in paths."""
    return path.replace("{", "{{").replace("}", "}}") if bpy.app.version >= (4, 5, 0) else path
