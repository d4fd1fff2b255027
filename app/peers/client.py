"""How one node asks another: signed requests over the connection that every client uses."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import httpx
from pydantic import JsonValue

from app.peers.download import Download
from app.peers.signing import sign
from client.addresses import Address
from client.connection import Connection, Params
from client.errors import ConnectionFailed
from client.trust import pinned

LONGEST: Final = 128 << 20
"""An answer of another node that is read whole has no more bytes: far above what a farm says, no danger to memory."""


class PeerClient:
    """Asks one node of the farm. Every method raises :class:`client.errors.ZordonError`.

    Args:
        address: where it is.
        scheme: http or https.
        key: the farm's.
        node: id and instance of this node, with a slash between them.
        to: the same of the other one.
        certificate: its own certificate (DER) if it speaks HTTPS: no other is believed.
        timeout: seconds to wait for an answer to an ordinary request.
    """

    def __init__(
        self,
        address: Address,
        scheme: str,
        *,
        key: bytes,
        node: str,
        to: str,
        certificate: bytes | None = None,
        timeout: float = 15.0,
    ) -> None:
        self.address = address
        self.to = to
        self._way = (address, scheme, to, certificate)
        self._signing = _Signing(key, node, to)
        self._context = pinned(certificate) if scheme == "https" and certificate is not None else None
        self.connection = Connection(
            address.host,
            address.port,
            scheme=scheme,
            certificate=certificate,
            auth=self._signing,
            timeout=timeout,
            longest=LONGEST,
        )

    def is_like(self, other: PeerClient) -> bool:
        """Whether both ask the same instance of a node in the same way."""
        return self._way == other._way

    async def aclose(self) -> None:
        """Close every connection."""
        await self.connection.aclose()

    async def get(self, path: str, params: Params | None = None, *, timeout: float | None = None) -> httpx.Response:
        """Ask for something; asked again, and signed again, if the connection fails."""
        return await self.connection.get(path, params, timeout=timeout)

    async def post(
        self,
        path: str,
        json: JsonValue = None,
        idempotency_key: str | None = None,
        *,
        params: Params | None = None,
        timeout: float | None = None,
    ) -> httpx.Response:
        """Have something done; sent once.

        Args:
            idempotency_key: by which the node knows a repeat, on routes that take one.
            timeout: seconds to wait for the answer; None: the client's own.
        """
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return await self.connection.send("POST", path, params, json=json, headers=headers, timeout=timeout)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
        accept_statuses: tuple[int, ...] = (),
    ) -> AsyncIterator[httpx.Response]:
        """Ask for a file whose bytes are read as they come.

        Args:
            headers: such as ``Range``.
            accept_statuses: error statuses that the caller deals with itself.
        """
        async with self.connection.stream(
            "GET", path, headers=headers, timeout=timeout, accept_statuses=accept_statuses
        ) as response:
            yield response

    def download(self, path: str, headers: Mapping[str, str], *, timeout: float) -> Download:
        """Ask for a large file; its bytes are read in a thread. Nothing is sent before it is entered.

        Args:
            headers: such as ``Range``.
            timeout: seconds that may pass without a byte.
        """
        signed = self._signing.headers("GET", path.encode("ascii"), b"")
        return Download(self.address, self._context, path, {**headers, **signed}, timeout)

    def __repr__(self) -> str:
        return f"<PeerClient {self.address}>"


class _Signing(httpx.Auth):
    """Signs each request as it is sent, so that a repeat is a new one."""

    requires_request_body = True

    def __init__(self, key: bytes, node: str, to: str) -> None:
        self._key = key
        self._node = node
        self._to = to

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the signature into the headers."""
        request.headers.update(self.headers(request.method, request.url.raw_path, request.content))
        yield request

    def headers(self, method: str, target: bytes, body: bytes) -> dict[str, str]:
        """The signature of one request, as headers."""
        signature = sign(
            self._key,
            method,
            target,
            node=self._node,
            to=self._to,
            time=time.time(),
            nonce=secrets.token_hex(16),
            body=hashlib.sha256(body).hexdigest(),
        )
        return signature.headers()


async def certificate_at(address: Address, timeout: float) -> bytes:
    """The certificate (DER) that is shown at an address, whoever has signed it. It is worth nothing until the node has
    proven that it is its own.

    Args:
        timeout: seconds.

    Raises:
        ConnectionFailed: nothing answers there, or it speaks no TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    except ssl.SSLError as error:
        raise ConnectionFailed(f"{address.place} speaks no HTTPS ({error.reason})") from error
    except TimeoutError as error:
        raise ConnectionFailed(f"nothing answers at {address.place}: the connection timed out") from error
    except OSError as error:
        raise ConnectionFailed(f"nothing answers at {address.place}: {error.strerror or error}") from error
    try:
        shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return shown.getpeercert(binary_form=True) or b""
    finally:
        writer.close()
