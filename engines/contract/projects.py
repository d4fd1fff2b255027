"""What is in a project, what a user asked for, and the plan that an engine makes of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

from engines.frames import FrameSet


class EngineOptions(BaseModel):
    """Base of an engine's typed options (the ``args`` of a job). Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Refusal(ValueError):
    """What was asked for cannot render. ``field`` is the wire field to mend, ``message`` a sentence for a person."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message

    def __reduce__(self) -> tuple[type[Refusal], tuple[str, str]]:
        """Inspection runs in a worker process, and what it refuses comes back pickled."""
        return type(self), (self.field, self.message)


@dataclass(frozen=True, slots=True)
class ProjectInfo:
    """What inspection found in a project. Every field is None or empty where the file does not say.

    Picklable: inspection runs in a worker process.
    """

    kind: str  # "blend", "video", "image_sequence", ...
    frames: str | None = None  # frame notation, the project's own range
    fps: float | None = None  # frames per second
    width: int | None = None  # pixels of the finished picture
    height: int | None = None
    duration: float | None = None  # seconds
    format_version: tuple[int, ...] | None = None  # of the program that wrote the file, e.g. (4, 5)
    scenes: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    view_layers: tuple[str, ...] = ()
    render_engine: str | None = None
    output_format: str | None = None
    missing_files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    details: Mapping[str, JsonValue] = field(default_factory=dict)  # the engine's own; JSON


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What the user asked for, as far as an engine needs it."""

    project: Path | None
    info: ProjectInfo | None
    frames: FrameSet | None  # None: the project's own
    options: EngineOptions
    output_format: str | None
    sharers: int = 1  # how many processes could render it at the same time, on this machine and on others


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job will do, settled at submit.

    It does not depend on the version that renders: that one may have to be fetched first, and the plan stays. What a
    version calls differently is the matter of :meth:`Engine.command`.

    A job in ``parts`` is rendered part by part, one chunk each, on as many machines as help; what comes of them is
    put together by :meth:`Engine.assembly`. The same request must always give the same parts: every machine plans.
    """

    frames: FrameSet
    options: EngineOptions  # defaults filled in
    output_format: str | None
    divisible: bool = True  # False: all frames, or all of a part, come from one process in one go (a video encode)
    parts: tuple[int, ...] = ()  # how many frames each part has, in their order; empty: it is rendered as it is
    still: int | None = None  # the one frame that the parts make; ``frames`` are then the numbers of the parts, from 1
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    warnings: tuple[str, ...] = ()
    colour: Mapping[str, str] = field(default_factory=dict)  # display/view/look/source for previews of linear pictures
    details: Mapping[str, JsonValue] = field(default_factory=dict)  # what command() and expected() need later; JSON
