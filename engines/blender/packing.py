"""A .blend with everything that it needs, wherever that lies: libraries, textures, caches, sequences, fonts, sounds.

blender-asset-tracer's packer finds it, decides where each file goes and rewrites the paths in copies of the .blend
files that say something else; what it would copy is only noted here.
"""

from __future__ import annotations

import gzip
import logging
import shutil
from pathlib import Path, PurePath

from blender_asset_tracer import bpathlib, pack
from blender_asset_tracer.blendfile import close_all_cached
from blender_asset_tracer.blendfile.exceptions import BlendFileError, SegmentationFault

from engines.blender.inspection import MOST_MISSING, UNREADABLE
from engines.contract import PackedFile, Packing, Refusal, files_below

_GZIP = b"\x1f\x8b"
_TARGET = "/packed"  # of which only the part behind it counts


def pack_project(project: Path, root: Path | None, work: Path, around: Path | None = None) -> Packing:
    """See :meth:`engines.contract.Engine.pack`. Takes about as long as inspection, and what rewriting takes.

    Raises:
        Refusal: the file is damaged.
        OSError: something cannot be read, or ``work`` not be written.
    """
    logging.getLogger("blender_asset_tracer").setLevel(logging.CRITICAL)
    project = bpathlib.make_absolute(project)
    base = bpathlib.make_absolute(root or around or project.parent)
    packer = _Recorder(project, base, work)
    try:
        packer.strategise()
        packer.record()
    except (BlendFileError, SegmentationFault, RecursionError, *UNREADABLE) as error:
        raise Refusal(
            "project",
            f"{project.name} cannot be sent to other nodes: {type(error).__name__} while the files that it needs were "
            "looked for",
        ) from error
    finally:
        close_all_cached()
        packer.close()
    files = {} if root is None else {name: PackedFile(name, path) for name, path in files_below(base)}
    files |= packer.files
    missing = sorted(str(path) for path in packer.missing_files)
    warnings = tuple(f"missing: {path}" for path in missing[:MOST_MISSING])
    return Packing(
        main=project.relative_to(base).as_posix(),
        files=tuple(files[name] for name in sorted(files)),
        warnings=warnings,
    )


class _Recorder(pack.Packer):
    """Notes where each file belongs instead of taking it there."""

    def __init__(self, project: Path, base: Path, work: Path) -> None:
        super().__init__(project, base, _TARGET)
        self._rewrite_in = work  # what is there must outlive the packer
        self._packed = project
        self.files: dict[str, PackedFile] = {}

    def record(self) -> None:
        """Rewrite what must be rewritten, and note the place of everything."""
        self._rewrite_paths()
        for path, action in self._actions.items():
            if action.new_path is not None:
                self._packed = path
                self._copy_asset_and_deps(path, action)

    def _send_to_target(self, asset_path: Path, target: PurePath, may_move: bool = False) -> None:
        if asset_path.is_file():
            if may_move:
                _unzip(asset_path)
            name = target.relative_to(self._target_path).as_posix()
            self.files[name] = PackedFile(name, asset_path, self._packed if may_move else None)


def _unzip(path: Path) -> None:
    """Take a rewritten file out of its packing, which has the time in it: what is rewritten twice must be the same."""
    with path.open("rb") as file:
        if file.read(2) != _GZIP:
            return
    plain = path.with_name(f"{path.name}.plain")
    with gzip.open(path) as source, plain.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    plain.replace(path)
