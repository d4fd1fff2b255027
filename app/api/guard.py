"""Who may ask at all: the checks that come before any route, on raw header bytes.

The node answers under its own names only (a web page that points its own name at 127.0.0.1 is refused), refuses every
request that a page of somebody else's sends, and asks for the token on every route but the heartbeat and the start
page.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from functools import lru_cache
from hmac import compare_digest

from starlette.types import Scope

from app.api.errors import ApiError
from app.settings import Settings
from app.version import API_VERSION

MAX_HEADERS = 100
MAX_TARGET = 8192
"""Bytes of path and query."""

OPEN_PATHS = frozenset({"/", "/api/heartbeat"})
"""Answered without a token."""

_MAJOR = API_VERSION.partition(".")[0].encode()
_OURS = API_VERSION.encode()
_ONCE = frozenset(
    {b"host", b"origin", b"authorization", b"x-api-token", b"x-api-version", b"content-length", b"content-type"}
)
_REMEMBERED = 1024

Headers = Mapping[bytes, bytes]
"""Header names in lower case."""


class Guard:
    """The checks of one node.

    Args:
        settings: names under which it may be called; whether it is on the local network.
        token: what a request must carry.
    """

    def __init__(self, settings: Settings, token: str) -> None:
        self._token = token.encode()
        self._bearer = b"Bearer " + self._token
        self._lan = settings.lan
        self._names = own_names(settings)
        self._seen: set[bytes] = set()  # Host headers that were found right, as they came

    def check(self, scope: Scope, headers: Headers) -> ApiError | None:
        """Why the request is refused; None if it is not."""
        count = len(scope["headers"])
        if count > MAX_HEADERS:
            return ApiError(431, f"the request has more than {MAX_HEADERS} headers")
        if len(headers) != count and (refusal := _repeated(scope)) is not None:
            return refusal
        if len(scope["path"]) + len(scope["query_string"]) > MAX_TARGET:
            return ApiError(414, f"the path and query are longer than {MAX_TARGET} bytes")
        host = headers.get(b"host", b"")
        if host not in self._seen and not self._is_ours(host, scope):
            return ApiError(
                400,
                f"this node is not called {host[:100].decode('latin-1')!r}; a further name of it is set with "
                "allowed_hosts (ZORDON_ALLOWED_HOSTS)",
                field="Host",
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2] != host:
            return ApiError(403, "requests of other web pages are refused", field="Origin")
        version = headers.get(b"x-api-version")
        if version is not None and version != _OURS and (refusal := _wrong_version(version)) is not None:
            return refusal
        if not self._authorised(headers) and scope["path"] not in OPEN_PATHS:
            return ApiError(
                401,
                "the token is missing or wrong; send it as 'Authorization: Bearer <token>'",
                field="Authorization",
                headers={"WWW-Authenticate": 'Bearer realm="zordon"'},
            )
        return None

    def _authorised(self, headers: Headers) -> bool:
        given = headers.get(b"authorization")
        if given is not None:
            if compare_digest(given, self._bearer):
                return True
            scheme, _, value = given.partition(b" ")
            return scheme.lower() == b"bearer" and compare_digest(value.strip(), self._token)
        return compare_digest(headers.get(b"x-api-token", b""), self._token)

    def _is_ours(self, host: bytes, scope: Scope) -> bool:
        name = host_name(host)
        if name in self._names or (self._lan and _is_address_of_socket(name, scope)):
            if len(self._seen) < _REMEMBERED:
                self._seen.add(host)
            return True
        return False


def own_names(settings: Settings) -> frozenset[str]:
    """The names under which a client may call this node, lower case, without ports."""
    machine = socket.gethostname().lower()
    short = machine.partition(".")[0]
    names = {"localhost", "127.0.0.1", "::1", machine, short, f"{short}.local", settings.host.lower()}
    for name in settings.allowed_hosts:
        names |= {name.lower(), host_name(name.encode("ascii", "replace"))}
    return frozenset(names - {"", "0.0.0.0", "::"})


def host_name(host: bytes) -> str:
    """The name in a ``Host`` header, lower case, without port, brackets and a trailing dot; empty if malformed.

    >>> host_name(b"Node-1.local:8080"), host_name(b"[::1]:80"), host_name(b"a@b")
    ('node-1.local', '::1', '')
    """
    text = host.decode("latin-1").lower()
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        well_formed = bracket and (not rest or (rest[0] == ":" and rest[1:].isdecimal()))
        return name if well_formed else ""
    name, colon, port = text.partition(":")
    if (colon and not port.isdecimal()) or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        return ""
    return name.removesuffix(".")


def is_loopback(scope: Scope) -> bool:
    """Whether the client is a program on this machine, by the address that it comes from."""
    client = scope.get("client")
    return client is not None and _is_loopback_address(client[0])


@lru_cache(1024)
def _is_loopback_address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return bool((getattr(address, "ipv4_mapped", None) or address).is_loopback)


def _is_address_of_socket(name: str, scope: Scope) -> bool:
    """Whether ``name`` is an address, and the one of ours that the client connected to."""
    server = scope.get("server")
    try:
        return server is not None and ipaddress.ip_address(name) == ipaddress.ip_address(server[0])
    except ValueError:
        return False


def _repeated(scope: Scope) -> ApiError | None:
    """Refuse headers that must not come twice."""
    names = [name for name, _ in scope["headers"]]
    for name in _ONCE:
        if names.count(name) > 1:
            title = name.decode().title()
            return ApiError(400, f"the header {title} came more than once", field=title)
    return None


def _wrong_version(version: bytes) -> ApiError | None:
    """Another major version of the API, or none at all."""
    shown = version[:40].decode("latin-1")
    if not all(part.isdigit() for part in version.split(b".")):
        return ApiError(
            400,
            f"X-API-Version is {shown!r}, which is no version; this node speaks {API_VERSION}",
            field="X-API-Version",
        )
    if version.partition(b".")[0].lstrip(b"0") != _MAJOR.lstrip(b"0"):
        return ApiError(
            400,
            f"the client speaks version {shown} of the API, this node {API_VERSION}: update the older one of the two",
            field="X-API-Version",
        )
    return None
