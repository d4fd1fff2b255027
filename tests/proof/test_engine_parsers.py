"""What engines print, and what a .blend says about itself, is anybody's: no bytes make the readers raise or run away.

Where atheris is installed, ``ZORDON_FUZZ_SECONDS`` has it look for as long, guided by what code is reached. It is no
dependency: there are wheels of it for few systems.
"""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engines.blender import BlenderEngine
from engines.blender.blocks import outline
from engines.blender.dna_check import is_sound
from engines.contract import Engine, EngineEvent, EngineFailed, FailureCause, FrameWritten, Progress, Ready, Refusal
from engines.ffmpeg import FFmpegEngine
from engines.testpattern import TestPatternEngine
from tests.proof.fuzzing import check_blend, check_line

pytestmark = pytest.mark.slow

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
BLENDS = {path.name: path.read_bytes() for path in sorted(FIXTURES.glob("*.blend"))}
ENGINES: Sequence[Engine] = (BlenderEngine(), FFmpegEngine(), TestPatternEngine())

REAL_LINES = (
    '{"event": "ready", "colour": {"view": "AgX"}}',
    '{"event": "progress", "frame": 3, "fraction": 0.5, "note": "n"}',
    '{"event": "frame", "frame": -5, "seconds": 1.5}',
    '{"event": "written", "frame": 1, "seconds": 0.5}',
    '{"event": "failed", "message": "m", "cause": "disk", "frame": 2}',
    '{"event": "done", "attempt": "a-1"}',
    "frame=12",
    "speed=1.03e+03x",
    "out_time_ms=123",
    "progress=continue",
)
VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**400), 1e308, float("nan"), float("inf"), 2**63]),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=2),
)
EVENT = st.fixed_dictionaries(
    {"event": st.sampled_from(["ready", "progress", "frame", "written", "done", "warning", "failed"])},
    optional=dict.fromkeys(("colour", "frame", "fraction", "note", "seconds", "attempt", "message", "cause"), VALUE),
)


@st.composite
def mutated(draw: st.DrawFn, originals: Sequence[bytes]) -> bytes:
    """Something real with some bytes changed, cut out, doubled, or cut off."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["set", "set", "set", "insert", "delete", "number", "cut"]))
        if kind == "set" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=12))
        elif kind == "delete":
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == "number":
            data[at : at + 4] = struct.pack("<i", draw(st.sampled_from([-1, 0, 1, 2**31 - 1, -(2**31), 1 << 26])))
        elif kind == "cut":
            del data[at:]
    return bytes(data)


@given(EVENT)
def test_every_event_with_any_values(facts: dict[str, object]) -> None:
    line = json.dumps(facts)
    for engine in ENGINES:
        check_line(engine, line)


@settings(max_examples=300)
@given(mutated([line.encode() for line in REAL_LINES]) | st.binary(max_size=200))
@example(b'{"event": "frame", "frame": 1, "seconds": 1' + b"0" * 5000 + b"}")
@example(b'{"event": "progress", "fraction": 1e999}')
@example(b"[" * 60_000)
@example(b'{"a":' * 60_000)
def test_damaged_lines(raw: bytes) -> None:
    line = raw.decode("utf-8", "replace")
    for engine in ENGINES:
        check_line(engine, line)


@given(st.integers(-64, 2**32), st.lists(st.text(max_size=300) | st.sampled_from(REAL_LINES), max_size=5))
def test_any_last_words(code: int, tail: list[str]) -> None:
    for engine in ENGINES:
        failed = engine.explain_exit(code, tail)
        assert failed is None or (isinstance(failed, EngineFailed) and failed.message)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_a_line_as_long_as_the_service_keeps_takes_no_time_and_says_nothing(engine: Engine) -> None:
    for filler in ("a", "0", " ", "[", '"', "\\", "=", "[error] ", "frame=1"):
        check_line(engine, filler * ((1 << 20) // len(filler)))
        engine.explain_exit(1, [filler * ((1 << 16) // len(filler))] * 4)


def test_what_was_checked_can_be_told() -> None:
    """The checks themselves find an event that no engine may give."""

    class Loose(TestPatternEngine):
        def parse(self, line: str) -> Sequence[EngineEvent]:
            return [Progress(fraction=7.0)]

    with pytest.raises(AssertionError):
        check_line(Loose(), "anything")
    assert ENGINES[0].parse('{"event": "ready"}') == (Ready(),)
    assert ENGINES[2].parse('{"event": "written", "frame": 1, "seconds": 2}') == (FrameWritten(1, seconds=2.0),)
    assert FailureCause("disk") is FailureCause.DISK


@settings(max_examples=150)
@given(mutated(list(BLENDS.values())))
def test_damaged_projects(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    check_blend(tmp_path_factory.getbasetemp() / "damaged.blend", raw)


@settings(max_examples=150)
@given(
    mutated([b"BLENDER-v405", b"BLENDER_V279", b"BLENDER17-01v0500", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"]),
    st.binary(max_size=200),
)
def test_damaged_heads(tmp_path_factory: pytest.TempPathFactory, head: bytes, rest: bytes) -> None:
    check_blend(tmp_path_factory.getbasetemp() / "head.blend", head + rest)


def unpacked(raw: bytes) -> bytes:
    """The content of a .blend."""
    if raw[:2] == b"\x1f\x8b":
        return gzip.decompress(raw)
    if raw[:4] == b"\x28\xb5\x2f\xfd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    return raw


@settings(max_examples=60)
@given(mutated([unpacked(raw) for raw in BLENDS.values()]), st.sampled_from(["plain", "gzip", "zstd"]))
def test_damage_inside_of_a_packed_project(tmp_path_factory: pytest.TempPathFactory, raw: bytes, packing: str) -> None:
    if packing == "gzip":
        raw = gzip.compress(raw, 1)
    elif packing == "zstd":
        raw = zstandard.compress(raw, 1)
    check_blend(tmp_path_factory.getbasetemp() / "inside.blend", raw)


@pytest.mark.parametrize("name", sorted(BLENDS))
def test_a_project_that_is_cut_off_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    raw, path = unpacked(BLENDS[name]), tmp_path / "cut.blend"
    path.write_bytes(raw)
    assert outline(path).scenes >= 1
    for part in range(40):
        path.write_bytes(raw[: len(raw) * part // 40])
        with pytest.raises(Refusal):
            outline(path)


@given(st.binary(max_size=300), st.sampled_from("<>"))
def test_any_catalogue_of_structures(data: bytes, order: str) -> None:
    assert is_sound(b"SDNANAME" + data, order) in (True, False)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["line", "blend"])
def test_guided_fuzzing(what: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris is not installed; hypothesis has looked all the same")
    seconds = os.environ.get("ZORDON_FUZZ_SECONDS", "10")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seeds = [line.encode() for line in REAL_LINES] if what == "line" else list(BLENDS.values())
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    command = [sys.executable, "-m", "tests.proof.fuzzing", what, str(tmp_path / "fuzzed.blend"), str(corpus)]
    limits = [f"-max_total_time={seconds}", "-max_len=100000", "-timeout=10", "-rss_limit_mb=1500"]
    ran = subprocess.run(
        [*command, *limits, f"-artifact_prefix={tmp_path}/"],
        cwd=FIXTURES.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-5000:]
