"""The Blender engine: the contract's methods, each a line into the module that knows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import JsonValue

from engines.blender import candidates, commands, exits, inspection, planning, stills, versions, wire
from engines.blender.options import EXTENSIONS, BlenderOptions, schema_of
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
    Packing,
    PictureCheck,
    Plan,
    PlanRequest,
    ProjectInfo,
    Proof,
    SessionRequest,
    VersionChoice,
    VersionWish,
)

_FACTS_MARK = "ZORDON_FACTS "


class BlenderEngine(Engine):
    """Renders .blend projects, one file a frame, in sessions that keep the project open."""

    name: ClassVar[str] = "blender"
    title: ClassVar[str] = "Blender"
    extensions: ClassVar[tuple[str, ...]] = (".blend",)
    output_formats: ClassVar[tuple[str, ...]] = tuple(EXTENSIONS)
    options_model: ClassVar[type[EngineOptions]] = BlenderOptions
    takes_addons: ClassVar[bool] = True

    def find_candidates(self, managed: Path) -> Sequence[EngineCandidate]:
        return candidates.find(managed)

    def version_argv(self, candidate: EngineCandidate) -> tuple[str, ...]:
        if commands.is_module(candidate.path, candidate.flavour):
            return commands.script_command(candidate.path, candidate.flavour, commands.FACTS)
        return (str(candidate.path), "--version")

    def parse_version(self, printed: str) -> str | None:
        return versions.printed_version(printed)

    def help_argv(self, version: EngineVersion) -> tuple[str, ...]:
        return commands.help_command(version)

    def inspect(self, project: Path) -> ProjectInfo:
        return inspection.inspect_project(project)

    def pack(self, project: Path, root: Path | None, work: Path, around: Path | None = None) -> Packing:
        from engines.blender.packing import pack_project  # brings the tracer with it

        return pack_project(project, root, work, around)

    def plan(self, request: PlanRequest) -> Plan:
        return planning.plan_job(request)

    def choose(
        self, wish: VersionWish, installed: Sequence[EngineVersion], fetchable: Fetchable | None
    ) -> VersionChoice:
        return versions.choose(wish, installed, fetchable)

    def command(self, session: SessionRequest, chunk: Chunk) -> Command:
        return commands.session_command(session)

    def feed(self, chunk: Chunk) -> bytes:
        return wire.chunk_line(chunk)

    def finish(self) -> bytes:
        return wire.FINISH

    def expected(self, session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
        extension = EXTENSIONS[session.output_format or "PNG"]
        check = PictureCheck(session.width, session.height)
        if stills.still_in(session.details) is not None:
            return [ExpectedOutput(stills.part_name(session.name, part), check, part) for part in chunk.frames]
        return [ExpectedOutput(frame_name(session.name, frame, extension), check, frame) for frame in chunk.frames]

    def assembly(self, session: SessionRequest, chunk: Chunk, parts: Path) -> Command:
        return commands.assembly_command(session, chunk, parts)

    def assembled(self, session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
        extension, still = EXTENSIONS[session.output_format or "PNG"], stills.still_in(session.details)
        if still is None:
            raise TypeError("only a still image is rendered in parts")
        name = frame_name(session.name, still, extension)
        return [ExpectedOutput(name, PictureCheck(session.width, session.height), still)]

    def parse(self, line: str) -> Sequence[EngineEvent]:
        return wire.events_of(line)

    def explain_exit(self, code: int, tail: Sequence[str]) -> EngineFailed | None:
        return exits.explain(code, tail)

    def proof(self, version: EngineVersion, folder: Path) -> Proof | None:
        argv = (*commands.script_command(version.path, version.flavour, commands.PROOF), "--")
        return Proof((*argv, str(folder / "proof.png")), ExpectedOutput("proof.png", PictureCheck(16, 16)))

    def options_schema(
        self, version: str | None = None, facts: Mapping[str, JsonValue] | None = None
    ) -> dict[str, JsonValue]:
        return schema_of(version)

    def info_commands(self, version: EngineVersion) -> Sequence[tuple[str, ...]]:
        return (commands.script_command(version.path, version.flavour, commands.FACTS),)

    def parse_info(self, printed: str) -> Mapping[str, JsonValue]:
        for line in printed.splitlines():
            if line.startswith(_FACTS_MARK):
                try:
                    facts: JsonValue = json.loads(line.removeprefix(_FACTS_MARK))
                except ValueError:
                    return {}
                return facts if isinstance(facts, dict) else {}
        return {}

    def colour_config(self, version: EngineVersion) -> Path | None:
        return candidates.colour_config(version.path, version.number, commands.is_module(version.path, version.flavour))


def frame_name(stem: str, frame: int, extension: str) -> str:
    """A frame's file name as Blender numbers it: ``shot_0007.png``, ``shot_-0005.png``."""
    return f"{stem}_{'-' if frame < 0 else ''}{abs(frame):04d}{extension}"
