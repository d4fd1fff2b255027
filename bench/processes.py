"""The servers that are measured: real processes, started here, ended here by their ids, read through ``/proc``."""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from app.cli.own_service import free_port, scrubbed

HOST = "127.0.0.1"
ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".cache" / "bench-peers"
"""Where ``python -m bench.peers`` puts the packages of requirements.txt."""
_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """A server did not start; the message has the end of what it said."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    pid: int
    port: int
    headers: Mapping[str, str] = field(default_factory=dict)  # that every request must carry
    seconds: float = 0.0  # from the start of its process to the first answer

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"http://{HOST}:{self.port}{path}"

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=120)
        try:
            connection.request(method, path, body, {**self.headers, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def rss(self) -> int:
        """Resident memory now, in bytes."""
        return _status(self.pid, "VmRSS")

    def forget_peak(self) -> None:
        """Let :meth:`peak` begin anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """The most resident memory since the start or :meth:`forget_peak`, in bytes."""
        return _status(self.pid, "VmHWM")

    def written(self) -> int:
        """Bytes that the process has had written to disks."""
        text = Path(f"/proc/{self.pid}/io").read_text()
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith("write_bytes")))

    def cpu_seconds(self) -> float:
        """CPU time of the process so far."""
        parts = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()
        return (int(parts[11]) + int(parts[12])) / _TICKS

    def tree_cpu_seconds(self) -> float:
        """CPU time so far of the process and of all that it started and that has ended or still lives.

        Between two moments without a running engine the difference is what was used between them. What a child used
        counts with its parent once that has waited for it (proc(5), ``cutime``).
        """
        total = 0.0
        for process in (psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def wait_until_idle(self, seconds: float = 60.0) -> None:
        """Wait until neither it nor what it started has used CPU time for half a second."""
        deadline, before = time.monotonic() + seconds, -1.0
        while time.monotonic() < deadline:
            now = self._tree_seconds()
            if 0.0 <= now - before < 0.02:
                return
            before = now
            time.sleep(0.5)

    def _tree_seconds(self) -> float:
        total = self.cpu_seconds()
        for child in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                total += times.user + times.system
        return total


@contextmanager
def zordon(data_dir: Path, settings: Mapping[str, str] | None = None, path: Sequence[Path] = ()) -> Iterator[Server]:
    """``zordon serve`` while the context lasts.

    Args:
        data_dir: its data folder.
        settings: further settings, as environment variables.
        path: folders with further packages for it, such as engines.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    token = "a-token-for-benchmarks"
    port = free_port()
    argv = [sys.executable, "-m", "app.cli", "serve", "--port", str(port), "--data-dir", str(data_dir)]
    environment = {**(settings or {}), "ZORDON_TOKEN": token}
    with _process(argv, environment, path, port, "/api/heartbeat") as (pid, seconds):
        yield Server(pid, port, {"Authorization": f"Bearer {token}"}, seconds)


@contextmanager
def peer(name: str, *arguments: str | Path, module: str = "bench.peer_server") -> Iterator[Server]:
    """A peer of :mod:`bench.peer_server` (or of another module) while the context lasts."""
    port = free_port()
    argv = [sys.executable, "-m", module, name, str(port), *map(str, arguments)]
    with _process(argv, {}, (ROOT, PEERS), port, "/ready") as (pid, seconds):
        yield Server(pid, port, {}, seconds)


def raise_file_limit() -> int:
    """Let this process, and those that it starts, open as many files as the system allows; returns how many."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextmanager
def _process(
    argv: Sequence[str], environment: Mapping[str, str], path: Sequence[Path], port: int, ready: str
) -> Iterator[tuple[int, float]]:
    known = scrubbed(os.environ) | dict(environment)
    if path:
        known["PYTHONPATH"] = os.pathsep.join(map(str, path))
    begun = time.monotonic()
    with subprocess.Popen(
        argv, env=known, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _wait_for(process, port, ready, begun + _START_SECONDS)
            yield process.pid, time.monotonic() - begun
        finally:
            process.terminate()
            try:
                process.communicate(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(process: subprocess.Popen[str], port: int, ready: str, deadline: float) -> None:
    question = f"GET {ready} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode()
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerFailed(f"{process.args!r} ended: {process.communicate()[1][-2000:]}")
        try:
            with socket.create_connection((HOST, port), timeout=_START_SECONDS) as connection:
                connection.sendall(question)
                if connection.recv(64):
                    return
        except ConnectionError:
            time.sleep(0.005)
    raise ServerFailed(f"{process.args!r} did not answer within {_START_SECONDS:g} s")


def _status(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name}:"))) << 10
