"""One HTTP connection pool to one node: headers, retries, and every failure as one of our errors.

Everything else in this package goes through :class:`Connection`, so that a caller never meets an httpx exception and
no route forgets the token or the API version.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

import httpx
from pydantic import JsonValue, TypeAdapter, ValidationError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from .errors import ConnectionFailed, ProtocolError, Timeout, Unavailable, ZordonError, refusal
from .models import Problem
from .trust import pinned, trusting

API_VERSION: Final = "0.1"
DEFAULT_PORT: Final = 8080

Params = Mapping[str, str | int | float | bool | None]
T = TypeVar("T")

_MAX_ERROR_TEXT: Final = 2000
_OF_THE_WIRE: Final = ("content-encoding", "content-length", "transfer-encoding")


class RetryLater(Unavailable):
    """A 503 that names a time: asking again may help."""


def worth_repeating(error: BaseException) -> bool:
    """Whether the same idempotent request may succeed when it is sent again."""
    return isinstance(error, ConnectionFailed | Timeout | RetryLater)


class Connection:
    """An httpx client for one node.

    Args:
        host: name or address; IPv6 with or without brackets.
        port: TCP port.
        token: what the node asks for on every route but the heartbeat.
        transport: another way to reach the node, e.g. ``httpx.ASGITransport``; None: TCP.
        timeout: seconds to wait for an answer to an ordinary request.
        retries: how often an idempotent request is sent at most; 1: never again.
        scheme: ``http`` or ``https``.
        ca: PEM file of certificates that are believed besides those that the system knows; HTTPS only.
        pin: whether ``ca`` is the node's own certificate, and no other is believed.
        certificate: the node's own certificate (DER), if whoever asks has it; no other is believed then.
        auth: another way than a token to show who asks; it is run for every request anew.
        longest: bytes of the longest answer that is read whole; None: any.

    Raises:
        ZordonError: ``ca`` cannot be read, or there is no certificate in it.
    """

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        *,
        token: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: float = 15.0,
        retries: int = 3,
        scheme: str = "http",
        ca: Path | None = None,
        pin: bool = False,
        certificate: bytes | None = None,
        auth: httpx.Auth | None = None,
        longest: int | None = None,
    ) -> None:
        self.host = host.strip("[]")
        self.port = port
        self.retries = max(1, retries)
        self._longest = longest
        self.timeout = httpx.Timeout(timeout, connect=min(timeout, 5.0))
        bracketed = f"[{self.host}]" if ":" in self.host else self.host
        headers = {"X-API-Version": API_VERSION, "Accept": "application/json, application/problem+json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.url = f"{scheme}://{bracketed}:{port}"
        # Reading all that the system believes takes longer than most requests, and plain HTTP believes nobody.
        verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if scheme == "https":
            own = certificate if certificate is not None else ca if pin else None
            verify = pinned(own) if own is not None else trusting(ca)
        # A web proxy of the environment knows nothing of the machines of a studio: trust_env is off.
        self._http = httpx.AsyncClient(
            base_url=self.url,
            verify=verify,
            headers=headers,
            timeout=self.timeout,
            transport=transport,
            trust_env=False,
            auth=auth,
        )

    @property
    def address(self) -> str:
        """``host:port``, for messages."""
        return f"{self.host}:{self.port}"

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    def repeating(self) -> AsyncRetrying:
        """The retry policy of idempotent requests: a few, with growing random waits of at most two seconds."""
        return AsyncRetrying(
            stop=stop_after_attempt(self.retries),
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            retry=retry_if_exception(worth_repeating),
            reraise=True,
        )

    async def get(self, path: str, params: Params | None = None, *, timeout: float | None = None) -> httpx.Response:
        """An idempotent request, sent again if the connection fails.

        Raises:
            ZordonError: see :mod:`.errors`.
        """
        async for attempt in self.repeating():
            with attempt:
                return await self.send("GET", path, params, timeout=timeout)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def send(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        *,
        json: JsonValue = None,
        content: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> httpx.Response:
        """One request, once; the answer is read whole.

        Args:
            timeout: seconds to wait for the answer; None: the connection's own.

        Raises:
            ZordonError: see :mod:`.errors`.
        """
        async with self.stream(
            method, path, params, json=json, content=content, headers=headers, timeout=timeout
        ) as response:
            return await self._whole(response)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        *,
        json: JsonValue = None,
        content: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        accept_statuses: tuple[int, ...] = (),
    ) -> AsyncIterator[httpx.Response]:
        """One request whose answer's body is not read yet.

        Args:
            accept_statuses: error statuses that the caller deals with itself.

        Raises:
            ZordonError: see :mod:`.errors`.
        """
        if self._http.is_closed:
            raise ConnectionFailed(f"the connection to {self.address} was closed")
        wait = self.timeout if timeout is None else httpx.Timeout(timeout, connect=self.timeout.connect)
        query = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            async with self._http.stream(
                method,
                path,
                params=query or None,
                json=json,
                content=content,
                headers=dict(headers or {}),
                timeout=wait,
            ) as response:
                check_version(self.address, response.headers)
                if response.status_code >= 400 and response.status_code not in accept_statuses:
                    raise error_of(await self._whole(response))
                yield response
        except httpx.TimeoutException as error:
            if isinstance(error, httpx.ConnectTimeout):
                raise ConnectionFailed(f"nothing answers at {self.address}: the connection timed out") from error
            raise Timeout(f"{self.address} did not answer {method} {path} in time") from error
        except httpx.ConnectError as error:
            if (reason := _distrust(error)) is not None:
                raise ConnectionFailed(
                    f"the certificate of {self.address} is not believed: {reason}. Name the file of its authority, or "
                    "of itself, with --ca or ZORDON_CA"
                ) from error
            raise ConnectionFailed(f"nothing answers at {self.address}: {_plain(error)}") from error
        except httpx.TransportError as error:
            raise ConnectionFailed(f"the connection to {self.address} broke: {_plain(error)}") from error
        except (httpx.InvalidURL, httpx.DecodingError) as error:
            raise ProtocolError(f"{self.address}: {_plain(error)}") from error

    async def _whole(self, response: httpx.Response) -> httpx.Response:
        """An answer with its body, which is no longer than what this connection takes."""
        if self._longest is None:
            await response.aread()
            return response
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > self._longest:
                raise ProtocolError(f"{self.address} answers with more than {self._longest} bytes")
        headers = [pair for pair in response.headers.multi_items() if pair[0] not in _OF_THE_WIRE]
        return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)


def check_version(address: str, headers: Mapping[str, str]) -> None:
    """See that whoever answered at an address speaks our version of the API.

    Raises:
        ProtocolError: it does not.
    """
    theirs = headers.get("X-API-Version")
    if theirs is not None and theirs.split(".")[0] != API_VERSION.split(".")[0]:
        raise ProtocolError(f"{address} speaks API version {theirs}, this client {API_VERSION}: update the older one")


def read(adapter: TypeAdapter[T], response: httpx.Response) -> T:
    """The body of an answer as a typed value.

    Raises:
        ProtocolError: it is no JSON, or not of this shape.
    """
    try:
        return adapter.validate_json(response.content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise ProtocolError(
            f"the answer to {response.request.method} {response.request.url.path} is not understood: "
            f"{where}: {first['msg']}"
        ) from error


def read_text(response: httpx.Response) -> str:
    """The body of an answer that is one string, as plain text or as JSON.

    Raises:
        ProtocolError: it is JSON, but no string.
    """
    if response.headers.get("Content-Type", "").startswith("application/json"):
        return read(_STRING, response)
    return response.text


def error_of(response: httpx.Response) -> ZordonError:
    """The error that an answer with an error status stands for; its body has been read."""
    status, text = response.status_code, response.text.strip()[:_MAX_ERROR_TEXT]
    title, field = "", None
    if "json" in response.headers.get("Content-Type", ""):
        try:
            problem = Problem.model_validate_json(response.content)
        except ValidationError:
            # Some other server's JSON: its own text is the best message there is.
            pass
        else:
            text, title, field = problem.detail, problem.title, problem.field
    error = refusal(status, text or f"{status} {response.reason_phrase}", title, field)
    if status == 503 and "Retry-After" in response.headers:
        return RetryLater(str(error), status=status, title=title, field=field)
    return error


def _distrust(error: Exception) -> str | None:
    """What is wrong with the certificate of the other side, if that is why there is no connection."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message.rstrip(".")
        cause = cause.__cause__ or cause.__context__
    return None


def _plain(error: Exception) -> str:
    """What the operating system said, where httpx only says that it did not work."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return os.strerror(cause.errno).lower() if cause.errno and cause.errno > 0 else cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


_STRING: TypeAdapter[str] = TypeAdapter(str)
