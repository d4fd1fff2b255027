"""FFmpeg as an engine: video to video, pictures to video, video to pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import JsonValue

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
    Plan,
    PlanRequest,
    ProjectInfo,
    Proof,
    SessionRequest,
    VersionChoice,
    VersionWish,
    VideoCheck,
)
from engines.ffmpeg import installs
from engines.ffmpeg.codecs import OUTPUT_FORMATS, schema_of
from engines.ffmpeg.command import expected_outputs, make_command
from engines.ffmpeg.inspection import inspect_project
from engines.ffmpeg.options import FFmpegOptions
from engines.ffmpeg.packing import pack_project
from engines.ffmpeg.parts import expected_of_join, expected_of_part, in_parts, join_command, misfits, part_command
from engines.ffmpeg.planning import make_plan
from engines.ffmpeg.reports import explain, parse_progress
from engines.ffmpeg.sequence import PICTURES, VIDEOS
from engines.ffmpeg.versions import choose


class FFmpegEngine(Engine):
    """Encodes a video or an image sequence in one process, from begin to end."""

    name: ClassVar[str] = "ffmpeg"
    title: ClassVar[str] = "FFmpeg"
    extensions: ClassVar[tuple[str, ...]] = (*VIDEOS, *PICTURES)
    output_formats: ClassVar[tuple[str, ...]] = OUTPUT_FORMATS
    options_model: ClassVar[type[EngineOptions]] = FFmpegOptions

    def find_candidates(self, managed: Path) -> Sequence[EngineCandidate]:
        return installs.find_candidates(managed)

    def version_argv(self, candidate: EngineCandidate) -> tuple[str, ...]:
        return (str(candidate.path), "-version")

    def parse_version(self, printed: str) -> str | None:
        return installs.parse_version(printed)

    def help_argv(self, version: EngineVersion) -> tuple[str, ...]:
        return (str(version.path), "-hide_banner", "-h")

    def inspect(self, project: Path) -> ProjectInfo:
        return inspect_project(project)

    def pack(self, project: Path, root: Path | None, work: Path, around: Path | None = None) -> Packing:
        return pack_project(project, root)

    def plan(self, request: PlanRequest) -> Plan:
        return make_plan(request)

    def choose(
        self, wish: VersionWish, installed: Sequence[EngineVersion], fetchable: Fetchable | None
    ) -> VersionChoice:
        return choose(wish, installed, fetchable)

    def command(self, session: SessionRequest, chunk: Chunk) -> Command:
        return part_command(session, chunk) if in_parts(session) else make_command(session, chunk)

    def expected(self, session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
        return expected_of_part(session, chunk) if in_parts(session) else expected_outputs(session, chunk)

    def bad_parts(self, session: SessionRequest, parts: Path) -> Sequence[int]:
        return misfits(session, parts)

    def assembly(self, session: SessionRequest, chunk: Chunk, parts: Path) -> Command:
        return join_command(session, chunk, parts)

    def assembled(self, session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
        return expected_of_join(session)

    def parse(self, line: str) -> Sequence[EngineEvent]:
        return parse_progress(line)

    def explain_exit(self, code: int, tail: Sequence[str]) -> EngineFailed | None:
        return explain(code, tail)

    def proof(self, version: EngineVersion, folder: Path) -> Proof | None:
        made = ("-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10", "-frames:v", "10")
        check = VideoCheck(width=64, height=48, frames=10)
        argv = (str(version.path), *made, "-c:v", "mpeg4", str(folder / "proof.mp4"))
        return Proof(argv, ExpectedOutput("proof.mp4", check))

    def options_schema(
        self, version: str | None = None, facts: Mapping[str, JsonValue] | None = None
    ) -> dict[str, JsonValue]:
        return schema_of(facts)

    def info_commands(self, version: EngineVersion) -> Sequence[tuple[str, ...]]:
        # Each of these options ends the program, so that it prints one list a run.
        return tuple((str(version.path), "-hide_banner", what) for what in ("-encoders", "-hwaccels"))

    def parse_info(self, printed: str) -> Mapping[str, JsonValue]:
        return installs.parse_info(printed)
