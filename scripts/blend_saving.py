"""Saves a .blend that says nothing about the machine it was made on.

Blender writes the file's own path, the home folder and the temporary folder into every file. These scripts' files are
published, so the paths are blanked out (same length, so that nothing moves) before the file is compressed.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from pathlib import Path

import bpy


def save_clean(target: Path) -> None:
    """Write the open file to ``target``, compressed and without paths of this machine.

    Compressed with zstd where the module is at hand, else with gzip; every Blender from 3.0 on reads both.

    Raises:
        ValueError: a path of this machine is still in it.
    """
    bpy.context.preferences.filepaths.save_version = 0
    with tempfile.TemporaryDirectory() as folder:
        # Linked files must keep their paths relative to the folder that the file will be in.
        draft = target.with_name(f"{target.stem}.draft.blend")
        bpy.ops.wm.save_as_mainfile(filepath=str(draft), compress=False, relative_remap=False)
        raw = draft.read_bytes()
        draft.unlink()
        for path in (str(draft), str(draft.parent), folder, tempfile.gettempdir() + "/", str(Path.home())):
            if len(path) > 2:
                raw = raw.replace(os.fsencode(path), bytes(len(os.fsencode(path))))
    for path in (str(target.parent), str(Path.home()) + "/"):
        if os.fsencode(path) in raw:
            raise ValueError(f"{target.name} still names {path}")
    try:
        import zstandard
    except ImportError:
        packed = gzip.compress(raw, 9, mtime=0)
    else:
        packed = zstandard.ZstdCompressor(level=19).compress(raw)
    target.write_bytes(packed)
