"""A content store, and a project as studios have them, made once by Blender."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.content.projects import ProjectTrees
from app.content.store import ContentStore
from app.jobs.folders import DataFolder
from engines.contract import Engine, Packing
from tests.support.studio_project import make_studio_project


@pytest.fixture
def folders(tmp_path: Path) -> DataFolder:
    """A data folder."""
    folders = DataFolder(tmp_path / "data")
    folders.prepare()
    return folders


@pytest.fixture
def store(folders: DataFolder) -> ContentStore:
    """An empty content store in it."""
    store = ContentStore(folders.content, 1 << 30)
    store.open()
    return store


@pytest.fixture
async def trees(folders: DataFolder, store: ContentStore, tmp_path: Path) -> AsyncIterator[ProjectTrees]:
    """Makes trees of projects below ``tmp_path``, without worker processes."""

    async def pack(engine: Engine, project: Path, root: Path | None, work: Path, around: Path | None) -> Packing:
        return await asyncio.to_thread(engine.pack, project, root, work, around)

    made = ProjectTrees(folders, store, pack, [tmp_path])
    yield made
    await made.close()


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the project; see :func:`make_studio_project`. Only to be read."""
    if shutil.which("blender") is None:
        pytest.skip("there is no blender on PATH (scripts/test says how to get one)")
    root = tmp_path_factory.mktemp("studio") / "studio"
    make_studio_project(root)
    return root
