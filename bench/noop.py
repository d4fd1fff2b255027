"""An engine that renders nothing: what is left of an attempt is what the service itself costs.

The harness of :mod:`bench.dispatch` uses it directly; a real service finds it like any engine of other people, by an
entry point, from a folder that :func:`install` makes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from engines.contract import (
    Chunk,
    Command,
    Engine,
    EngineCandidate,
    EngineEvent,
    EngineOptions,
    EngineVersion,
    ExpectedOutput,
    Fetchable,
    FoundVersion,
    InstallKind,
    Plan,
    PlanRequest,
    ProjectInfo,
    Refusal,
    SessionRequest,
    VersionChoice,
    VersionWish,
)
from engines.frames import FrameSet

PROGRAM = "BENCH_NOOP"
"""The environment variable that says which program it starts; /bin/true if it is not set."""


class NoOptions(EngineOptions):
    """None."""


class NoopEngine(Engine):
    """One process a chunk, ``/bin/true``; no files."""

    name: ClassVar[str] = "noop"
    title: ClassVar[str] = "Nothing"
    extensions: ClassVar[tuple[str, ...]] = ()
    output_formats: ClassVar[tuple[str, ...]] = ()
    options_model: ClassVar[type[EngineOptions]] = NoOptions
    needs_project: ClassVar[bool] = False
    default_slots: ClassVar[int] = 2

    def find_candidates(self, managed: Path) -> Sequence[EngineCandidate]:
        """The one program."""
        return (EngineCandidate(Path(os.environ.get(PROGRAM, "/bin/true")), InstallKind.SYSTEM, version="1"),)

    def version_argv(self, candidate: EngineCandidate) -> tuple[str, ...]:
        """Never asked: the version is known."""
        return (str(candidate.path),)

    def parse_version(self, printed: str) -> str | None:
        """See :meth:`Engine.parse_version`."""
        return "1"

    def help_argv(self, version: EngineVersion) -> tuple[str, ...]:
        """It has no help."""
        return ()

    def inspect(self, project: Path) -> ProjectInfo:
        """See :meth:`Engine.inspect`.

        Raises:
            Refusal: always.
        """
        raise Refusal("file", "it opens no project")

    def plan(self, request: PlanRequest) -> Plan:
        """See :meth:`Engine.plan`."""
        frames = request.frames or FrameSet.between(1, 1)
        return Plan(frames, request.options, None)

    def choose(
        self, wish: VersionWish, installed: Sequence[EngineVersion], fetchable: Fetchable | None
    ) -> VersionChoice:
        """See :meth:`Engine.choose`."""
        return FoundVersion(installed[0], "There is no other.")

    def command(self, session: SessionRequest, chunk: Chunk) -> Command:
        """See :meth:`Engine.command`."""
        return Command((str(session.version.path),), takes_chunks=False)

    def expected(self, session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
        """Nothing."""
        return ()

    def parse(self, line: str) -> Sequence[EngineEvent]:
        """See :meth:`Engine.parse`."""
        return ()


def install(folder: Path) -> Path:
    """Make a folder which, on a service's path, gives it this engine.

    Returns:
        The program of its own that the engine starts there.
    """
    facts = folder / "zordon_bench-1.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: zordon-bench\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[zordon.engines]\nnoop = bench.noop:NoopEngine\n")
    program = folder / "true"
    shutil.copy("/bin/true", program)
    return program
