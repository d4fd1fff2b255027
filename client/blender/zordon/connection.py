"""HTTP to one service with nothing but the standard library, and every failure as a sentence for the artist.

For a thread that may wait: nothing here knows of Blender.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TypeAlias, cast
from urllib.parse import quote

from .discovery import Target
from .errors import AddonError, Refused, Unreachable

API_VERSION = "0.1"
Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 30.0
_MAX_ERROR_TEXT = 2000


class Service:
    """One service; each request has a connection of its own."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def job_page(self, job_id: str) -> str:
        """Address of a job's page in the browser."""
        return f"{self.target.url}/#/jobs/{quote(job_id, safe='')}"

    def get(self, path: str) -> Json:
        """The JSON of a route.

        Raises:
            Unreachable: nothing answers.
            Refused: it says no.
        """
        connection = self.open()
        try:
            return self.exchange(connection, "GET", path)
        finally:
            connection.close()

    def check(self) -> str:
        """Who we are to the service, as a sentence: that there is one, and that it takes our token.

        Raises:
            AddonError: what is wrong, and what would be right.
        """
        told = self.get("/api/whoami")
        if not isinstance(told, dict) or "role" not in told:
            raise AddonError(f"what answers at {self.target.url} is no Zordon service: look at the address")
        name, role = str(told.get("name", "")), str(told["role"])
        if role == "read":
            raise Refused(f"the token {name!r} may only look; submitting needs one with the role submit", 403)
        return f"Connected to {self.target.url} as {name} ({role})"

    def open(self) -> http.client.HTTPConnection:
        """A connection to it.

        Raises:
            AddonError: it cannot be reached, or its certificate is not believed.
        """
        target = self.target
        connection: http.client.HTTPConnection
        if target.scheme == "https":
            connection = http.client.HTTPSConnection(
                target.host, target.port, timeout=_CONNECT_SECONDS, context=_trust(target)
            )
        else:
            connection = http.client.HTTPConnection(target.host, target.port, timeout=_CONNECT_SECONDS)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(
                f"the certificate of {target.url} is not believed: {error.verify_message.rstrip('.')}. Name the file "
                "of its authority, or of itself, in the add-on's preferences"
            ) from error
        except (OSError, UnicodeError) as error:
            raise Unreachable(
                f"nothing answers at {target.url}: {_reason(error)}. Is the address right, and the service running?"
            ) from error
        assert connection.sock is not None
        connection.sock.settimeout(_ANSWER_SECONDS)
        return connection

    def exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: Iterable[bytes] | None = None,
        seconds: float = _ANSWER_SECONDS,
    ) -> Json:
        """One request on an open connection, and its answer as JSON.

        Args:
            body: sent as it comes; ``headers`` say how long it is.
            seconds: how long the answer may take once everything is sent.

        Raises:
            Unreachable: the connection broke.
            Refused: the service says no.
        """
        own = {"X-API-Version": API_VERSION, "Accept": "application/json, application/problem+json"}
        if self.target.token:
            own["Authorization"] = f"Bearer {self.target.token}"
        try:
            # It may have said no and hung up before it had everything; what it said is worth more than that.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body=body, headers={**own, **(headers or {})})
            if connection.sock is not None:
                connection.sock.settimeout(seconds)
            answer = connection.getresponse()
            content = answer.read()
        except TimeoutError as error:
            raise Unreachable(f"{self.target.url} did not answer in time") from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the connection to {self.target.url} broke: {_reason(error)}") from error
        except UnicodeEncodeError as error:
            raise AddonError("the token has a character that no token has: copy it once more") from error
        self._check_version(answer.headers.get("X-API-Version"))
        if answer.status >= 400:
            raise _refusal(answer.status, answer.headers.get("Content-Type", ""), content)
        try:
            return cast(Json, json.loads(content)) if content else None
        except ValueError as error:
            raise AddonError(f"what answers at {self.target.url} is no Zordon service: look at the address") from error

    def _check_version(self, theirs: str | None) -> None:
        if theirs is not None and theirs.split(".")[0] != API_VERSION.split(".")[0]:
            raise AddonError(
                f"{self.target.url} speaks API version {theirs}, this add-on {API_VERSION}: install the add-on that "
                "the service offers"
            )


def _trust(target: Target) -> ssl.SSLContext:
    try:
        if target.pin and target.ca is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        else:
            context = ssl.create_default_context()
        if target.ca is not None:
            context.load_verify_locations(target.ca)
    except (OSError, ssl.SSLError) as error:
        raise AddonError(f"the certificate file {target.ca} cannot be used: {error}") from error
    return context


def _refusal(status: int, content_type: str, content: bytes) -> Refused:
    text = content.decode("utf-8", "replace").strip()[:_MAX_ERROR_TEXT]
    if "json" in content_type:
        try:
            told = json.loads(content)
        except ValueError:
            told = None
        if isinstance(told, dict) and isinstance(told.get("detail"), str):
            text = told["detail"]
    if status == 401:
        text = f"the service does not take this token: {text or 'it is missing or wrong'}"
    return Refused(text or f"the service answered {status}", status)


def _reason(error: Exception) -> str:
    if isinstance(error, socket.timeout):
        return "the connection timed out"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
