"""The test pattern as an :class:`~engines.contract.Engine`."""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from engines.choosing import fits, listed
from engines.contract import (
    Chunk,
    ChunkDone,
    Command,
    Engine,
    EngineCandidate,
    EngineEvent,
    EngineFailed,
    EngineVersion,
    ExpectedOutput,
    FailureCause,
    Fetchable,
    FoundVersion,
    FrameWritten,
    InstallKind,
    PictureCheck,
    Plan,
    PlanRequest,
    Progress,
    ProjectInfo,
    Ready,
    Refusal,
    SessionRequest,
    VersionChoice,
    VersionWish,
)
from engines.frames import FrameSet
from engines.testpattern.options import TestPatternOptions, frames_of

SLOWNESS = "TESTPATTERN_SLOWNESS"
"""In the environment of the service: see :func:`_slowness`."""
RUNNER = Path(__file__).with_name("runner.py")
_ISOLATED = ("-I", "-S")  # neither the user's settings nor site-packages: both cost start-up time
_CRASHED = re.compile(r"the test pattern crashes at frame (-?\d+), as told")


class TestPatternEngine(Engine):
    """Pictures with the frame number in them, rendered by the Python that runs the service."""

    __test__ = False  # see TestPatternOptions

    name: ClassVar[str] = "testpattern"
    title: ClassVar[str] = "Test pattern"
    extensions: ClassVar[tuple[str, ...]] = ()
    output_formats: ClassVar[tuple[str, ...]] = ("PNG",)
    options_model: ClassVar[type[TestPatternOptions]] = TestPatternOptions
    needs_project: ClassVar[bool] = False
    default_slots: ClassVar[int] = 2

    # installed copies

    def find_candidates(self, managed: Path) -> Sequence[EngineCandidate]:
        """The one copy: it comes with the service and has its version."""
        return (EngineCandidate(Path(sys.executable), InstallKind.EMBEDDED, version=_own_version()),)

    def version_argv(self, candidate: EngineCandidate) -> tuple[str, ...]:
        """Prints our version if the candidate is a Python that can run the pattern."""
        return (str(candidate.path), *_ISOLATED, str(RUNNER), "--version", _own_version())

    def parse_version(self, printed: str) -> str | None:
        """See :meth:`Engine.parse_version`."""
        match = re.fullmatch(r"testpattern (\S+)\s*", printed)
        return match[1] if match else None

    def help_argv(self, version: EngineVersion) -> tuple[str, ...]:
        """The runner's own usage."""
        return (str(version.path), *_ISOLATED, str(RUNNER))

    # projects

    def inspect(self, project: Path) -> ProjectInfo:
        """See :meth:`Engine.inspect`.

        Raises:
            Refusal: always; the test pattern has no projects.
        """
        raise Refusal("file", f"the test pattern opens no project: submit it without {project.name}")

    def plan(self, request: PlanRequest) -> Plan:
        """See :meth:`Engine.plan`."""
        options = request.options
        if not isinstance(options, TestPatternOptions):
            raise Refusal("args", f"these are no options of the test pattern: {type(options).__name__}")
        if request.project is not None:
            raise Refusal("file", f"the test pattern opens no project: submit it without {request.project.name}")
        if request.output_format is not None and request.output_format.upper() not in self.output_formats:
            raise Refusal("output_format", f"the test pattern writes PNG, not {request.output_format[:60]!r}")
        return Plan(
            frames=request.frames or FrameSet.between(1, 10),
            options=options,
            output_format="PNG",
            width=options.width,
            height=options.height,
        )

    def choose(
        self, wish: VersionWish, installed: Sequence[EngineVersion], fetchable: Fetchable | None
    ) -> VersionChoice:
        """See :meth:`Engine.choose`. There is one version, it comes with the service and can be had nowhere else."""
        for version in installed:
            if wish.asked is None:
                return FoundVersion(version, "It comes with the service.")
            if fits(version.version, wish.asked):
                return FoundVersion(version, f"Version {wish.asked} was asked for.")
        here = listed(version.version for version in installed)
        raise Refusal("engine_version", f"there is no test pattern {wish.asked or ''} here; installed: {here}")

    # running

    def command(self, session: SessionRequest, chunk: Chunk) -> Command:
        """See :meth:`Engine.command`."""
        options = _options(session)
        argv = [str(session.version.path), *_ISOLATED, str(RUNNER), "--name", session.name]
        argv += ["--width", str(options.width), "--height", str(options.height)]
        if options.seconds_per_frame:
            argv += ["--seconds", str(options.seconds_per_frame * _slowness())]
        for what, notation in (
            ("fail", options.fail_frames),
            ("crash", options.crash_frames),
            ("broken", options.broken_frames),
            ("missing", options.missing_frames),
        ):
            if notation is not None:
                runs = frames_of(notation).runs
                argv += [f"--{what}", ",".join(f"{run.start}:{run.stop}:{run.step}" for run in runs)]
        if options.hang_at is not None:
            argv += ["--hang", str(options.hang_at)]
        if options.ignore_term:
            argv += ["--ignore-term", "1"]
        if options.grandchildren:
            argv += ["--grandchildren", str(options.grandchildren)]
        if options.noise_bytes:
            argv += ["--noise", str(options.noise_bytes)]
        return Command(tuple(argv))

    def feed(self, chunk: Chunk) -> bytes:
        """The line that the runner's module docstring describes."""
        folder = bytes(chunk.folder).hex()
        return f"chunk {chunk.attempt} {folder} {' '.join(map(str, chunk.frames))}\n".encode("ascii")

    def finish(self) -> bytes:
        """See :meth:`Engine.finish`."""
        return b"finish\n"

    def expected(self, session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
        """One PNG a frame."""
        options = _options(session)
        check = PictureCheck(options.width, options.height)
        return tuple(ExpectedOutput(f"{session.name}_{frame:04d}.png", check, frame) for frame in chunk.frames)

    def parse(self, line: str) -> Sequence[EngineEvent]:
        """See :meth:`Engine.parse`."""
        try:
            said = json.loads(line)
            match said["event"]:
                case "written":
                    return (FrameWritten(int(said["frame"]), seconds=_within(float(said["seconds"]), math.inf)),)
                case "progress":
                    return (Progress(_within(float(said["fraction"]), 1.0), int(said["frame"])),)
                case "done":
                    return (ChunkDone(str(said["attempt"])),)
                case "failed":
                    cause = FailureCause(said.get("cause", FailureCause.ERROR))
                    return (EngineFailed(str(said["message"]), cause, int(said["frame"])),)
                case "ready":
                    return (Ready(),)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
            return ()  # the contract: a line it does not know is no event
        return ()

    def explain_exit(self, code: int, tail: Sequence[str]) -> EngineFailed | None:
        """See :meth:`Engine.explain_exit`."""
        for line in reversed(tail):
            if code != 0 and (match := _CRASHED.search(line)):
                return EngineFailed(match[0], FailureCause.CRASH)
        return None


def _within(number: float, most: float) -> float:
    """The number itself.

    Raises:
        ValueError: it is not finite, negative, or more than ``most``.
    """
    if not (math.isfinite(number) and 0 <= number <= most):
        raise ValueError(number)
    return number


def _slowness() -> float:
    """How many times slower than asked this machine is to seem, for benchmarks of farms of unequal machines."""
    try:
        return _within(float(os.environ.get(SLOWNESS, "1")), 1000.0)
    except ValueError:
        return 1.0


def _own_version() -> str:
    return importlib.metadata.version("zordon")


def _options(session: SessionRequest) -> TestPatternOptions:
    if not isinstance(session.options, TestPatternOptions):
        raise TypeError(f"not the options of a test pattern: {type(session.options).__name__}")
    return session.options
