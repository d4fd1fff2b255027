"""Two machines become a farm on their pages, and share a job: in Chromium, against real services."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, expect

from tests.support.running_service import Service, running_service
from tests.web.conftest import ended, exactly, go, submit, visitor

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

QUIET = {"ZORDON_DISCOVERY": "false", "ZORDON_BEAT_SECONDS": "0.5", "ZORDON_BEAT_MISSES": "40"}


@pytest.fixture(scope="module")
def machines(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Service]]:
    """Two services that do not know of each other."""
    folder = tmp_path_factory.mktemp("farm")
    with (
        running_service(folder / "atelier", ZORDON_NAME="atelier", **QUIET) as atelier,
        running_service(folder / "cellar", ZORDON_NAME="cellar", **QUIET) as cellar,
    ):
        yield atelier, cellar


async def test_two_machines_are_paired_and_share_a_job(browser: Browser, machines: tuple[Service, Service]) -> None:
    atelier, cellar = machines
    async with visitor(browser, atelier) as here, visitor(browser, cellar) as there:
        for page in (here, there):
            await go(page, "/nodes")
            await page.get_by_role("button", name="Add a machine").click()
        await here.get_by_role("button", name="Make a code").click()
        code = await here.get_by_role("dialog").get_by_role("status").locator("code").inner_text()
        await there.get_by_label("Code of the other node").fill(code)
        await there.get_by_label("Its address").fill(f"127.0.0.1:{atelier.port}")
        await there.get_by_role("button", name=exactly("Join")).click()
        await expect(there.get_by_role("dialog")).to_be_hidden()
        await here.keyboard.press("Escape")
        for page in (here, there):
            for name in ("atelier", "cellar"):
                await expect(page.get_by_role("article", name=name)).to_contain_text("Online")
    async with atelier.proxy() as node, visitor(browser, atelier) as page:
        job = await submit(node, "Shared", "1-60", seconds_per_frame=0.5)
        await go(page, f"/jobs/{job.id}")
        done = await ended(node, job.id)
        assert done.frames_done == 60
        frames = await node.get_job_frames(job.id)
        assert set(frames.times.nodes) == {"atelier", "cellar"}
        await page.get_by_role("tab", name="Times").click()
        for name in ("atelier", "cellar"):
            await expect(page.get_by_role("tabpanel").get_by_text(name).first).to_be_visible()
    async with visitor(browser, cellar) as page:
        # A node that is in a farm must leave it first, and says so.
        await go(page, "/nodes")
        await page.get_by_role("button", name="Add a machine").click()
        await page.get_by_label("Code of the other node").fill("AAA-AAA")
        await page.get_by_role("button", name=exactly("Join")).click()
        await expect(page.get_by_role("alert")).to_contain_text("in a farm already")
        await expect(page.get_by_label("Leave the farm")).to_be_visible()
