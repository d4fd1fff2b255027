"""Files over HTTP from servers that break off, stall, move and change what they offer.

A download goes on where it was broken off (RFC 9110: Range in 14.2, If-Range in 13.1.5, 416 in 15.5.17); how much of
it is there, and of which file, is known to :mod:`app.installs.part`. Nothing has its final name before it is verified.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import httpx

from app.installs.part import PartFile
from app.installs.retries import PATIENCE, Patience, Retries, Trouble
from app.installs.source import SourceError
from engines.installs.release import Checksum

TEXT_LIMIT: Final = 4 << 20
"""The longest page that is read, in bytes."""
MAX_REDIRECTS: Final = 5
REPORT_SECONDS: Final = 0.25
"""How often progress is reported at most."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAY_PASS: Final = frozenset({408, 425, 429})
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)")


async def download(
    client: httpx.AsyncClient,
    url: str,
    target: Path,
    progress: Callable[[int, int | None], None],
    *,
    size: int | None = None,
    checksum: Checksum | None = None,
    keep_free: int = 0,
    patience: Patience = PATIENCE,
) -> None:
    """Fetch a file, verified. If it is broken off, by whomever, the next call with this target and URL goes on.

    Args:
        client: who asks; its time limits are not used.
        url: http or https.
        target: where the file goes, in a folder that exists. Only one download a target at a time.
        progress: called with the bytes so far and the bytes of all, or None, on the event loop; four times a second at
            most, and at the end.
        size: bytes that it must have.
        checksum: what it must have.
        keep_free: bytes that stay free on the disk.
        patience: with a server in trouble.

    Raises:
        SourceError: it did not come, is not what it should be, or there is no room for it.
    """
    part = PartFile(target, url, size, checksum, keep_free)
    retries = Retries(patience)
    try:
        await part.open()
        async for attempt in retries.again():
            with attempt:
                try:
                    if not part.complete:
                        await _fetch(client, url, part, _Meter(progress), size, patience)
                finally:
                    await part.flush()
                    retries.reached(part.have)
        await part.settle()
        progress(part.have, part.have)
    finally:
        await part.close()


async def fetch_text(
    client: httpx.AsyncClient, url: str, *, limit: int = TEXT_LIMIT, patience: Patience = PATIENCE
) -> str:
    """Fetch a page or a checksum file.

    Args:
        client: who asks; its time limits are not used.
        url: http or https.
        limit: the most bytes that it may have.
        patience: with a server in trouble.

    Raises:
        SourceError: it did not come or is longer.
    """
    retries = Retries(patience)
    async for attempt in retries.again():
        with attempt:
            async with _answer(client, url, {}, patience) as response:
                if response.status_code != 200:
                    raise _refused(response)
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > limit:
                        raise SourceError(f"{_shown(response.url)} is longer than {limit} bytes")
                return body.decode(response.encoding or "utf-8", errors="replace")
    raise AssertionError("unreachable: the last attempt returns or raises")


class _Meter:
    """Passes progress on, not too often."""

    def __init__(self, progress: Callable[[int, int | None], None]) -> None:
        self._progress = progress
        self._next = 0.0

    def report(self, have: int, total: int | None) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + REPORT_SECONDS
            self._progress(have, total)


async def _fetch(
    client: httpx.AsyncClient, url: str, part: PartFile, meter: _Meter, size: int | None, patience: Patience
) -> None:
    """One try: what is missing, or all if the server cannot go on with what is there."""
    # A packed answer would be other bytes than those that the checksum is of.
    headers = {"Accept-Encoding": "identity"}
    if part.have and part.origin.validator:
        headers |= {"Range": f"bytes={part.have}-", "If-Range": part.origin.validator}
        async with _answer(client, url, headers, patience) as response:
            if _ends_here(response, part):
                return
            if _goes_on(response, part):
                await _take(response, part, meter)
                return
            if response.status_code == 200:
                await _begin(response, part, size)
                await _take(response, part, meter)
                return
            if response.status_code not in (206, 416):
                raise _refused(response)
        # It is another file by now, or the server does not know what it has been asked for.
    async with _answer(client, url, {"Accept-Encoding": "identity"}, patience) as response:
        if response.status_code != 200:
            raise _refused(response)
        await _begin(response, part, size)
        await _take(response, part, meter)


def _ends_here(response: httpx.Response, part: PartFile) -> bool:
    """Whether a 416 says that nothing is missing: the file's length had not been known."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return response.status_code == 416 and part.origin.total is None and bool(found and found[3] == str(part.have))


def _goes_on(response: httpx.Response, part: PartFile) -> bool:
    """Whether a 206 goes on with the very file that is there; not every server minds If-Range."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code != 206 or found is None or found[1] != str(part.have):
        return False
    total = part.origin.total
    if total is not None and (found[3] not in ("*", str(total)) or int(found[2]) >= total):
        return False
    return _validator(response) in ("", part.origin.validator)


async def _begin(response: httpx.Response, part: PartFile, size: int | None) -> None:
    given = response.headers.get("Content-Length", "")
    total = int(given) if re.fullmatch(r"[0-9]{1,18}", given) else None
    if size is not None and total not in (None, size):
        raise SourceError(f"{_shown(response.url)} has {total} bytes and should have {size}")
    await part.begin(_validator(response), size if total is None else total)


async def _take(response: httpx.Response, part: PartFile, meter: _Meter) -> None:
    await part.make_room()
    total = part.origin.total
    meter.report(part.have, total)
    async for piece in response.aiter_raw():
        if total is not None and part.have + len(piece) > total:
            raise SourceError(f"{_shown(response.url)} has more bytes than the {total} that it should have")
        await part.put(piece)
        meter.report(part.have, total)
    if total is not None and part.have < total:
        raise Trouble(f"{_shown(response.url)} broke off after {part.have} of {total} bytes")


@asynccontextmanager
async def _answer(
    client: httpx.AsyncClient, url: str, headers: Mapping[str, str], patience: Patience
) -> AsyncIterator[httpx.Response]:
    """The answer after all redirects, its body not read yet; every failure of HTTP becomes a SourceError."""
    timeout = httpx.Timeout(patience.stall, connect=min(patience.connect, patience.stall))
    place = url
    try:
        for _ in range(MAX_REDIRECTS + 1):
            async with client.stream(
                "GET", place, headers=headers, timeout=timeout, follow_redirects=False
            ) as response:
                if response.status_code not in _REDIRECTS:
                    yield response
                    return
                place = _next_place(response)
        raise SourceError(f"{_shown(url)} leads from one place to the next more than {MAX_REDIRECTS} times")
    except httpx.TimeoutException as error:
        raise Trouble(f"{_shown(place)} did not answer for {patience.stall:g} s") from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise SourceError(f"{_shown(place)} is no address to fetch from: {error}") from error
    except httpx.TransportError as error:
        message = f"the connection to {_shown(place)} failed: {error or type(error).__name__}"
        if _is_distrust(error):
            raise SourceError(message) from error
        raise Trouble(message) from error
    except httpx.DecodingError as error:
        raise SourceError(f"{_shown(place)} is damaged: {error}") from error


def _next_place(response: httpx.Response) -> str:
    try:
        place = response.url.join(response.headers.get("Location", ""))
    except httpx.InvalidURL as error:
        raise SourceError(f"{_shown(response.url)} leads to what is no address: {error}") from error
    if place.scheme not in ("http", "https") or (response.url.scheme == "https" and place.scheme != "https"):
        raise SourceError(f"{_shown(response.url)} leads to {_shown(place)}, which is not as safe; it is not followed")
    return str(place)


def _refused(response: httpx.Response) -> SourceError:
    status = response.status_code
    message = f"{_shown(response.url)} answered {status} {response.reason_phrase}".rstrip()
    if status not in _MAY_PASS and status < 500:
        return SourceError(message)
    wait = _seconds(response.headers.get("Retry-After", ""))
    return Trouble(f"{message}, to be asked again in {wait:.0f} s" if wait else message, wait)


def _seconds(retry_after: str) -> float:
    """Retry-After is seconds or a date (RFC 9110, 10.2.3)."""
    if re.fullmatch(r"[0-9]{1,9}", retry_after):
        return float(retry_after)
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    return max(0.0, ((when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


def _validator(response: httpx.Response) -> str:
    """What If-Range takes: an ETag unless it is weak, or the date of the last change."""
    tag: str = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else str(response.headers.get("Last-Modified", ""))


def _is_distrust(error: BaseException | None) -> bool:
    """Whether a certificate was not accepted; it will not be the next time either."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _shown(url: httpx.URL | str) -> str:
    """A URL for messages: without what may be secret in it."""
    try:
        return str(httpx.URL(url).copy_with(username=None, password=None, query=None, fragment=None))
    except httpx.InvalidURL:
        return repr(str(url)[:200])
