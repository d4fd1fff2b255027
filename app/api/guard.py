"""Who may ask for what: the checks that come before any route, on raw header bytes.

The node answers under its own names only (a web page that points its own name at 127.0.0.1 is refused), refuses every
request that a page of somebody else's sends, and asks for a token, or the cookie of a browser that was let in, whose
role covers what is asked for: on every route but the heartbeat, the start page, the login and the two that say whether
the service is well.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from starlette.types import Scope

from app.access.access import Access
from app.access.identity import Identity
from app.api.errors import ApiError
from app.api.names import host_name, is_address_of_socket, is_loopback, own_names
from app.api.permissions import Permissions
from app.api.who import SIGNED, WHO, address_of
from app.peers.signing import HEADERS as SIGNATURE_HEADERS
from app.peers.signing import NODE_HEADER, SIGNATURE_HEADER
from app.peers.trust import Distrust, Trust
from app.settings import Settings
from app.version import API_VERSION
from client.models import AccessKind, Role

MAX_HEADERS = 100
MAX_TARGET = 8192
"""Bytes of path and query."""

READY_PATH: Final = "/readyz"
METRICS_PATH: Final = "/metrics"
NODE_PATHS: Final = frozenset({"/api/peers/hello", "/api/pairing/exchange"})
"""What other nodes ask before they can sign; they may call this one by any name, and no browser does."""

HARMLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

_MAJOR = API_VERSION.partition(".")[0].encode()
_OURS = API_VERSION.encode()
_ONCE = frozenset(
    {
        b"host",
        b"origin",
        b"authorization",
        b"cookie",
        b"sec-fetch-site",
        b"x-api-token",
        b"x-api-version",
        b"content-length",
        b"content-type",
        *(name.lower().encode() for name in SIGNATURE_HEADERS),
    }
)
_OWN_PAGES = frozenset({b"same-origin", b"none"})
"""What a browser says of a request (Sec-Fetch-Site) that no page of another origin has made."""
_TOKEN_WANTED: Final = {"WWW-Authenticate": 'Bearer realm="zordon"'}
_BEARER = b"Bearer "
_NODE: Final = NODE_HEADER.lower().encode()

_REMEMBERED = 1024

Headers = Mapping[bytes, bytes]
"""Header names in lower case."""


class Guard:
    """The checks of one node.

    Args:
        settings: names under which it may be called; whether it is on the local network.
        access: the tokens and sessions that let somebody in.
        permissions: what each request asks for.
        trust: knows the signatures of other nodes.
    """

    def __init__(self, settings: Settings, access: Access, permissions: Permissions, trust: Trust) -> None:
        self._access = access
        self._trust = trust
        self._permissions = permissions
        self._open = permissions.open_paths
        self._open_folders = permissions.open_folders
        self._open_metrics = settings.metrics_without_token
        self._lan = settings.lan
        self._names = own_names(settings)
        self._seen: set[bytes] = set()  # Host headers that were found right, as they came
        self._cookie = access.cookie.encode() + b"="
        # Whom a secret stands for, so that a client that asks often is not hashed each time. Only right ones are kept.
        self._of_token: dict[bytes, Identity] = {}
        self._of_cookie: dict[bytes, Identity] = {}

    def check(self, scope: Scope, headers: Headers) -> ApiError | None:
        """Why the request is refused; None if it is not. Then ``scope[WHO]`` says who asks, unless the route is open to
        everybody."""
        count = len(scope["headers"])
        if count > MAX_HEADERS:
            return ApiError(431, f"the request has more than {MAX_HEADERS} headers")
        if len(headers) != count and (refusal := _repeated(scope)) is not None:
            return refusal
        path: str = scope["path"]
        if len(path) + len(scope["query_string"]) > MAX_TARGET:
            return ApiError(414, f"the path and query are longer than {MAX_TARGET} bytes")
        if _NODE in headers:
            return self._check_node(scope, headers, path)
        if path in NODE_PATHS:
            if b"origin" in headers or b"sec-fetch-site" in headers:
                return ApiError(403, "requests of other web pages are refused: this is for other nodes", field="Origin")
            return None
        host = headers.get(b"host", b"")
        if host not in self._seen and not self._is_ours(host, scope):
            return ApiError(
                400,
                f"this node is not called {host[:100].decode('latin-1')!r}; a further name of it is set with "
                "allowed_hosts (ZORDON_ALLOWED_HOSTS)",
                field="Host",
            )
        origin = headers.get(b"origin")
        if origin is not None and not _is_own_origin(origin, host, scope):
            return ApiError(403, "requests of other web pages are refused", field="Origin")
        site = headers.get(b"sec-fetch-site")
        if site is not None and site not in _OWN_PAGES and not _is_link_to_start(scope, headers):
            return ApiError(403, "requests of other web pages are refused", field="Sec-Fetch-Site")
        version = headers.get(b"x-api-version")
        if version is not None and version != _OURS and (refusal := _wrong_version(version)) is not None:
            return refusal
        if path in self._open and not (path == READY_PATH and _has_secret(headers)):
            return None
        if path.startswith(self._open_folders) and self._permissions.is_open(scope["method"], path):
            return None
        if self._open_metrics and path == METRICS_PATH and is_loopback(scope) and not _has_secret(headers):
            return None
        return self._check_right(scope, headers, path, origin)

    def _check_right(self, scope: Scope, headers: Headers, path: str, origin: bytes | None) -> ApiError | None:
        """Whether the request carries a secret, and whether its role covers what is asked for."""
        given = headers.get(b"authorization")
        if given is not None:
            secret = given[7:] if given.startswith(_BEARER) else _bearer_of(given)
            who = self._of_token.get(secret) or self._token(secret)
        elif (secret := headers.get(b"x-api-token", b"")) != b"":
            who = self._of_token.get(secret) or self._token(secret)
        elif (cookies := headers.get(b"cookie")) is not None and (secret := self._cookie_in(cookies)) != b"":
            who = self._of_cookie.get(secret) or self._session(secret)
        else:
            return ApiError(
                401,
                "the token is missing; send it as 'Authorization: Bearer <token>'",
                field="Authorization",
                headers=_TOKEN_WANTED,
            )
        if who is None or who.revoked or (who.expires is not None and time.time() >= who.expires):
            return self.wrong_secret(
                scope, "the token is wrong; send it as 'Authorization: Bearer <token>'", "Authorization"
            )
        scope[WHO] = who
        method = scope["method"]
        if who.kind is AccessKind.SESSION and origin is None and method not in HARMLESS:
            # Every browser names the page that a changing request comes from; without that it may be any page.
            return ApiError(403, "a change that a browser asks for must come with its Origin", field="Origin")
        return None if who.role is Role.ADMIN else self._check_role(who, method, path)

    def _check_node(self, scope: Scope, headers: Headers, path: str) -> ApiError | None:
        """Whether a request is signed by another node of the farm. Its names and origins say nothing then: no web page
        can sign."""
        version = headers.get(b"x-api-version")
        if version is not None and version != _OURS and (refusal := _wrong_version(version)) is not None:
            return refusal
        found = self._trust.check(scope["method"], _target(scope), headers)
        if isinstance(found, Distrust):
            if found.guessed:
                seconds = self._access.tries.failed(address_of(scope))
                if seconds is not None:
                    return refused_try(seconds, found.message, SIGNATURE_HEADER)
            return ApiError(401, found.message, title=found.title, field=SIGNATURE_HEADER, headers=_TOKEN_WANTED)
        scope[WHO] = found.who
        scope[SIGNED] = found
        return self._check_role(found.who, scope["method"], path)

    def _check_role(self, who: Identity, method: str, path: str) -> ApiError | None:
        permission = self._permissions.of(method, path)
        if permission.role is None or who.may(permission.role):
            return None
        return ApiError(
            403,
            f"this token has the role {who.role.value}; {permission.operation} needs the role {permission.role.value}",
            title="Role too low",
            field="Authorization",
        )

    def wrong_secret(self, scope: Scope, message: str, field: str) -> ApiError:
        """The answer to a wrong secret: 401, or 429 if its address has shown too many."""
        seconds = self._access.tries.failed(address_of(scope))
        return refused_try(seconds, message, field)

    def _token(self, secret: bytes) -> Identity | None:
        return _kept(self._of_token, secret, self._access.tokens.of_token(secret))

    def _session(self, secret: bytes) -> Identity | None:
        return _kept(self._of_cookie, secret, self._access.tokens.of_session(secret))

    def _cookie_in(self, cookies: bytes) -> bytes:
        """The secret in a ``Cookie`` header; empty if ours is not in it."""
        for cookie in cookies.split(b";"):
            cookie = cookie.strip()
            if cookie.startswith(self._cookie):
                return cookie[len(self._cookie) :]
        return b""

    def _is_ours(self, host: bytes, scope: Scope) -> bool:
        name = host_name(host)
        if name in self._names or (self._lan and is_address_of_socket(name, scope)):
            if len(self._seen) < _REMEMBERED:
                self._seen.add(host)
            return True
        return False


def refused_try(seconds: int | None, message: str, field: str) -> ApiError:
    """The answer to a wrong secret.

    Args:
        seconds: when the next try may come; None: at once.
    """
    if seconds is None:
        return ApiError(401, message, field=field, headers=_TOKEN_WANTED)
    return ApiError(
        429,
        f"too many wrong tokens came from this address; try again in {seconds} seconds (max_failed_tries). A right one "
        "is taken at any time",
        field=field,
        headers={"Retry-After": str(seconds)},
    )


def _target(scope: Scope) -> bytes:
    """Path and query as they came."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path


def _is_own_origin(origin: bytes, host: bytes, scope: Scope) -> bool:
    """Whether a page has our address. Behind a proxy that speaks HTTPS for us, only the proxy knows the scheme."""
    scheme, _, rest = origin.partition(b"://")
    return rest == host and (scheme == b"https" or scope.get("scheme") != "https")


def _is_link_to_start(scope: Scope, headers: Headers) -> bool:
    """Whether somebody followed a link of another page to the start page, which has no data."""
    return (
        scope["path"] == "/"
        and scope["method"] == "GET"
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest") == b"document"
    )


def _has_secret(headers: Headers) -> bool:
    """Whether a request shows who it comes from; on a route that is open, but says more to whoever does."""
    return b"authorization" in headers or b"x-api-token" in headers


def _bearer_of(given: bytes) -> bytes:
    """The token in an ``Authorization`` header of any spelling; empty if it is none."""
    scheme, _, value = given.partition(b" ")
    return value.strip() if scheme.lower() == b"bearer" else b""


def _kept(known: dict[bytes, Identity], secret: bytes, who: Identity | None) -> Identity | None:
    if who is not None:
        if len(known) >= _REMEMBERED:
            known.clear()
        known[secret] = who
    return who


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
