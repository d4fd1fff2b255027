"""How long the GPU has worked for an engine: asked where the system or the vendor's program tells.

A renderer on a GPU leaves the processor idle and says nothing for as long as a frame takes. Whether it is stalled
(:mod:`app.render.stall`) only the GPU can tell. Each way to ask is a :class:`GpuReader` in a file of its own.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from app.render.gpu.drm import BusyDevices, DrmClients
from app.render.gpu.interface import GpuReader
from app.render.gpu.nvidia import NvidiaSmi

__all__ = ["Gpu", "GpuReader", "gpu_of_this_machine"]

_DEVICES = ("dri", "kfd", "nvidia0", "nvidiactl", "dxg")


class Gpu:
    """Everybody who can be asked, together. For threads."""

    def __init__(self, readers: Sequence[GpuReader], *, there: bool = True) -> None:
        """``there``: whether the machine may have a GPU at all."""
        self._readers = tuple(readers)
        self._there = there

    def seconds(self, pid: int) -> float | None:
        """How long the GPU has worked for a process and its descendants so far, in seconds; None: it cannot be told."""
        if not self._there:
            return 0.0
        if not self._readers:
            return None
        pids = [pid]
        with contextlib.suppress(psutil.Error):
            pids += [child.pid for child in psutil.Process(pid).children(recursive=True)]
        told = [seconds for reader in self._readers if (seconds := reader.seconds(pids)) is not None]
        return sum(told) if told else None


def gpu_of_this_machine() -> Gpu:
    """Whoever can be asked here."""
    readers: list[GpuReader] = []
    if (program := shutil.which("nvidia-smi")) is not None:
        readers.append(NvidiaSmi(program))
    if sys.platform != "linux":
        return Gpu(readers)
    readers += [DrmClients(Path("/proc")), BusyDevices(Path("/proc"), Path("/sys"))]
    there = program is not None or any(Path("/dev", name).exists() for name in _DEVICES)
    return Gpu(readers, there=there)
