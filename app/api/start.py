"""``/``: what a browser shows that was sent to the node's address, until there is a page for people.

A browser cannot send the token, so the page is open like the heartbeat, and says nothing that is not in every answer:
no job, no name of the machine, no path. Whoever has the token sees the same page.
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from app.api.openapi import failures
from app.version import API_VERSION

router = APIRouter(tags=["node"])

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_PAGE: Final = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Zordon</title>
<h1>Zordon</h1>
<p>This is a node of a Zordon render farm. It speaks version {API_VERSION} of its API.</p>
<p>There is no page for people yet. On a command line, <code>zordon jobs</code> lists the jobs,
<code>zordon watch</code> follows them, and <code>zordon --help</code> tells the rest.</p>
<p>For programs, the API is described at <code>/api/openapi.json</code>. Every request but
<code>/api/heartbeat</code> and this page carries the node's token:
<code>Authorization: Bearer &lt;token&gt;</code>.</p>
</html>
"""


@router.get(
    "/",
    operation_id="get_start_page",
    summary="The start page",
    response_class=HTMLResponse,
    responses={
        200: {"description": "A short page without data.", "content": {"text/html": {"schema": {"type": "string"}}}},
        **failures(),
    },
    openapi_extra={"security": []},
)
async def get_start_page() -> HTMLResponse:
    """What this is and where its API is described. Asks for no token."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
