"""Connections of clients that say nothing: uvicorn keeps them for ever, and each of them is an open file.

A client has so long until the head of its request is there, and so long between two pieces of a body. Who waits for an
answer, or is slow to read one, is left alone.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class ImpatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which hangs up on clients that have begun to say something and do not go on.

    One timer a connection and a look at two numbers: a request costs no more than before.
    """

    patience = 30.0
    """Seconds from the connection, or the first byte of a request, to the end of its head; twice as long between two
    pieces of a body that we are ready to take."""
    _watch: asyncio.TimerHandle | None = None
    _head_since: float | None = None
    _body_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """A client has come."""
        super().connection_made(transport)
        self._head_since = self.loop.time()
        self._watch = self.loop.call_later(self.patience, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._head_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._head_since = None
        self._body_since = self.loop.time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._body_since = self.loop.time()
        super().on_body(body)

    def _look(self) -> None:
        self._watch = None
        if self.transport.is_closing():
            return
        now = self.loop.time()
        if self._head_since is not None and now - self._head_since >= self.patience:
            self.transport.close()
            return
        cycle = self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_complete:
            if self.flow.read_paused:  # it is we who do not take more
                self._body_since = now
            elif now - self._body_since >= 2 * self.patience:
                self.transport.close()
                return
        self._watch = self.loop.call_later(self.patience / 2, self._look)


def patient_for(seconds: float) -> type[ImpatientProtocol]:
    """The protocol with this ``patience``."""

    class Configured(ImpatientProtocol):
        patience = seconds

    return Configured
