"""The Blenders of this machine, and a session driven as the service drives it: by the contract's methods alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydantic import JsonValue

from engines.blender import BlenderEngine
from engines.contract import (
    Chunk,
    ChunkDone,
    EngineCandidate,
    EngineEvent,
    EngineFailed,
    EngineVersion,
    InstallKind,
    Plan,
    PlanRequest,
    Ready,
    SessionRequest,
)
from engines.frames import FrameSet

FIXTURES = Path(__file__).parents[1] / "fixtures"
ENGINE = BlenderEngine()

Args = dict[str, JsonValue]
Started = Callable[..., "Driven"]


def version_of(candidate: EngineCandidate) -> EngineVersion:
    """The copy as the service would list it."""
    version = candidate.version
    if version is None:
        done = subprocess.run(ENGINE.version_argv(candidate), capture_output=True, text=True, check=True)
        version = ENGINE.parse_version(done.stdout)
    assert version is not None
    return EngineVersion("blender", version, candidate.path, candidate.kind, "linux", "x64", candidate.flavour)


def found(folder: Path, kind: InstallKind, flavour: str) -> list[EngineCandidate]:
    return [one for one in ENGINE.find_candidates(folder) if one.kind is kind and one.flavour == flavour]


def planned(
    project: Path,
    args: Args | None = None,
    frames: str | None = None,
    output_format: str | None = None,
    sharers: int = 1,
) -> Plan:
    return ENGINE.plan(
        PlanRequest(
            project,
            ENGINE.inspect(project),
            None if frames is None else FrameSet.parse(frames),
            ENGINE.options_model.model_validate(args or {}),
            output_format,
            sharers,
        )
    )


class Driven:
    """One live session: a process, its event pipe, its stdin."""

    def __init__(self, request: SessionRequest, root: Path) -> None:
        self.request = request
        self._root = root
        self._chunks = 0
        command = ENGINE.command(request, Chunk("none", (1,), root))
        assert command.events == "pipe"
        assert command.takes_chunks
        ours, theirs = os.pipe()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment |= {"TMPDIR": str(request.folder), **command.environment, "ZORDON_EVENTS_FD": str(theirs)}
        self.printed = root / "printed.txt"
        with self.printed.open("wb") as printed:
            self.process = subprocess.Popen(
                command.argv,
                env=environment,
                cwd=request.folder,
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs,),
            )
        os.close(theirs)
        self._events = os.fdopen(ours, encoding="utf-8")

    def give(self, *frames: int) -> Chunk:
        """Give it a chunk of these frames."""
        self._chunks += 1
        folder = self._root / f"chunk {self._chunks}"
        folder.mkdir()
        chunk = Chunk(f"attempt-{self._chunks}", frames, folder)
        self._write(ENGINE.feed(chunk))
        return chunk

    def events(self, until: Callable[[EngineEvent], bool] = lambda event: False) -> list[EngineEvent]:
        """What it says until something happens, or until it has nothing more to say."""
        heard: list[EngineEvent] = []
        for line in self._events:
            for event in ENGINE.parse(line):
                heard.append(event)
                if until(event):
                    return heard
        return heard

    def ready(self) -> list[EngineEvent]:
        return self.events(lambda event: isinstance(event, Ready))

    def rendered(self, *frames: int) -> tuple[Chunk, list[EngineEvent]]:
        """Have a chunk rendered; the events are those up to its end."""
        chunk = self.give(*frames)
        return chunk, self.events(
            lambda event: event == ChunkDone(chunk.attempt) or (isinstance(event, EngineFailed) and event.frame is None)
        )

    def finish(self) -> int:
        """Ask it to end; its exit code."""
        self._write(ENGINE.finish())
        return self.end()

    def hang_up(self) -> int:
        """Close its stdin without a word; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.end()

    def end(self) -> int:
        self.events()
        return self.process.wait()

    def stop_listening(self) -> None:
        self._events.close()

    def tail(self) -> list[str]:
        return self.printed.read_text(errors="replace").splitlines()[-50:]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.kill()
        self.process.wait()
        self._events.close()
        self.process.stdin.close()

    def _write(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()


def claiming(version: EngineVersion, number: str) -> EngineVersion:
    """The same copy under another number, to get past the plan."""
    return replace(version, version=number)
