"""What holds for every reader of foreign bytes, and the entry by which atheris asks for it:

``python -m tests.proof.fuzzing line|blend <scratch file> <corpus> [libFuzzer options]``
"""

from __future__ import annotations

import math
import sys
import tracemalloc
from pathlib import Path

from engines.blender.blocks import Outline, outline
from engines.contract import (
    ChunkDone,
    Engine,
    EngineFailed,
    EngineWarning,
    FailureCause,
    FrameWritten,
    Progress,
    Ready,
    Refusal,
)

MOST_MEMORY = 200 << 20
"""Bytes that reading a small project may take: far above what its structures need, far below what hurts."""


def check_line(engine: Engine, line: str) -> None:
    """Read a line that an engine may have printed.

    Raises:
        AssertionError: what it became is no event as the contract describes it.
    """
    events = engine.parse(line)
    assert len(events) <= 1
    for event in events:
        match event:
            case Progress():
                assert event.fraction is None or 0 <= event.fraction <= 1
                assert event.frame is None or type(event.frame) is int
                assert isinstance(event.note, str)
            case FrameWritten():
                assert type(event.frame) is int
                assert event.seconds is None or (math.isfinite(event.seconds) and event.seconds >= 0)
            case EngineFailed():
                assert isinstance(event.message, str)
                assert isinstance(event.cause, FailureCause)
                assert event.frame is None or type(event.frame) is int
            case Ready():
                assert all(isinstance(text, str) for pair in event.colour.items() for text in pair)
            case EngineWarning():
                assert isinstance(event.message, str)
            case ChunkDone():
                assert isinstance(event.attempt, str)


def check_blend(path: Path, raw: bytes) -> None:
    """Walk bytes that call themselves a project.

    Raises:
        AssertionError: it takes too much memory, or tells nonsense.
    """
    path.write_bytes(raw)
    tracemalloc.start()
    found: Outline | Refusal
    try:
        found = outline(path)
    except Refusal as refusal:
        found = refusal
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST_MEMORY, f"{len(raw)} bytes took {peak}"
    if isinstance(found, Refusal):
        assert found.field == "project"
        assert found.message
    else:
        assert len(found.version) == 2
        assert found.scenes >= 0


def main() -> None:
    """See the module."""
    import atheris

    from engines.blender import BlenderEngine
    from engines.ffmpeg import FFmpegEngine
    from engines.testpattern import TestPatternEngine

    what, scratch = sys.argv[1], Path(sys.argv[2])
    engines = (BlenderEngine(), FFmpegEngine(), TestPatternEngine())

    def one(data: bytes) -> None:
        if what == "blend":
            check_blend(scratch, data)
        else:
            for engine in engines:
                check_line(engine, data.decode("utf-8", "replace"))

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *sys.argv[3:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
