"""Scratch folders that are handed on: only empty ones, and nothing of one attempt reaches the next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.jobs.folders import DataFolder
from app.render.confinement import Confinement
from app.render.scratch import MOST_SPARE, ScratchFolders, SpareFolders, become
from app.settings import load_settings

if TYPE_CHECKING:
    from tests.render.conftest import StartNode


@pytest.fixture
def attempts(tmp_path: Path) -> Path:
    folder = tmp_path / "attempts"
    folder.mkdir()
    return folder


@pytest.fixture
def confinement(tmp_path: Path) -> Confinement:
    return Confinement(load_settings(data_dir=tmp_path), DataFolder(tmp_path))


def test_an_empty_folder_becomes_the_next_one(attempts: Path, confinement: Confinement) -> None:
    first, second = attempts / "a-1", attempts / "a-2"
    confinement.make([(first, None)])
    inode = first.stat().st_ino
    confinement.make([(second, first)])
    assert [path.name for path in attempts.iterdir()] == ["a-2"]
    assert second.stat().st_ino == inode


def leave_a_file(folder: Path) -> None:
    (folder / "frame.png").write_bytes(b"half of it")


def leave_a_folder(folder: Path) -> None:
    (folder / "cache" / "deep").mkdir(parents=True)


def leave_a_link(folder: Path) -> None:
    folder.rmdir()
    folder.symlink_to("/usr", target_is_directory=True)


def leave_it_closed(folder: Path) -> None:
    folder.chmod(0o500)


def leave_nothing(folder: Path) -> None:
    folder.rmdir()


@pytest.mark.parametrize("leave", [leave_a_file, leave_a_folder, leave_a_link, leave_it_closed, leave_nothing])
def test_what_is_not_as_it_was_made_is_removed(
    attempts: Path, confinement: Confinement, leave: Callable[[Path], None]
) -> None:
    first, second = attempts / "a-1", attempts / "a-2"
    confinement.make([(first, None)])
    leave(first)
    confinement.make([(second, first)])
    assert [path.name for path in attempts.iterdir()] == ["a-2"]
    assert not second.is_symlink()
    assert not list(second.iterdir())
    assert second.stat().st_mode & 0o700 == 0o700
    assert Path("/usr/bin").is_dir()


def test_one_is_kept_for_each_place_and_the_others_go(tmp_path: Path) -> None:
    gone: list[Path] = []
    scratch = ScratchFolders(gone.append, lambda: None)
    for name in ("attempts/a-1", "sessions/a-1", "attempts/a-2"):
        scratch.done_with(tmp_path / name)
    assert gone == [tmp_path / "attempts/a-1"]
    assert scratch.spare(tmp_path / "attempts/a-3") == tmp_path / "attempts/a-2"
    assert scratch.spare(tmp_path / "attempts/a-4") is None
    scratch.drop()
    assert gone[1:] == [tmp_path / "sessions/a-1"]
    assert scratch.spare(tmp_path / "sessions/a-2") is None


def test_what_is_empty_is_kept_for_others_and_the_rest_goes(tmp_path: Path) -> None:
    folders = DataFolder(tmp_path)
    folders.prepare()
    spares = SpareFolders(folders)
    left = [folders.attempt(f"job-{number}") for number in range(MOST_SPARE + 3)]
    for folder in left:
        folder.mkdir()
    (left[0] / "frame.png").write_bytes(b"half of it")
    spares.sift(left)
    assert not list(folders.attempts.iterdir())
    assert len(list(folders.spare.iterdir())) == MOST_SPARE
    session = folders.session("other-1")
    scratch = ScratchFolders(lambda folder: None, spares.take)
    assert become(scratch.spare(session) or session, session)
    assert not list(session.iterdir())
    while (spare := spares.take()) is not None:
        spare.rmdir()
    assert not list(folders.spare.iterdir())


async def test_nothing_is_left_when_a_job_has_ended(start_node: StartNode) -> None:
    async with start_node(max_chunk_frames=1) as node:
        job = await node.submit(frames="1-6", args={"width": 16, "height": 16})
        await node.until(job.id, lambda now: now.status.ended)
        folders = node.parts.folders
    for place in (folders.attempts, folders.sessions):
        assert not list(place.iterdir())
    assert not any(list(spare.iterdir()) for spare in folders.spare.iterdir())
    assert len(list(folders.output(job.id).iterdir())) == 6


async def test_what_was_verified_when_a_job_ended_is_moved_by_the_next_start(start_node: StartNode) -> None:
    async with start_node() as node:
        job = await node.submit(frames="1-2", args={"width": 16, "height": 16})
        await node.until(job.id, lambda now: now.status.ended)
        await node.parts.jobs.settled(job.id)
        folders = node.parts.folders
        first, second = node.parts.manifests.at(folders.manifest(job.id)).entries()
    # As a kill between the line of the manifest and the move leaves it, and what nobody knows beside it.
    attempt = folders.attempt(first.attempt)
    attempt.mkdir()
    (folders.output(job.id) / first.name).rename(attempt / first.name)
    (attempt / "half.png").write_bytes(b"not verified")
    for stranger in (folders.attempt("0123456789abcdef-1"), folders.session("nobody"), folders.spare / "old"):
        stranger.mkdir()
    async with start_node() as node:
        assert sorted(path.name for path in folders.output(job.id).iterdir()) == sorted([first.name, second.name])
        for place in (folders.attempts, folders.sessions, folders.spare):
            assert not list(place.iterdir())
