"""Linux: what graphics drivers tell of their clients, and how busy a card says that it is.

Drivers of AMD, Intel and others count for each client how long the card has worked for it, and show that beside the
open device (the kernel's drm-usage-stats.rst, ``/proc/<pid>/fdinfo``): nanoseconds, or cycles of how many there were.
Work that comes to an AMD card in another way (ROCm) is not counted there; the card's own ``gpu_busy_percent`` is then
taken for that of whoever has the card open.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from app.render.gpu.interface import Worked

_DEVICE: Final = re.compile(r"/dev/(?:dri/(?P<node>[A-Za-z]+\d+)|(?P<kfd>kfd))\Z")
_NANOSECONDS: Final = re.compile(r"drm-engine-(?!capacity-)(?P<engine>\S+):\s+(?P<count>\d+) ns\Z")
_CYCLES: Final = re.compile(r"drm-(?P<total>total-)?cycles-(?P<engine>\S+):\s+(?P<count>\d+)\Z")


class DrmClients:
    """See :class:`app.render.gpu.interface.GpuReader`.

    Args:
        proc: ``/proc``, or a copy of it.
        worked: what adds up shares of time.
    """

    def __init__(self, proc: Path, worked: Worked | None = None) -> None:
        self._proc = proc
        self._worked = worked or Worked()
        self._cycles: dict[int, dict[str, tuple[int, int]]] = {}  # by tree and client's engine: cycles, of how many

    def seconds(self, pids: Sequence[int]) -> float | None:
        """See the class."""
        clients = dict(client for pid in pids for client in self._clients(pid))  # each once, however often it is open
        told = [line for lines in clients.values() for line in lines]
        spent = [int(match["count"]) for line in told if (match := _NANOSECONDS.match(line))]
        cycles = {f"{key} {name}": counts for key, lines in clients.items() for name, counts in _cycles(lines).items()}
        if not spent and not cycles:
            return None
        seconds = sum(spent) / 1e9
        if cycles:
            before = self._cycles.get(pids[0], {})
            if len(self._cycles) > 1000:
                self._cycles.clear()
            self._cycles[pids[0]] = cycles
            seconds += self._worked.add(pids[0], _share(before, cycles))
        return seconds

    def _clients(self, pid: int) -> Iterator[tuple[str, list[str]]]:
        for number, _ in _open_devices(self._proc, pid):
            try:
                lines = (self._proc / str(pid) / "fdinfo" / number).read_text("ascii", "replace").splitlines()
            except OSError:
                continue
            facts = dict(line.split(":", 1) for line in lines if ":" in line)
            if "drm-client-id" in facts:
                yield f"{facts.get('drm-pdev', '').strip()} {facts['drm-client-id'].strip()}", lines


class BusyDevices:
    """See :class:`app.render.gpu.interface.GpuReader`.

    Args:
        proc, sys: ``/proc`` and ``/sys``, or copies of them.
        worked: what adds up shares of time.
    """

    def __init__(self, proc: Path, sys: Path, worked: Worked | None = None) -> None:
        self._proc = proc
        self._class = sys / "class" / "drm"
        self._worked = worked or Worked()

    def seconds(self, pids: Sequence[int]) -> float | None:
        """See the class."""
        nodes = {node for pid in pids for _, node in _open_devices(self._proc, pid)}
        shares = [share for card in self._class.glob("card[0-9]*") if (share := _busy(card, nodes)) is not None]
        return self._worked.add(pids[0], sum(shares)) if shares else None


def _busy(card: Path, nodes: set[str]) -> float | None:
    """The share of its time that a card works, 0 to 1; None if it is none of these, or does not tell."""
    if "-" in card.name or not ("kfd" in nodes or any((card / "device" / "drm" / node).exists() for node in nodes)):
        return None
    try:
        return int((card / "device" / "gpu_busy_percent").read_text("ascii")) / 100
    except (OSError, ValueError):
        return None


def _open_devices(proc: Path, pid: int) -> Iterator[tuple[str, str]]:
    """The numbers of the descriptors that are graphics devices, and the devices' names."""
    folder = proc / str(pid) / "fd"
    try:
        numbers = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return  # it is gone, or not ours to look at
    for number in numbers:
        try:
            match = _DEVICE.match(os.fspath((folder / number).readlink()))
        except OSError:
            continue
        if match is not None:
            yield number, match["node"] or "kfd"


def _cycles(lines: Sequence[str]) -> dict[str, tuple[int, int]]:
    worked: dict[str, int] = {}
    total: dict[str, int] = {}
    for line in lines:
        if match := _CYCLES.match(line):
            (total if match["total"] else worked)[match["engine"]] = int(match["count"])
    return {engine: (count, total[engine]) for engine, count in worked.items() if engine in total}


def _share(before: Mapping[str, tuple[int, int]], now: Mapping[str, tuple[int, int]]) -> float:
    """The share of the time between two looks, summed over the engines of all clients."""
    share = 0.0
    for key, (count, total) in now.items():
        count_before, total_before = before.get(key, (count, total))
        if total > total_before:
            share += max(0, count - count_before) / (total - total_before)
    return share
