"""Thousands of clients that wait: plain sockets in one epoll loop, so that the clients cost as little as can be."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.processes import HOST, Server

_BLOCK = 1 << 16


class Crowd:
    """Clients that have asked and wait for their answers."""

    def __init__(self, sockets: dict[int, socket.socket]) -> None:
        self._sockets = sockets
        self._epoll = select.epoll()
        for number in sockets:
            self._epoll.register(number, select.EPOLLIN)

    def wake(self, server: Server, request: bytes, seconds: float) -> list[float]:
        """Send a request that changes something, and wait for all answers.

        Returns:
            Milliseconds from the request to each whole answer; of clients that got none within ``seconds``, nothing.
        """
        times: list[float] = []
        heard: dict[int, bytes] = {}
        with socket.create_connection((HOST, server.port)) as changing:
            changing.setblocking(False)
            begun = time.perf_counter()
            changing.send(request)
            while len(times) < len(self._sockets) and time.perf_counter() - begun < seconds:
                for number, _ in self._epoll.poll(0.5, 1024):
                    data = self._sockets[number].recv(_BLOCK)
                    now = time.perf_counter()
                    if number in heard:
                        data = heard[number] + data
                    if data.startswith(b"HTTP/1.1 200") and _complete(data):
                        times.append((now - begun) * 1e3)
                        self._epoll.unregister(number)
                    elif data:
                        heard[number] = data
                    else:
                        self._epoll.unregister(number)
        return times

    def close(self) -> None:
        """Close every connection."""
        self._epoll.close()
        for one in self._sockets.values():
            one.close()


@contextmanager
def crowd(server: Server, request: bytes, count: int) -> Iterator[Crowd]:
    """So many clients that have sent the request, each on a connection of its own."""
    with contextlib.ExitStack() as stack:
        sockets: dict[int, socket.socket] = {}
        for _ in range(count):
            one = stack.enter_context(socket.create_connection((HOST, server.port)))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.sendall(request)
            sockets[one.fileno()] = one
        waiting = Crowd(sockets)
        stack.callback(waiting.close)
        yield waiting


def _complete(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    lower = head.lower()
    at = lower.find(b"content-length:")
    length = lower[at + 15 :].split(b"\r\n", 1)[0]
    return at >= 0 and len(body) >= int(length)
