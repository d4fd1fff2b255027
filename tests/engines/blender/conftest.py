"""The Blenders of this machine, and sessions of them that end with the test."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from engines.contract import EngineVersion, InstallKind, SessionRequest
from tests.support.blender_sessions import Args, Driven, Started, found, planned, version_of


@pytest.fixture(scope="session")
def program() -> EngineVersion:
    """The system's Blender."""
    candidates = found(Path("nowhere"), InstallKind.SYSTEM, "binary")
    if not candidates:
        pytest.skip("no blender program on this machine: install the package 'blender'")
    return version_of(candidates[0])


@pytest.fixture(scope="session")
def module() -> EngineVersion:
    """Blender as PyPI's module, in the folder that ZORDON_TEST_BPY names."""
    folder = os.environ.get("ZORDON_TEST_BPY", "")
    if not folder:
        pytest.skip("ZORDON_TEST_BPY names no folder with a bpy (pip install --target FOLDER bpy==4.5.*)")
    candidates = found(Path(folder), InstallKind.MANAGED, "bpy")
    assert candidates, f"ZORDON_TEST_BPY is {folder}, where no bpy is"
    return version_of(candidates[0])


@pytest.fixture(params=["program", "module"])
def blender(request: pytest.FixtureRequest) -> EngineVersion:
    """Each way to have a Blender."""
    version: EngineVersion = request.getfixturevalue(request.param)
    return version


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Started]:
    """Plans a job and opens a session of it."""
    running: list[Driven] = []

    def started(
        project: Path,
        version: EngineVersion,
        args: Args | None = None,
        *,
        name: str = "shot",
        frames: str | None = None,
        output_format: str | None = None,
        threads: int | None = None,
        raw_arguments: Sequence[str] = (),
        addons: Sequence[str | Path] = (),
        startup_scripts: Sequence[Path] = (),
        autoexec: bool = False,
    ) -> Driven:
        plan = planned(project, args, frames, output_format)
        root = tmp_path / f"session {len(running)}"
        folder = root / "scratch"
        folder.mkdir(parents=True)
        request = SessionRequest(
            project,
            plan.frames,
            version,
            plan.options,
            plan.output_format,
            plan.width,
            plan.height,
            plan.fps,
            plan.details,
            folder,
            name,
            threads,
            tuple(raw_arguments),
            tuple(str(addon) for addon in addons),
            tuple(startup_scripts),
            autoexec,
        )
        driven = Driven(request, root)
        running.append(driven)
        return driven

    with _ended(running):
        yield started


@contextmanager
def _ended(running: list[Driven]) -> Iterator[None]:
    try:
        yield
    finally:
        for driven in running:
            driven.close()
