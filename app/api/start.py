"""``/``: what a browser shows that was sent to the node's address, until there is a page for people.

A browser cannot send the token, so the page is open like the heartbeat, and says nothing that is not in every answer:
no job, no name of the machine, no path. Whoever has the token sees the same page. Its one script trades the login code
behind the ``#`` of the address for a cookie, and takes the code out of the address.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from app.api.openapi import failures
from app.version import API_VERSION

router = APIRouter(tags=["node"])

_SCRIPT: Final = """
const code = new URLSearchParams(location.hash.slice(1)).get("code");
if (code) {
  history.replaceState(null, "", location.pathname);
  const said = document.getElementById("said");
  fetch("/api/login", {
    method: "POST",
    headers: {"Content-Type": "application/json", "Accept": "application/json"},
    body: JSON.stringify({code}),
  }).then(async (answer) => {
    const told = await answer.json();
    said.textContent = answer.ok ? `This browser is let in until ${new Date(told.expires)}.` : told.detail;
  }).catch((error) => { said.textContent = `The node does not answer: ${error}`; });
}
"""
_SCRIPT_HASH: Final = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
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
<p id="said">A browser is let in by the address that <code>zordon login</code> prints.</p>
<p>For programs, the API is described at <code>/api/openapi.json</code>. Every request but
<code>/api/heartbeat</code> and this page carries a token:
<code>Authorization: Bearer &lt;token&gt;</code>.</p>
<script>{_SCRIPT}</script>
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
