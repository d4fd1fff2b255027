"""A network that can be made bad: a proxy of our own between two nodes, which cuts, delays, slows, loses, doubles and
holds back what they say to each other.

It speaks HTTP/1.1 on both sides, so that a fault can be of one message: this request twice, that answer never, the next
one only when a later one has passed. For a node to be reached through it only, tell the node so
(``ZORDON_PUBLIC_ADDRESS``, see ``tests.peers.farm.farm_node(through=...)``).

    async with FaultProxy() as proxy:
        proxy.target = ("127.0.0.1", node.connection.port)
        proxy.cut()                             # like a plug that is pulled: connections break, no new ones
        proxy.swallow()                         # like a cable that is cut: nothing comes back, ever
        proxy.mend()
        proxy.delay = 0.2                       # seconds before each message
        proxy.rate = 100_000                    # bytes a second of every answer
        proxy.duplicate(to("/api/add_job"))     # each is delivered twice, one after the other
        lost = proxy.lose_answers(to("/api/add_job"), times=1)
        held = proxy.hold(to("/subjob_update"), times=1)
        request = await held.caught()           # it is on its way, and not there
        held.release()                          # after whatever came later: out of order
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import h11

_PIECE = 64 * 1024


@dataclass(frozen=True)
class Message:
    """A request that passes."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def path(self) -> str:
        """Without the query."""
        return self.target.partition("?")[0]


Match = Callable[[Message], bool]


def to(path: str, method: str | None = None) -> Match:
    """Requests whose path has this in it (a regular expression)."""
    pattern = re.compile(path)
    return lambda message: pattern.search(message.path) is not None and method in (None, message.method)


class Fault:
    """A fault of some messages. ``remaining`` is for how many more; None: for all, until :meth:`stop`."""

    def __init__(self, match: Match, times: int | None) -> None:
        self.match = match
        self.remaining = times
        self.seen: asyncio.Queue[Message] = asyncio.Queue()
        self._open = asyncio.Event()

    def takes(self, message: Message) -> bool:
        """Whether this message has it."""
        if self.remaining == 0 or not self.match(message):
            return False
        if self.remaining is not None:
            self.remaining -= 1
        self.seen.put_nowait(message)
        return True

    async def caught(self, seconds: float = 60.0) -> Message:
        """The next message that has it."""
        return await asyncio.wait_for(self.seen.get(), seconds)

    def stop(self) -> None:
        """No more messages have it; those that are held back go on."""
        self.remaining = 0
        self._open.set()

    release = stop

    async def passed(self) -> None:
        """Wait until it is released."""
        await self._open.wait()


@dataclass(eq=False)
class _Line:
    """One connection of a client and, once it asks, one to the node."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    task: asyncio.Task[None] | None = None
    parsed: h11.Connection = field(default_factory=lambda: h11.Connection(h11.SERVER))


class Cut(Exception):
    """The connection is to break now."""


class FaultProxy:
    """Listens on a free port of loopback and passes everything on to ``target``, host and port."""

    def __init__(self, target: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.target = target
        self.port = 0
        self.delay = 0.0
        self.rate: int | None = None
        self.cut_answers_after: int | None = None
        """Bytes of an answer's body after which its connection breaks; None: never."""
        self.passed: list[Message] = []
        self._server: asyncio.Server | None = None
        self._lines: set[_Line] = set()
        self._mode = "open"
        self._mended = asyncio.Event()
        self._doubled: list[Fault] = []
        self._held: list[Fault] = []
        self._lost: list[Fault] = []
        self._changed = asyncio.Condition()

    @property
    def address(self) -> str:
        """``host:port`` where it listens."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        tasks = [line.task for line in self._lines if line.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    # --- the network as a whole ----------------------------------------------------------------------------------

    def cut(self) -> None:
        """Break every connection, and every new one at once."""
        self._mode = "cut"
        self._break()

    def swallow(self) -> None:
        """Pass nothing on in either direction, and tell nobody."""
        self._mode = "swallow"
        self._mended.clear()

    def mend(self) -> None:
        """Everything passes again. What was swallowed is lost: its connections break."""
        if self._mode == "swallow":
            self._break()
        self._mode = "open"
        self._mended.set()

    def _break(self) -> None:
        for line in self._lines:
            if line.task is not None:
                line.task.cancel()

    # --- single messages -----------------------------------------------------------------------------------------

    def duplicate(self, match: Match, times: int | None = None) -> Fault:
        """Deliver these twice: the second once the first is answered; only the first answer comes back."""
        return self._fault(self._doubled, match, times)

    def hold(self, match: Match, times: int | None = None) -> Fault:
        """Keep these until they are released."""
        return self._fault(self._held, match, times)

    def lose_answers(self, match: Match, times: int | None = None) -> Fault:
        """Deliver these, and break the connection instead of answering."""
        return self._fault(self._lost, match, times)

    async def until_passed(self, match: Match, times: int = 1) -> list[Message]:
        """Wait until so many such messages have been delivered, since the start."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: sum(map(match, self.passed)) >= times)
        return [message for message in self.passed if match(message)]

    @staticmethod
    def _fault(faults: list[Fault], match: Match, times: int | None) -> Fault:
        fault = Fault(match, times)
        faults.append(fault)
        return fault

    # --- the work ------------------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(reader, writer, task=asyncio.current_task())
        self._lines.add(line)
        try:
            if self._mode == "cut":
                raise Cut
            while await self._exchange(line):
                pass
        except (Cut, OSError, asyncio.IncompleteReadError, h11.ProtocolError):
            pass  # one of the two has gone, or we have cut it: the other one sees that as it would on a network
        except asyncio.CancelledError:
            pass  # the same, from cut() or at the end
        finally:
            self._lines.discard(line)
            _abort(writer)
            if line.upstream is not None:
                _abort(line.upstream[1])

    async def _exchange(self, line: _Line) -> bool:
        """One request and its answer; False: there is no other."""
        message = await self._request(line)
        if message is None:
            return False
        for held in self._held:
            if held.takes(message):
                await held.passed()
        await self._bad_weather()
        doubled = any(fault.takes(message) for fault in self._doubled)
        lost = any(fault.takes(message) for fault in self._lost)
        await self._deliver(line, message, answer=not lost)
        if doubled:
            await self._deliver(line, message, answer=False)
        if lost:
            raise Cut
        if line.parsed.our_state is h11.MUST_CLOSE:
            return False
        line.parsed.start_next_cycle()
        return True

    async def _request(self, line: _Line) -> Message | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = line.parsed.next_event()
            if event is h11.NEED_DATA:
                line.parsed.receive_data(await line.reader.read(_PIECE))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                headers = tuple(head.headers.raw_items())
                return Message(head.method.decode(), head.target.decode("latin-1"), headers, bytes(body))
            else:
                return None

    async def _deliver(self, line: _Line, message: Message, *, answer: bool) -> None:
        if line.upstream is None:
            line.upstream = await asyncio.open_connection(*self.target)
        reader, writer = line.upstream
        node = h11.Connection(h11.CLIENT)
        plain = [(name, value) for name, value in message.headers if name.lower() != b"transfer-encoding"]
        if len(plain) != len(message.headers):
            plain.append((b"content-length", str(len(message.body)).encode()))
        request = h11.Request(method=message.method, target=message.target, headers=plain)
        said = [node.send(request)]
        if message.body:
            said.append(node.send(h11.Data(data=message.body)))
        said.append(node.send(h11.EndOfMessage()))
        writer.write(b"".join(piece for piece in said if piece))
        await writer.drain()
        async with self._changed:
            self.passed.append(message)
            self._changed.notify_all()
        sent = 0
        while True:
            event = node.next_event()
            if event is h11.NEED_DATA:
                node.receive_data(await reader.read(_PIECE))
                continue
            if isinstance(event, h11.ConnectionClosed):
                raise Cut
            if answer:
                await self._bad_weather()
                sent += await self._send(line, event, sent)
            if isinstance(event, h11.EndOfMessage):
                break
        if node.our_state is h11.MUST_CLOSE or node.their_state is h11.MUST_CLOSE:
            writer.close()
            line.upstream = None

    async def _send(self, line: _Line, event: h11.Event, sent: int) -> int:
        """Pass a part of an answer on. Returns how many bytes of its body these were."""
        size = len(event.data) if isinstance(event, h11.Data) else 0
        limit = self.cut_answers_after
        if size and limit is not None and sent + size > limit:
            data = line.parsed.send(h11.Data(data=bytes(event.data)[: max(0, limit - sent)]))
            line.writer.write(data or b"")
            await _flushed(line.writer)
            raise Cut
        line.writer.write(line.parsed.send(event) or b"")
        await line.writer.drain()
        if size and self.rate is not None:
            await asyncio.sleep(size / self.rate)
        return size

    async def _bad_weather(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self._mode == "swallow":
            await self._mended.wait()
            raise Cut
        if self._mode == "cut":
            raise Cut


def _abort(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.transport.abort()


async def _flushed(writer: asyncio.StreamWriter) -> None:
    """Wait until the system has what was written: an abort would throw it away."""
    writer.transport.set_write_buffer_limits(high=0)
    await writer.drain()
