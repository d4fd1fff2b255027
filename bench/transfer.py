"""Moving large bodies: plain sockets that receive or send as fast as the server does, and keep nothing."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from bench.processes import HOST, Server

_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Moved:
    """One transfer."""

    size: int  # bytes of the body
    seconds: float  # from sending the request to the end
    first: float  # ms from sending the request to the first byte of the answer's body
    grown: float  # MB, the most that the server's memory grew meanwhile
    written: float  # MB that the server had written to disks
    answer: bytes = b""  # to an upload

    @property
    def rate(self) -> float:
        """MB/s."""
        return self.size / self.seconds / 1e6


def _request(server: Server, line: str, headers: dict[str, str]) -> bytes:
    known = {"Host": f"{HOST}:{server.port}", "Connection": "close", **server.headers, **headers}
    return (f"{line} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in known.items()) + "\r\n").encode()


def receive(server: Server, path: str) -> Moved:
    """Download a path and throw it away.

    Raises:
        RuntimeError: the answer is not 200, or shorter than it said.
    """
    buffer = bytearray(_BUFFER)
    view = memoryview(buffer)
    server.forget_peak()
    memory, disk = server.rss(), server.written()
    with socket.create_connection((HOST, server.port)) as connection:
        begun = time.perf_counter()
        connection.sendall(_request(server, f"GET {path}", {}))
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(4096)
            if not part:
                raise RuntimeError(f"no answer to {path}: {head!r}")
            head += part
        head, _, body = head.partition(b"\r\n\r\n")
        size = len(body)
        if not size:
            size = connection.recv_into(view)
        first = (time.perf_counter() - begun) * 1e3
        while count := connection.recv_into(view):
            size += count
        seconds = time.perf_counter() - begun
    if not head.startswith(b"HTTP/1.1 200") or size < _length(head):
        raise RuntimeError(f"{path}: {head.decode()}, then {size} bytes")
    return Moved(size, seconds, first, (server.peak() - memory) / 1e6, (server.written() - disk) / 1e6)


def send(server: Server, line: str, headers: dict[str, str], before: bytes, file: Path, after: bytes) -> Moved:
    """Upload a file between two pieces of a body, and read the answer.

    Raises:
        RuntimeError: the answer is not 200.
    """
    size = file.stat().st_size
    length = len(before) + size + len(after)
    server.forget_peak()
    memory, disk = server.rss(), server.written()
    with socket.create_connection((HOST, server.port)) as connection, file.open("rb") as source:
        begun = time.perf_counter()
        connection.sendall(_request(server, line, {**headers, "Content-Length": str(length)}) + before)
        connection.sendfile(source)
        connection.sendall(after)
        answer = b""
        first = 0.0
        while part := connection.recv(_BUFFER):
            first = first or (time.perf_counter() - begun) * 1e3
            answer += part
        seconds = time.perf_counter() - begun
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{line}: {answer[:2000].decode(errors='replace')}")
    grown, written = (server.peak() - memory) / 1e6, (server.written() - disk) / 1e6
    return Moved(size, seconds, first, grown, written, body)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0
