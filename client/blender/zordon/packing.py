"""A project with all that it needs, as one zip that opens anywhere: every path in it leads to a file in it.

The work of a thread: it reads files and writes one, and knows nothing of Blender.
"""

from __future__ import annotations

import posixpath
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .blendfile import CompressionUnknown, changes, unpacked, write_changed
from .errors import Cancelled, PackingFailed
from .layout import Dependency, absolute, files_of, place_in_archive, relative, same
from .upload import Progress

_STEP = 1 << 20
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
_PACKED_ALREADY = (
    *(".avi", ".exr", ".flac", ".gif", ".jp2", ".jpeg", ".jpg", ".m4v", ".mkv", ".mov", ".mp3", ".mp4", ".mpg", ".ogg"),
    *(".png", ".vdb", ".webm", ".webp", ".7z", ".bz2", ".gz", ".xz", ".zip", ".zst"),
)


@dataclass(frozen=True)
class Project:
    """What is packed.

    Attributes:
        path: where the .blend is, for whatever its paths are relative to; absolute.
        saved: the copy that is packed in its place, not compressed.
        dependencies: whatever it reads.
    """

    path: Path
    saved: Path
    dependencies: Sequence[Dependency]

    @property
    def place(self) -> str:
        """Its path in the archive."""
        return self.path.name


@dataclass
class Packed:
    """What came of it.

    Attributes:
        places: the path in the archive of every file that was found, by its own.
        missing: what the project reads and is not there.
        warnings: what may come out differently than on this machine, a sentence each.
    """

    places: dict[Path, str] = field(default_factory=dict)
    missing: list[Dependency] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def missing_of(dependencies: Iterable[Dependency]) -> list[Dependency]:
    """Those of which nothing is there.

    Raises:
        PackingFailed: a folder cannot be read.
    """
    return [one for one in dependencies if not _files_of(one)]


def pack(project: Project, archive: Path, progress: Progress, stop: threading.Event) -> Packed:
    """Write the archive.

    Args:
        progress: told the bytes of the files so far and in all.
        stop: set by whoever does not want it any more.

    Raises:
        Cancelled: ``stop`` was set.
        PackingFailed: a file cannot be read, or the archive cannot be written.
    """
    packed = Packed()
    folder = project.path.parent
    moved: set[str] = set()  # what may be named otherwise: everything of which something is in the archive
    for dependency in project.dependencies:
        if stop.is_set():
            raise Cancelled("the packing was cancelled")
        files = _files_of(dependency)
        if not files:
            packed.missing.append(dependency)
            continue
        moved.add(same(dependency.path.parent if dependency.parted else dependency.path))
        packed.places.update((file, place_in_archive(file, folder)) for file in files)
    packed.places.pop(project.path, None)
    moved.add(same(project.path))
    try:
        sizes = {file: file.stat().st_size for file in (project.saved, *packed.places)}
        done, total = 0, sum(sizes.values())

        def count(more: int) -> None:
            nonlocal done
            if stop.is_set():
                raise Cancelled("the packing was cancelled")
            done += more
            progress(min(done, total), total)

        with zipfile.ZipFile(archive, "w", allowZip64=True) as target:
            writer = _Writer(target, folder, moved, archive.parent, count, packed.warnings)
            writer.add_blend(project.saved, project.path, project.place)
            for file, place in packed.places.items():
                if file.suffix.lower() == ".blend":
                    writer.add_blend(file, file, place)
                else:
                    writer.add(file, place)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise PackingFailed(f"the project cannot be packed: {where}{error.strerror or error}") from error
    return packed


class _Writer:
    """Puts files into an open archive."""

    def __init__(
        self,
        target: zipfile.ZipFile,
        folder: Path,
        moved: set[str],
        scratch: Path,
        count: Callable[[int], None],
        warnings: list[str],
    ) -> None:
        self._target = target
        self._folder = folder
        self._moved = moved
        self._scratch = scratch
        self._count = count
        self._warnings = warnings

    def add(self, file: Path, place: str) -> None:
        """A file as it is."""
        self._write(file, place, {})

    def add_blend(self, file: Path, stands_for: Path, place: str) -> None:
        """A .blend, with its paths leading to where their files are in the archive.

        Args:
            stands_for: where it is in the project; its paths are relative to that.
        """
        try:
            with unpacked(file, self._scratch) as plain:
                patches = changes(plain, lambda path: self._rewritten(path, stands_for.parent, place))
                if patches:
                    self._write(plain, place, patches)
                    return
        except CompressionUnknown as error:
            self._warnings.append(f"the paths in it stay as they are: {error}")
        self._write(file, place, {})

    def _rewritten(self, path: str, start: Path, place: str) -> str:
        meant = absolute(path, start)
        if same(meant) not in self._moved:
            return path
        target = place_in_archive(meant, self._folder)
        if path.startswith("//"):
            # Where everything keeps its distance nothing has to be written anew.
            beside = posixpath.join(posixpath.dirname(place), path[2:].replace("\\", "/"))
            if posixpath.normpath(beside) == target:
                return path
        new = relative(target, place)
        return f"{new}/" if path.endswith(("/", "\\")) else new

    def _write(self, file: Path, place: str, patches: dict[int, bytes]) -> None:
        state = file.stat()
        info = zipfile.ZipInfo(place, max(time.localtime(state.st_mtime)[:6], _FIRST_DATE))
        info.file_size = state.st_size
        info.external_attr = 0o100644 << 16
        if file.suffix.lower() not in _PACKED_ALREADY:
            info.compress_type = zipfile.ZIP_DEFLATED
            info._compresslevel = 1  # type: ignore[attr-defined]  # ZipFile.open() asks for it nowhere else
        with self._target.open(info, "w", force_zip64=state.st_size >= 1 << 31) as member:
            if patches:
                write_changed(file, patches, member, self._count)
                return
            with file.open("rb") as source:
                while piece := source.read(_STEP):
                    member.write(piece)
                    self._count(len(piece))


def _files_of(dependency: Dependency) -> list[Path]:
    try:
        return files_of(dependency)
    except OSError as error:
        raise PackingFailed(f"{dependency.path} cannot be read: {error.strerror or error}") from error
