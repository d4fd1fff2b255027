"""Installs PyPI's Blender into a folder and prints where it is; for the tests, and for the containers' engine volume.

``--only-look`` installs nothing: it prints an empty line if there is none yet.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from app.cli.bpy_install import REQUIREMENT, InstallFailed, find_installed, install_bpy


class Lines:
    """Progress as a line now and then, for logs and terminals alike."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, what: str, done: int, expected: int | None) -> None:
        line = what if not expected else f"{what}: {min(10, done * 10 // expected) * 10} %"
        if line not in self._said:
            self._said.add(line)
            print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Exit code 0 and the folder on stdout, or 1 and the reason on stderr."""
    parser = argparse.ArgumentParser(description="Install PyPI's Blender, 400 MB, into FOLDER/<version>.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--only-look", action="store_true", help="install nothing")
    wanted = parser.parse_args()
    place = find_installed(wanted.folder)
    if place is None and not wanted.only_look:
        print(f"Installing {REQUIREMENT} from PyPI, about 400 MB, once …", file=sys.stderr, flush=True)
        try:
            place = install_bpy(wanted.folder, Lines())
        except (InstallFailed, OSError) as error:
            print(error, file=sys.stderr)
            return 1
    print(place or "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
