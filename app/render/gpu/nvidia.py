"""NVIDIA: ``nvidia-smi pmon`` tells what share of each GPU every process has had (nvidia-smi(1), "Process Monitoring").

It asks the driver for the last second or so and takes some tenths of a second. Not known on Windows for display cards;
then it fails, and nothing is said.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from typing import Final

from app.render.gpu.interface import Worked

_ANSWER_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 300.0
"""After a failure it is not asked again for so long."""
_SHARES: Final = ("sm", "enc", "dec")
"""Columns in percent: computing and rendering, encoding and decoding video."""


class NvidiaSmi:
    """See :class:`app.render.gpu.interface.GpuReader`.

    Args:
        program: the path of ``nvidia-smi``.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._worked = Worked()
        self._silent_until = 0.0

    def seconds(self, pids: Sequence[int]) -> float | None:
        """See the class."""
        if time.monotonic() < self._silent_until:
            return None
        command = [self._program, "pmon", "-c", "1", "-s", "u"]
        try:
            asked = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=True)
            shares = read_pmon(asked.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            return None
        return self._worked.add(pids[0], sum(shares.get(pid, 0.0) for pid in pids))


def read_pmon(printed: str) -> dict[int, float]:
    """The share of the GPUs by process, 0 to 1 a GPU, of what ``nvidia-smi pmon`` has printed.

    Raises:
        ValueError: it is no such table.

    >>> read_pmon("# gpu pid type sm mem enc dec command\\n 0 77 C 50 3 - 10 blender\\n")
    {77: 0.6}
    """
    columns: list[str] = []
    shares: dict[int, float] = {}
    for line in printed.splitlines():
        words = line.lstrip("# ").split()
        if line.startswith("#"):
            columns = words if "pid" in words else columns
            continue
        if not columns:
            break
        row = dict(zip(columns, words, strict=False))
        if row.get("pid", "-").isdigit():
            percent = sum(float(row[name]) for name in _SHARES if row.get(name, "-") not in ("-", "N/A"))
            shares[int(row["pid"])] = shares.get(int(row["pid"]), 0.0) + percent / 100
    if "sm" not in columns:
        raise ValueError("it lists no processes")
    return shares
