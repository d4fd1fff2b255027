"""A third-party engine that misbehaves in one chosen way. Installed as any plug-in: by its entry point, once this
folder is on the path. Its program is ``rogue_program.py``; see there for the ways.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from engines.choosing import choose_newest
from engines.contract import (
    Chunk,
    Command,
    Engine,
    EngineCandidate,
    EngineEvent,
    EngineFailed,
    EngineOptions,
    EngineVersion,
    ExpectedOutput,
    Fetchable,
    FrameWritten,
    InstallKind,
    PictureCheck,
    Plan,
    PlanRequest,
    ProjectInfo,
    Refusal,
    SessionRequest,
    VersionChoice,
    VersionWish,
)
from engines.frames import FrameSet

PROGRAM = Path(__file__).with_name("rogue_program.py")
VERSION = "1.0"
SIDE = 16
"""Pixels of its pictures, both ways."""


class RogueOptions(EngineOptions):
    """What it does wrong."""

    way: str = Field("well", description="The function of rogue_program.py to run.")
    count: int = Field(0, description="Bytes, or whatever the way counts.")
    fault: str = Field("", description="The method of the plug-in that raises.")
    group: str = Field("", description="The control group that eats_memory moves into.")


class RogueEngine(Engine):
    """One process a chunk; events on their pipe."""

    name: ClassVar[str] = "rogue"
    title: ClassVar[str] = "Rogue"
    extensions: ClassVar[tuple[str, ...]] = ()
    output_formats: ClassVar[tuple[str, ...]] = ("PNG",)
    options_model: ClassVar[type[RogueOptions]] = RogueOptions
    needs_project: ClassVar[bool] = False

    def find_candidates(self, managed: Path) -> Sequence[EngineCandidate]:
        return (EngineCandidate(Path(sys.executable), InstallKind.EMBEDDED, version=VERSION),)

    def version_argv(self, candidate: EngineCandidate) -> tuple[str, ...]:
        return (str(candidate.path), "--version")

    def parse_version(self, printed: str) -> str | None:
        return VERSION

    def help_argv(self, version: EngineVersion) -> tuple[str, ...]:
        return ()

    def inspect(self, project: Path) -> ProjectInfo:
        raise Refusal("file", "it opens no project")

    def plan(self, request: PlanRequest) -> Plan:
        return Plan(request.frames or FrameSet.between(1, 1), request.options, "PNG")

    def choose(
        self, wish: VersionWish, installed: Sequence[EngineVersion], fetchable: Fetchable | None
    ) -> VersionChoice:
        return choose_newest(self.name, self.title, wish, installed, fetchable)

    def command(self, session: SessionRequest, chunk: Chunk) -> Command:
        options = _options(session)
        _stumble(options, "command")
        argv = (str(session.version.path), "-I", "-S", str(PROGRAM), options.way, str(options.count), str(chunk.folder))
        environment = {"ROGUE_GROUP": options.group} if options.group else {}
        return Command((*argv, *map(str, chunk.frames)), environment, takes_chunks=False)

    def expected(self, session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
        _stumble(_options(session), "expected")
        return tuple(ExpectedOutput(f"{frame:04d}.png", PictureCheck(SIDE, SIDE), frame) for frame in chunk.frames)

    def parse(self, line: str) -> Sequence[EngineEvent]:
        try:
            said = json.loads(line)
            if "failed" in said:
                return (EngineFailed(str(said["failed"])),)
            return (FrameWritten(int(said["written"])),)
        except (ValueError, LookupError, TypeError):
            if "stumble" in line:
                raise  # against the contract
            return ()

    def explain_exit(self, code: int, tail: Sequence[str]) -> EngineFailed | None:
        if any("stumble" in line for line in tail):
            raise RuntimeError("the plug-in stumbles over an exit code")
        return None


def _options(session: SessionRequest) -> RogueOptions:
    assert isinstance(session.options, RogueOptions)
    return session.options


def _stumble(options: RogueOptions, method: str) -> None:
    if options.fault == method:
        raise RuntimeError(f"the plug-in stumbles in {method}")
