"""A folder with the files of a tree, made of the content store: by shared extents where the file system can
(FICLONE), by hard links else, by copies where even that is not possible.

The folder gets its name when it is complete. Before it is used again every file is looked at: one that is not there, or
was changed, is put back.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from app.content.store import MARK_NS, ContentStore
from app.jobs.folders import DataFolder
from app.jobs.names import member_parts
from app.outputs.files import sync_folder
from client.models import Tree, TreeFile

_FICLONE: Final = 0x40049409  # linux/fs.h
_NOT_HERE: Final = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EMLINK)


def checkout(tree: Tree, store: ContentStore, folders: DataFolder) -> Path:
    """The folder of a tree, complete and as it should be. For a thread; one at a time for the same tree.

    Raises:
        ContentGone: some of its content is not here.
        OSError: it cannot be written.
    """
    place = folders.projects / tree.id
    if place.is_dir() and not place.is_symlink():
        for file in tree.files:
            if not _is_right(place.joinpath(*member_parts(file.path)), file):
                _put_back(file, place, store)
        return place
    work = folders.make_upload()
    try:
        for file in tree.files:
            target = work.joinpath(*member_parts(file.path))
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _put(store.adopt(file.sha256, file.size), target)
        work.rename(place)
        sync_folder(place.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return place


def _is_right(path: Path, file: TreeFile) -> bool:
    try:
        found = path.stat(follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return found.st_size == file.size and found.st_mtime_ns == MARK_NS and not path.is_symlink()


def _put_back(file: TreeFile, place: Path, store: ContentStore) -> None:
    target = place.joinpath(*member_parts(file.path))
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name[:200]}.fresh")
    fresh.unlink(missing_ok=True)
    _put(store.adopt(file.sha256, file.size), fresh)
    fresh.replace(target)


def _put(blob: Path, target: Path) -> None:
    for way in _WAYS:
        if way(blob, target):
            return
    shutil.copyfile(blob, target)
    os.utime(target, ns=(MARK_NS, MARK_NS))


def _clone(blob: Path, target: Path) -> bool:
    """Another file that shares the bytes on the disk until one of the two is changed."""
    if sys.platform != "linux":
        return False
    import fcntl

    with blob.open("rb") as source, target.open("wb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), _FICLONE, source.fileno())
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
        else:
            os.utime(copy.fileno(), ns=(MARK_NS, MARK_NS))
            return True
    target.unlink()
    return False


def _link(blob: Path, target: Path) -> bool:
    try:
        os.link(blob, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
        return False
    return True


_WAYS: Final[tuple[Callable[[Path, Path], bool], ...]] = (_clone, _link)
