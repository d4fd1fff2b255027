"""A small disk of one's own, which can be filled up and made read-only; takes root on Linux."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class SmallDisk:
    """A tmpfs that is mounted."""

    folder: Path

    def fill(self) -> None:
        """Take all space."""
        with self._filler.open("ab", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 16))

    def empty(self) -> None:
        """Give it back."""
        self._filler.unlink(missing_ok=True)

    def read_only(self) -> None:
        """Nothing can be written any more."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.folder)], check=True)

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[SmallDisk]:
    """A tmpfs on this folder; the test is skipped, with the reason, where nobody may mount one."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "zordon-test", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
