"""``/`` and ``/assets/…``: the page for people, as Vite has built it (client/web), and what stands there without it.

A browser cannot send the token before it is let in, so both are open like the heartbeat; they say nothing that is not
in every copy of Zordon: no job, no name of the machine, no path. Everything else the page asks the API for. What is
sent is looked up among the files that were there when they were read, never joined to a path.
"""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from app.api.errors import ApiError
from app.api.lists import takes_gzip
from app.api.openapi import binary, failures
from app.version import API_VERSION

router = APIRouter(tags=["node"])

FOLDER: Final = Path(__file__).resolve().parents[1] / "page"
"""Where the build has put the page; it is there in the wheel and in a checkout that was installed."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy: nothing but our own files, and nothing written into the page."""

_SMALL: Final = 1024  # bytes below which compressing is not worth it
_COMPRESSED: Final = ("text/", "image/svg")
_MEDIA_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
}
_INDEX: Final = "index.html"
_NOT_BUILT: Final = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Zordon</title>
<h1>Zordon</h1>
<p>This is a node of a Zordon render farm. It speaks version {API_VERSION} of its API.</p>
<p>The page for people was not built when this was installed: npm's registry did not answer, or there was no Node. Where
both are at hand, <code>python client/web/build.py</code> in the sources of Zordon builds it; an installed Zordon is
installed once more (<code>pip install --force-reinstall --no-deps .</code>). Then load this page again.</p>
<p>Until then, on a command line, <code>zordon jobs</code> lists the jobs, <code>zordon watch</code> follows them, and
<code>zordon --help</code> tells the rest.</p>
<p>For programs, the API is described at <code>/api/openapi.json</code>. Every request but
<code>/api/heartbeat</code> and this page carries a token:
<code>Authorization: Bearer &lt;token&gt;</code>.</p>
</html>
"""


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file of the page, in memory."""

    body: bytes
    zipped: bytes | None  # None: not worth it
    media_type: str

    def answer(self, request: Request, headers: dict[str, str]) -> Response:
        """The file, compressed for whoever takes that."""
        if self.zipped is None:
            return Response(self.body, media_type=self.media_type, headers=headers)
        headers = {**headers, "Vary": "Accept-Encoding"}
        if takes_gzip(request.headers.get("accept-encoding", "").encode("latin-1")):
            headers["Content-Encoding"] = "gzip"
            return Response(self.zipped, media_type=self.media_type, headers=headers)
        return Response(self.body, media_type=self.media_type, headers=headers)


class Page:
    """The built page in memory; read again when it was built anew.

    Args:
        folder: where the build puts it; it need not be there.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._built: int | None = None  # mtime of the index that was read, in ns
        self._files: dict[str, PageFile] = {}

    async def index(self) -> PageFile | None:
        """The page itself; None if it was not built."""
        return (await self._present()).get(_INDEX)

    async def asset(self, name: str) -> PageFile | None:
        """A file beside it, by its plain name."""
        if name == _INDEX:
            return None
        return self._files.get(name) or (await self._present()).get(name)

    async def _present(self) -> dict[str, PageFile]:
        built = await asyncio.to_thread(_built_at, self._folder / _INDEX)
        if built is None:
            return {}
        if built != self._built:
            self._files = await asyncio.to_thread(_read, self._folder)
            self._built = built
        return self._files


def _built_at(index: Path) -> int | None:
    try:
        return index.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _read(folder: Path) -> dict[str, PageFile]:
    files = {}
    assets = folder / "assets"
    for path in [folder / _INDEX, *(assets.iterdir() if assets.is_dir() else ())]:
        body = path.read_bytes()
        media_type = _MEDIA_TYPES.get(path.suffix, "application/octet-stream")
        zipped = None
        if len(body) >= _SMALL and media_type.startswith(_COMPRESSED):
            zipped = gzip.compress(body, 9, mtime=0)
        files[path.name] = PageFile(body, zipped, media_type)
    return files


_page: Final = Page()


@router.get(
    "/",
    operation_id="get_start_page",
    summary="The page for people",
    response_class=HTMLResponse,
    responses={
        200: {"description": "The page, without data.", "content": {"text/html": {"schema": {"type": "string"}}}},
        **failures(),
    },
    openapi_extra={"security": []},
)
async def get_start_page(request: Request) -> Response:
    """The page for people; if it was not built, how to build it. Asks for no token."""
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    index = await _page.index()
    return HTMLResponse(_NOT_BUILT, headers=headers) if index is None else index.answer(request, headers)


@router.get(
    "/assets/{name}",
    operation_id="get_page_file",
    summary="A file of the page",
    response_class=Response,
    responses={**binary("The file.", "application/octet-stream"), **failures(s404="There is no such file.")},
    openapi_extra={"security": []},
)
async def get_page_file(request: Request, name: str) -> Response:
    """A script, a style or a picture of the page. Its name changes with its bytes, so it is kept for ever."""
    file = await _page.asset(name)
    if file is None:
        raise ApiError(404, "the page has no such file; load it again", field="name")
    return file.answer(request, {"Cache-Control": "public, max-age=31536000, immutable"})
