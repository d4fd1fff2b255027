"""The page as it is served: closed against what is from elsewhere, kept by browsers; what stands there without it."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from app.api import page
from app.api.page import Page
from tests.api.conftest import Api

pytestmark = pytest.mark.asyncio(loop_scope="module")


def built(folder: Path, script: str = "let it = 1;\n" * 200) -> Path:
    """A page as the build leaves it."""
    (folder / "assets").mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text('<script type="module" src="/assets/index-abc.js"></script>')
    (folder / "assets" / "index-abc.js").write_text(script)
    (folder / "assets" / "icon-abc.svg").write_text("<svg/>")
    (folder / "sources.txt").write_text("abc")
    return folder


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the running application looks for its page."""
    folder = tmp_path / "page"
    monkeypatch.setattr(page, "_page", Page(folder))
    return folder


async def test_without_a_page_it_says_how_to_build_it(shared_api: Api, served: Path) -> None:
    async with shared_api.new_client({}) as anyone:
        answer = await anyone.get("/")
        assert answer.status_code == 200
        assert "client/web/build.py" in answer.text
        assert (await anyone.get("/assets/index-abc.js")).status_code == 404


async def test_the_index_is_asked_for_each_time_and_lets_nothing_else_in(shared_api: Api, served: Path) -> None:
    built(served)
    async with shared_api.new_client({}) as anyone:
        answer = await anyone.get("/")
    assert "/assets/index-abc.js" in answer.text
    assert answer.headers["Cache-Control"] == "no-cache"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_files_are_kept_for_ever_and_sent_compressed(shared_api: Api, served: Path) -> None:
    script = (built(served) / "assets" / "index-abc.js").read_bytes()
    async with shared_api.new_client({}) as anyone:
        packed = await anyone.get("/assets/index-abc.js", headers={"Accept-Encoding": "gzip"})
        plain = await anyone.get("/assets/index-abc.js", headers={"Accept-Encoding": "identity"})
        icon = await anyone.get("/assets/icon-abc.svg")
    assert packed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert packed.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) == len(gzip.compress(script, 9, mtime=0))
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert (packed.content, plain.content) == (script, script)
    assert (icon.headers["Content-Type"], icon.text) == ("image/svg+xml", "<svg/>")


@pytest.mark.parametrize(
    "name", ["index.html", "sources.txt", "..%2Findex.html", "..%2Fsources.txt", "%2e%2e", "nothing.js"]
)
async def test_only_what_was_built_for_the_page_is_served(shared_api: Api, served: Path, name: str) -> None:
    built(served)
    async with shared_api.new_client({}) as anyone:
        assert (await anyone.get(f"/assets/{name}")).status_code in (401, 404)


async def test_a_page_that_was_built_anew_is_served_at_once(shared_api: Api, served: Path) -> None:
    built(served)
    async with shared_api.new_client({}) as anyone:
        assert (await anyone.get("/assets/icon-abc.svg")).status_code == 200
        (served / "assets" / "icon-abc.svg").rename(served / "assets" / "icon-def.svg")
        index = served / "index.html"
        index.write_text("another")
        os.utime(index, ns=(1, index.stat().st_mtime_ns + 1_000_000))
        assert (await anyone.get("/")).text == "another"
        assert (await anyone.get("/assets/icon-def.svg")).status_code == 200
        assert (await anyone.get("/assets/icon-abc.svg")).status_code == 404


async def test_nothing_can_be_sent_there(shared_api: Api, served: Path) -> None:
    built(served)
    async with shared_api.new_client({}) as anyone:
        assert (await anyone.post("/assets/index-abc.js")).status_code == 405
