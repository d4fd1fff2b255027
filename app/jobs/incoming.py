"""Uploads in pieces as they lie on the disk.

::

    <data>/incoming/<upload>/upload.json      what was announced, and whether all of it is there and right
                            /content/<name>   what has come
                            /unpacked/…       the content of a zip, once somebody has looked into it
"""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from app.jobs.durable import sync_file
from app.jobs.errors import NoSpace
from app.jobs.folders import DataFolder
from app.jobs.pieces import size_of
from app.outputs.files import sync_folder

log = structlog.get_logger(__name__)


class Announced(BaseModel):
    """What is in ``upload.json``."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: int
    sha256: str | None
    by: str  # id of the token that it came with
    complete: bool = False


class Receiving:
    """A request that appends just now."""

    def __init__(self) -> None:
        self.give_way = asyncio.Event()
        self.over = asyncio.Event()


@dataclass(slots=True)
class IncomingUpload:
    """One upload."""

    id: str
    folder: Path
    announced: Announced
    offset: int
    touched: float  # seconds since 1970
    receiving: Receiving | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # whoever works with the whole content

    @property
    def file(self) -> Path:
        """What has come."""
        return self.folder / "content" / self.announced.name

    @property
    def unpacked(self) -> Path:
        """What was in it, if it is a zip."""
        return self.folder / "unpacked"


def make(upload: IncomingUpload, coming: int, free: int) -> None:
    """Make the folder of a new upload. For a thread.

    Args:
        coming: bytes that this one and those under way still bring.
        free: bytes that must stay free on the disk.

    Raises:
        NoSpace: there is no room for it.
        OSError: it cannot be written.
    """
    has = shutil.disk_usage(upload.folder.parent).free
    if has - coming < free:
        raise NoSpace(
            f"the disk of the data folder has {has} bytes free; this upload and those under way need {coming}, and "
            f"{free} must stay free (min_free_bytes)",
            "size",
        )
    upload.file.parent.mkdir(mode=0o700, parents=True)
    write_down(upload)


def load(folders: DataFolder) -> dict[str, IncomingUpload]:
    """What is there of the time before, by id, the oldest first. What cannot be gone on with is thrown away."""
    found: list[IncomingUpload] = []
    for folder in folders.incoming.iterdir():
        try:
            announced = Announced.model_validate_json((folder / "upload.json").read_bytes())
            upload = IncomingUpload(folder.name, folder, announced, 0, folder.stat().st_mtime)
            upload.offset = size_of(upload.file)
            for path in (upload.file, folder / "upload.json"):
                if path.exists():
                    upload.touched = max(upload.touched, path.stat().st_mtime)
            upload.file.parent.mkdir(exist_ok=True)
        except (OSError, ValidationError):
            log.info("removing an upload that cannot be gone on with", upload=folder.name)
            folders.throw_away(folder)
            continue
        if announced.complete and upload.offset != announced.size:  # a crash while a job was made of it
            upload.announced, upload.offset = announced.model_copy(update={"complete": False}), 0
            upload.file.unlink(missing_ok=True)
        for leftover in folder.glob("unpacking-*"):
            folders.throw_away(leftover)
        found.append(upload)
    return {upload.id: upload for upload in sorted(found, key=lambda upload: upload.touched)}


def write_down(upload: IncomingUpload) -> None:
    """Keep what was announced. For a thread."""
    path = upload.folder / "upload.json"
    part = path.with_name("upload.json.part")
    part.write_text(upload.announced.model_dump_json())
    sync_file(part)
    part.replace(path)
    sync_folder(upload.folder)


def move_for_good(source: Path, target: Path) -> None:
    """By a rename, for good."""
    source.rename(target)
    sync_folder(target.parent)
