"""Letting a browser in and out, and what a node shows that has done nothing yet."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from client import RenderServerProxy
from client.models import JobStatus
from tests.support.running_service import Service
from tests.web.conftest import exactly, go, login_code, visitor

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_the_first_run_ends_with_a_picture(page: Page, node: RenderServerProxy) -> None:
    # A node without jobs shows what to do.
    await expect(page).to_have_url(exactly(page.url.partition("#")[0] + "#/start"))
    await expect(page.get_by_role("heading", name="Three steps to a picture")).to_be_visible()
    await expect(page.get_by_text("Found:")).to_contain_text("FFmpeg")
    await page.get_by_role("button", name="Render the demo").click()
    card = page.get_by_role("listitem").filter(has_text="Render something")
    await expect(card.get_by_text("Done")).to_be_visible()
    await expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "100")
    await expect(card.locator("img")).to_be_visible()
    await card.get_by_role("link", name="Watch it").click()
    await expect(page.get_by_role("heading", name="Zordon demo")).to_be_visible()
    [job] = (await node.get_jobs()).jobs
    assert (job.status, job.frames_done) == (JobStatus.COMPLETED, 12)


async def test_the_code_leaves_the_address_and_works_once(browser: Browser, service: Service) -> None:
    here = f"http://127.0.0.1:{service.port}"
    code = await login_code(service)
    async with visitor(browser, service, let_in=False) as first:
        await first.goto(f"{here}/#code={code}")
        await first.get_by_role("navigation", name="Main").wait_for()
        assert code not in first.url
        await first.reload()
        await expect(first.get_by_role("navigation", name="Main")).to_be_visible()
        cookies = await first.context.cookies()
        assert [cookie["httpOnly"] for cookie in cookies] == [True]
        assert await first.evaluate("document.cookie") == ""
    async with visitor(browser, service, let_in=False) as second:
        await second.goto(f"{here}/#code={code}")
        await expect(second.get_by_role("alert")).to_contain_text("this login code was used")
        await expect(second.get_by_label("Token")).to_be_visible()


async def test_a_token_lets_in_with_its_role_and_logging_out_ends_it(browser: Browser, service: Service) -> None:
    made = service.zordon("token", "add", "viewer", "--role", "read", "--json").json
    assert isinstance(made, dict)
    async with visitor(browser, service, let_in=False) as page:
        await page.goto(f"http://127.0.0.1:{service.port}/")
        await page.get_by_label("Token").fill("zordon_wrong")
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("alert")).to_have_text("the token is wrong")
        await page.get_by_label("Token").fill(str(made["secret"]))
        await page.get_by_role("button", name="Log in").click()
        await page.get_by_role("navigation", name="Main").wait_for()
        # What this role may not do is not offered.
        await go(page, "/nodes")
        await expect(page.get_by_role("button", name="Pause after this frame")).to_be_disabled()
        await page.get_by_role("button", name="Settings").click()
        await expect(page.get_by_text("browser of viewer (read)")).to_be_visible()
        await page.get_by_role("menuitem", name="Log out").click()
        await expect(page.get_by_label("Token")).to_be_visible()
        await page.reload()
        await expect(page.get_by_label("Token")).to_be_visible()


async def test_a_session_that_is_revoked_is_shown_the_door(browser: Browser, service: Service) -> None:
    async with visitor(browser, service) as page, service.proxy() as node:
        sessions = service.zordon("token", "list", "--json").json
        assert isinstance(sessions, list)
        for session in sessions:
            assert isinstance(session, dict)
            if session["kind"] == "session":
                assert service.zordon("token", "revoke", str(session["id"])).code == 0
        # The stream ends with the next change; whoever asks meanwhile is told at once.
        await go(page, "/engines")
        await expect(page.get_by_label("Token")).to_be_visible()
        assert (await node.get_status()).hostname


async def test_dark_and_light_are_kept(browser: Browser, service: Service) -> None:
    async with visitor(browser, service, scheme="light") as page:
        root = page.locator("html")
        await expect(root).to_have_attribute("data-theme", "light")
        await page.get_by_role("button", name="Settings").click()
        await page.get_by_role("menuitemradio", name="Dark").click()
        await expect(root).to_have_attribute("data-theme", "dark")
        await page.reload()
        await expect(root).to_have_attribute("data-theme", "dark")
