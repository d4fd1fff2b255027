"""What the tests of taking jobs in share: a real node without its HTTP side, with real engines."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from app.jobs.feed import Feed
from app.jobs.folders import DataFolder
from app.jobs.intake import Intake
from app.jobs.record import JobRecord
from app.jobs.service import JobService
from app.jobs.store import Store
from app.jobs.versions import Offered
from app.render.catalog import EngineCatalog
from app.settings import Settings, load_settings
from engines.contract import Engine, ProjectInfo


@dataclass
class Farm:
    """A node that takes jobs and renders nothing."""

    settings: Settings
    folders: DataFolder
    store: Store
    feed: Feed
    jobs: JobService
    intake: Intake
    inspected: list[Path]

    async def submit(self, *bodies: object, local: bool = False, key: str | None = None) -> list[JobRecord]:
        """Submit one body, or several as a list."""
        body = orjson.dumps(bodies[0] if len(bodies) == 1 else bodies)
        return await self.records(await self.intake.from_json(body, local=local, key=key))

    async def upload(
        self, body: object, name: str, content: bytes, *, key: str | None = None, piece: int = 1 << 16
    ) -> list[JobRecord]:
        """Submit with a file."""
        multipart = form(("json", None, orjson.dumps(body)), ("file", name, content))
        wires = await self.intake.from_multipart(
            CONTENT_TYPE, pieces(multipart, piece), len(multipart), local=False, key=key
        )
        return await self.records(wires)

    async def records(self, wires: list[bytes]) -> list[JobRecord]:
        """The stored jobs behind answered ones."""
        return [await self.jobs.record(orjson.loads(wire)["id"]) for wire in wires]

    def left(self) -> list[str]:
        """Everything of uploads that is on the disk, below the data folder."""
        folders = (self.folders.uploads, self.folders.projects, self.folders.trash)
        return sorted(str(path.relative_to(self.folders.root)) for folder in folders for path in folder.rglob("*"))

    async def assert_nothing_made(self) -> None:
        """No job, in memory or in the store, and no file."""
        assert sum(self.jobs.counts().values()) == 0
        assert await self.store.read(lambda connection: connection.execute("SELECT count(*) FROM jobs").fetchone()) == (
            0,
        )
        assert self.left() == []


BOUNDARY = "a-boundary-of-the-tests"
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"

MakeFarm = Callable[..., Awaitable[Farm]]
Pause = Callable[[], Awaitable[None]]


async def _at_once() -> None:
    """No pause."""


def form(*parts: tuple[str, str | None, bytes], end: bool = True) -> bytes:
    """A multipart body of ``(name, filename, content)``."""
    body = b""
    for name, filename, content in parts:
        disposition = f'form-data; name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
        body += f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
    return body + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    """A body as it comes from a socket."""
    for at in range(0, len(body), size):
        yield body[at : at + size]


def zipped(path: Path, members: dict[str, bytes]) -> bytes:
    """A zip with these members, written to ``path``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path.read_bytes()


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> EngineCatalog:
    """The engines of this machine, as the service finds them."""
    folder = tmp_path_factory.mktemp("catalog")
    found = EngineCatalog(load_settings(data_dir=folder), folder / "engines")
    asyncio.run(found.refresh())
    return found


@pytest.fixture
async def make_farm(tmp_path: Path, catalog: EngineCatalog) -> AsyncIterator[MakeFarm]:
    """Makes nodes with other settings than the default ones; a ``catalog``, and who tells what is ``offered``, may be
    given too."""
    stores: list[Store] = []

    async def make(
        *,
        catalog: EngineCatalog = catalog,
        before_inspection: Pause = _at_once,
        offered: Offered | None = None,
        **flags: object,
    ) -> Farm:
        settings = load_settings(data_dir=tmp_path / f"data-{len(stores)}", name="node-of-the-tests", **flags)
        folders = DataFolder(settings.data_dir)
        folders.prepare()
        store = Store(folders.database)
        await store.open()
        stores.append(store)
        feed = Feed(store.store_id, store.epoch)
        jobs = JobService(store, feed, folders)
        await jobs.load()
        inspected: list[Path] = []

        async def inspect(engine: Engine, project: Path) -> ProjectInfo:
            inspected.append(project)
            await before_inspection()
            return await asyncio.to_thread(engine.inspect, project)

        intake = Intake(settings, folders, jobs, catalog, inspect, offered)
        return Farm(settings, folders, store, feed, jobs, intake, inspected)

    yield make
    for store in stores:
        await store.close()


@pytest.fixture
async def farm(make_farm: MakeFarm) -> Farm:
    """A node with the default settings."""
    return await make_farm()


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real video: 12 frames of 32 x 24 pixels at 12 frames a second."""
    import av
    import numpy as np

    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for number in range(12):
            picture = np.full((24, 32, 3), number * 20, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A real PNG of 32 x 24 pixels."""
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (32, 24), "teal").save(file, "PNG")
    return file.getvalue()
