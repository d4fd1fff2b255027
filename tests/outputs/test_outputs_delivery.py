"""From a chunk's folder into the outputs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from app.outputs.delivery import deliver, place
from app.outputs.manifest import Entry, Made, Manifest
from app.outputs.unfinished import finish_moves
from app.outputs.verification import VerificationError, verify
from app.outputs.workers import Workers
from engines.contract import ExpectedOutput, FailureCause, OutputCheck, PictureCheck, VideoCheck

Maker = Callable[..., Path]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(tmp_path / "manifest.jsonl")


async def test_quick_and_slow_ones_arrive_and_are_listed(
    workers: Workers, picture: Maker, exr: Maker, video: Maker, tmp_path: Path, manifest: Manifest, output: Path
) -> None:
    made = [picture("a_1.png"), exr("a_2.exr"), picture("a_3.jpg"), video("a.mp4")]
    data = [path.read_bytes() for path in made]
    checks: list[OutputCheck] = [PictureCheck(64, 36)] * 3 + [VideoCheck(frames=25)]
    wanted = [ExpectedOutput(path.name, check, 5) for path, check in zip(made, checks, strict=True)]
    entries = await deliver(workers, tmp_path, wanted, manifest, output, Made("attempt1", 0.25, "node-1"))
    assert [entry.name for entry in entries] == [path.name for path in made]
    assert not any(path.exists() for path in made)
    assert [(output / entry.name).read_bytes() for entry in entries] == data
    assert set(Manifest(manifest.path).entries()) == set(entries)
    assert {(entry.attempt, entry.frame) for entry in entries} == {("attempt1", 5)}
    assert {(entry.seconds, entry.node) for entry in entries} == {(0.25, "node-1")}
    assert manifest.reconcile(output) == manifest.entries()


async def test_of_several_all_are_taken_or_none(
    workers: Workers, picture: Maker, cut: Callable[[Path, int], Path], tmp_path: Path, manifest: Manifest, output: Path
) -> None:
    picture("a_1.png")
    cut(picture("a_2.png"), -20)
    picture("a_3.png")
    wanted = [ExpectedOutput(f"a_{frame}.png", PictureCheck(), frame) for frame in (1, 2, 3)]
    with pytest.raises(VerificationError) as error:
        await deliver(workers, tmp_path, wanted, manifest, output, Made("attempt1", 0.25, "node-1"))
    assert error.value.cause is FailureCause.BAD_FRAME
    assert not output.exists()
    assert manifest.entries() == Manifest(manifest.path).entries() == ()
    assert not manifest.whole


async def test_a_second_attempt_replaces_the_first(
    workers: Workers, picture: Maker, tmp_path: Path, manifest: Manifest, output: Path
) -> None:
    for attempt, width in (("attempt1", 64), ("attempt2", 32)):
        picture("a.png", width)
        await deliver(workers, tmp_path, [ExpectedOutput("a.png", PictureCheck())], manifest, output, Made(attempt))
    (entry,) = Manifest(manifest.path).reconcile(output)
    assert (entry.attempt, entry.width) == ("attempt2", 32)


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"x" * 400), lambda path: path.unlink()])
def test_a_file_changed_after_verification_is_not_taken(
    picture: Maker, tmp_path: Path, manifest: Manifest, output: Path, change: Callable[[Path], object]
) -> None:
    path = picture("a.png")
    verified = [verify(tmp_path, ExpectedOutput("a.png", PictureCheck()))]
    change(path)
    with pytest.raises(VerificationError):
        place(tmp_path, verified, manifest, output, Made("attempt1", 0.25, "node-1"))
    assert not manifest.entries()


def test_a_folder_that_cannot_be_written_is_a_fault_of_the_disk(
    picture: Maker, tmp_path: Path, manifest: Manifest, output: Path
) -> None:
    picture("a.png")
    output.write_bytes(b"a file is in the way")
    with pytest.raises(VerificationError) as error:
        place(
            tmp_path,
            [verify(tmp_path, ExpectedOutput("a.png", PictureCheck()))],
            manifest,
            output,
            Made("attempt1", 0.25, "node-1"),
        )
    assert error.value.cause is FailureCause.DISK


async def test_a_file_that_kills_whoever_looks_at_it_is_bad(
    tmp_path: Path, exr: Maker, manifest: Manifest, output: Path
) -> None:
    exr("a.exr")

    class Deadly(Workers):
        """Its workers die of every call, as they would of a hole in a library."""

        async def run(self, function: object, *args: object, **kwargs: object) -> None:  # type: ignore[override]
            await super().run(os.kill, 0, signal.SIGKILL)

    workers = Deadly()
    with pytest.raises(VerificationError) as error:
        await deliver(
            workers,
            tmp_path,
            [ExpectedOutput("a.exr", PictureCheck())],
            manifest,
            output,
            Made("attempt1", 0.25, "node-1"),
        )
    assert error.value.cause is FailureCause.BAD_FRAME
    await workers.close()


def test_what_a_crash_kept_from_its_place_is_moved_there_at_the_next_start(
    picture: Maker, tmp_path: Path, manifest: Manifest, output: Path
) -> None:
    attempt = tmp_path / "attempts" / "attempt1"
    attempt.mkdir(parents=True)
    verified = []
    for frame in (1, 2, 3):
        picture(f"a_{frame}.png").rename(attempt / f"a_{frame}.png")
        verified.append(verify(attempt, ExpectedOutput(f"a_{frame}.png", PictureCheck(), frame)))
    entries = [Entry.of(one, Made("attempt1")) for one in verified]

    class Crash(BaseException):
        """kill -9, as far as the code in its way can tell."""

    output.mkdir()
    with pytest.raises(Crash), manifest.adding(*entries):  # noqa: PT012 - the context is what is tested
        (attempt / "a_1.png").rename(output / "a_1.png")
        raise Crash
    assert manifest.entries() == ()
    (attempt / "a_3.png").write_bytes(b"not what was verified")
    again = Manifest(manifest.path)
    assert finish_moves(again, attempt.parent, output) == 1
    assert [entry.name for entry in again.reconcile(output)] == ["a_1.png", "a_2.png"]
    assert not again.whole
    picture("a_3.png").rename(attempt / "a_3.png")
    place(attempt, [verify(attempt, ExpectedOutput("a_3.png", PictureCheck(), 3))], again, output, Made("attempt2"))
    assert again.whole
    assert Manifest(manifest.path).whole
