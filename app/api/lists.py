"""The answers that list jobs, as bytes: made once a revision, whoever asks and however often.

Both the declared routes and the fast way around them (:mod:`app.api.hot`) answer from here.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.types import Message

from app.jobs.feed import Feed
from app.version import API_VERSION

GZIP_FROM = 64 * 1024
"""Bytes from which a list is worth compressing."""
_KEPT_DELTAS = 64

Header = tuple[bytes, bytes]
BASE_HEADERS: tuple[Header, ...] = (
    (b"x-api-version", API_VERSION.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
"""On every answer of this service. The last four: a browser takes no answer for another type than we say, tells nobody
our addresses, and lets no page of somebody else's show or frame what we answer."""
JSON: Header = (b"content-type", b"application/json")
_LIST_HEADERS: tuple[Header, ...] = (*BASE_HEADERS, JSON)
_VARY: Header = (b"vary", b"accept-encoding")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, as the messages that an ASGI server is sent."""

    start: Message
    bodies: tuple[Message, ...]


def answer_of(body: bytes | Sequence[bytes], headers: tuple[Header, ...], status: int = 200) -> Answer:
    """An answer of these bytes, which may be in pieces; ``headers`` but for Content-Length."""
    pieces = (body,) if isinstance(body, bytes) else body
    length = (b"content-length", b"%d" % sum(map(len, pieces)))
    *others, last = pieces
    return Answer(
        {"type": "http.response.start", "status": status, "headers": [*headers, length]},
        (
            *({"type": "http.response.body", "body": piece, "more_body": True} for piece in others),
            {"type": "http.response.body", "body": last},
        ),
    )


def json_answer(body: bytes | Sequence[bytes]) -> Answer:
    """200 with a JSON body, which may be in pieces."""
    return answer_of(body, (*BASE_HEADERS, JSON))


class JobLists:
    """The job list of a feed, and its deltas."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._revision = -1
        self._etag = b""
        self._plain: Answer | None = None
        self._unchanged: Answer | None = None
        self._zipped: asyncio.Future[Answer] | None = None
        self._deltas: dict[str | None, Answer] = {}

    def plain(self) -> Answer:
        """All jobs and the token."""
        self._catch_up()
        if self._plain is None:
            body = self._feed.job_list()
            varies = (_VARY,) if _is_worth_zipping(body) else ()
            self._plain = answer_of(body, (*_LIST_HEADERS, (b"etag", self._etag), *varies))
        return self._plain

    async def suited(self, headers: Mapping[bytes, bytes]) -> Answer:
        """All jobs and the token, compressed if that is worth it and the client takes it."""
        plain = self.plain()
        body = self._feed.job_list()
        if not _is_worth_zipping(body) or not takes_gzip(headers.get(b"accept-encoding")):
            return plain
        if self._zipped is None:
            self._zipped = asyncio.ensure_future(_zip(body, self._etag))
        # Shielded: whoever is waiting for the same bytes must get them even if this client goes away.
        return await asyncio.shield(self._zipped)

    def unchanged(self, if_none_match: bytes) -> Answer | None:
        """304 if the client has the present list already."""
        self._catch_up()
        if if_none_match != self._etag and not self._is_among(if_none_match):
            return None
        if self._unchanged is None:
            self._unchanged = Answer(
                {"type": "http.response.start", "status": 304, "headers": [*BASE_HEADERS, (b"etag", self._etag)]},
                ({"type": "http.response.body", "body": b""},),
            )
        return self._unchanged

    def delta(self, token: str | None) -> Answer:
        """What changed since the token; joined once for all who have the same token."""
        self._catch_up()
        answer = self._deltas.get(token)
        if answer is None:
            # Tokens of other epochs all mean the same; as keys of a memory they would be a way to fill it.
            key = token if self._feed.revision_of(token) is not None else None
            if len(self._deltas) >= _KEPT_DELTAS:
                self._deltas.clear()
            answer = self._deltas[key] = json_answer(self._feed.delta(key))
        return answer

    def _catch_up(self) -> None:
        if self._revision != self._feed.revision:
            self._revision = self._feed.revision
            self._etag = b'W/"' + self._feed.token.encode() + b'"'
            self._plain = self._unchanged = self._zipped = None
            self._deltas.clear()

    def _is_among(self, if_none_match: bytes) -> bool:
        weak = self._etag.removeprefix(b"W/")
        tags = [tag.strip() for tag in if_none_match.split(b",")]
        return b"*" in tags or any(tag.removeprefix(b"W/") == weak for tag in tags)


def takes_gzip(accept_encoding: bytes | None) -> bool:
    """Whether an ``Accept-Encoding`` header names gzip and does not weigh it zero.

    >>> takes_gzip(b"gzip, deflate"), takes_gzip(b"gzip;q=0, br"), takes_gzip(None)
    (True, False, False)
    """
    if accept_encoding is None:
        return False
    for item in accept_encoding.lower().split(b","):
        coding, _, weight = item.partition(b";")
        if coding.strip() == b"gzip":
            return weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False


def _is_worth_zipping(body: Sequence[bytes]) -> bool:
    return sum(map(len, body)) >= GZIP_FROM


async def _zip(body: Sequence[bytes], etag: bytes) -> Answer:
    zipped = await asyncio.to_thread(_gzip, body)
    return answer_of(zipped, (*_LIST_HEADERS, (b"etag", etag), _VARY, (b"content-encoding", b"gzip")))


def _gzip(pieces: Sequence[bytes]) -> bytes:
    zipping = zlib.compressobj(1, wbits=_GZIP)
    return b"".join([*(zipping.compress(piece) for piece in pieces), zipping.flush()])


_GZIP = 16 + zlib.MAX_WBITS  # with the header of gzip, see deflateInit2 in zlib's manual
