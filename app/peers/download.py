"""A large file of another node, over a connection of its own that a thread reads.

httpx hands an answer over in pieces of 64 KiB at most, and each of them takes several turns of the event loop. A core
was busy with that at a third of what the other node could send. Here the socket writes straight into memory that
whoever asks has given, a few MiB a turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, Self, TypeVar

import httpx

from client.addresses import Address
from client.connection import API_VERSION, check_version, error_of
from client.errors import ConnectionFailed, ProtocolError, Timeout

CONNECT_SECONDS: Final = 5.0
TURN_SECONDS: Final = 0.25
"""After so long what has come is handed over, however little it is."""
_LONGEST_ERROR: Final = 64 << 10

P = ParamSpec("P")
T = TypeVar("T")


class Download:
    """The answer to one GET; an async context manager that asks when it is entered.

    Attributes:
        headers: of the answer; their names in any case.

    Args:
        address: where the other node is.
        context: whose certificate is believed; None: plain HTTP.
        path: with its query, as it is sent and as it was signed.
        headers: of the request.
        timeout: seconds that may pass without a byte.

    Raises when it is entered:
        ZordonError: nothing answers, or an error; see :mod:`client.errors`.
    """

    def __init__(
        self, address: Address, context: ssl.SSLContext | None, path: str, headers: Mapping[str, str], timeout: float
    ) -> None:
        self.headers: Mapping[str, str] = {}
        self._address = address
        self._path = path
        self._asked = {
            "Accept": "application/octet-stream, application/problem+json",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "X-API-Version": API_VERSION,
            **headers,
        }
        self._timeout = timeout
        host, port = address.host.strip("[]"), address.port
        if context is None:
            self._connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        else:
            self._connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=context)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="download")
        self._socket: socket.socket | None = None
        self._answer: http.client.HTTPResponse | None = None
        self._failed: Exception | None = None  # raised by the next read: the bytes before it count
        self._left = 0

    async def __aenter__(self) -> Self:
        try:
            await self._in_thread(self._ask)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    @property
    def left(self) -> int:
        """How many bytes are still to come."""
        return self._left

    async def read_into(self, view: memoryview) -> int:
        """Read what comes until the memory is full, or for :data:`TURN_SECONDS`. Nobody else may touch it meanwhile.

        Returns:
            How many bytes came; 0 at the end, however many :attr:`left` there should be.

        Raises:
            ConnectionFailed: the connection broke.
            Timeout: nothing came for too long.
        """
        # Let go of in any case: what was raised keeps the thread's variables, and memory in use cannot be given back.
        with view[: min(len(view), self._left)] as room:
            return await self._in_thread(self._read, room)

    async def _close(self) -> None:
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._end))

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it to its end in any case, for it writes into memory of somebody else; a cancelled one ends at once."""
        done = asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            self._break_off()
            await asyncio.wait([done])
            raise

    def _break_off(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it is broken already
                # Of the plain socket, below TLS: the thread is in the middle of a read, which ends with it.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    # --- in the thread -------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        place = self._address.place
        try:
            self._connection.connect()
        except ssl.SSLCertVerificationError as error:
            reason = error.verify_message.rstrip(".")
            raise ConnectionFailed(f"the certificate of {place} is not believed: {reason}") from error
        except TimeoutError as error:
            raise ConnectionFailed(f"nothing answers at {place}: the connection timed out") from error
        except OSError as error:
            raise ConnectionFailed(f"nothing answers at {place}: {_plain(error)}") from error
        self._socket = self._connection.sock
        try:
            self._socket.settimeout(self._timeout)
            self._connection.request("GET", self._path, headers=self._asked)
            answer = self._answer = self._connection.getresponse()
            self.headers = httpx.Headers(answer.getheaders())
            check_version(place, self.headers)
            if answer.status >= 400:
                said = answer.read(_LONGEST_ERROR)
                asked = httpx.Request("GET", f"http://{place}{self._path}")
                raise error_of(httpx.Response(answer.status, headers=self.headers, content=said, request=asked))
        except (OSError, http.client.HTTPException) as error:
            raise self._trouble(error) from error
        if answer.status not in (200, 206) or answer.length is None:
            raise ProtocolError(f"{place} does not say how many bytes it sends ({answer.status})")
        self._left = answer.length

    def _read(self, view: memoryview) -> int:
        assert self._answer is not None
        if self._failed is not None:
            raise self._trouble(self._failed) from self._failed
        got, until = 0, time.monotonic() + TURN_SECONDS
        try:
            while got < len(view):
                with view[got:] as room:
                    # Of the stream below: HTTPResponse itself has no way to read what is there into given memory.
                    count = self._answer.fp.readinto1(room)
                if not count:
                    break
                got += count
                if time.monotonic() > until:
                    break
        except OSError as error:
            if not got:
                raise self._trouble(error) from error
            self._failed = error
        self._left -= got
        return got

    def _trouble(self, error: Exception) -> ConnectionFailed | Timeout:
        if isinstance(error, TimeoutError):
            return Timeout(f"{self._address.place} did not answer GET {self._path} in time")
        return ConnectionFailed(f"the connection to {self._address.place} broke: {_plain(error)}")

    def _end(self) -> None:
        self._thread.shutdown()
        if self._answer is not None:
            self._answer.close()
        self._connection.close()


def _plain(error: Exception) -> str:
    """What the operating system said, without a number."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text or type(error).__name__
