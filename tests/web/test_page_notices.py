"""Jobs that end are told outside of the page, where the browser and the person allow it: real notifications."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from client import RenderServerProxy
from tests.support.running_service import Service
from tests.web.conftest import ended, exactly, go, submit, visitor

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

WISH = "Tell me when a job ends"
WATCH = """
  // Nothing is put in its place: the notifications are the browser's own, and told when it has shown them.
  window.made = [];
  window.shown = new Promise(resolve => {
    window.Notification = new Proxy(Notification, {
      construct(real, [title, options]) {
        const notice = new real(title, options);
        window.made.push(title);
        window.newest = notice;
        notice.addEventListener('show', () => resolve({title: notice.title, body: notice.body, tag: notice.tag}));
        notice.addEventListener('error', () => resolve({title: 'it was not shown'}));
        return notice;
      },
    });
  });
"""
"""Run before the page's own scripts."""
LOOK_AWAY = "Object.defineProperty(document, 'hidden', {get: () => true})"
"""As in another tab; a browser without a window counts all its tabs as seen."""


async def open_wish(page: Page) -> None:
    """Open the menu that the wish is in."""
    await page.get_by_role("button", name="Settings").click()
    await expect(page.get_by_role("menu")).to_be_visible()


async def test_whoever_wants_it_is_told_when_a_job_ends_and_led_to_it(
    browser: Browser, service: Service, node: RenderServerProxy
) -> None:
    async with visitor(browser, service) as page:
        await page.context.grant_permissions(["notifications"])
        await page.add_init_script(WATCH)
        await page.reload()
        await go(page, "/jobs")
        await open_wish(page)
        await page.get_by_role("menuitemcheckbox", name=WISH).click()
        # It is kept in the browser.
        await page.reload()
        await open_wish(page)
        await expect(page.get_by_role("menuitemcheckbox", name=WISH)).to_have_attribute("aria-checked", "true")
        await page.keyboard.press("Escape")

        # Whoever looks at the page sees it there.
        seen = await submit(node, "Seen", "1-2")
        await expect(page.get_by_role("row", name=exactly("Seen"))).to_contain_text("Done")
        await page.evaluate(LOOK_AWAY)
        job = await submit(node, "Unseen", "1-4", fail_frames="2")
        assert await page.evaluate("window.shown") == {
            "title": "Unseen failed",
            "body": (await ended(node, job.id)).reason,
            "tag": job.id,
        }
        assert await page.evaluate("window.made") == ["Unseen failed"]

        await page.evaluate("window.newest.dispatchEvent(new Event('click'))")
        await expect(page.get_by_role("heading", name="Unseen", level=1)).to_be_visible()

        # No more of them for whoever has had enough.
        await open_wish(page)
        await page.get_by_role("menuitemcheckbox", name=WISH).click()
        await go(page, "/jobs")
        quiet = await submit(node, "Quiet", "1-2")
        await expect(page.get_by_role("row", name=exactly("Quiet"))).to_contain_text("Done")
        assert await page.evaluate("window.made") == ["Unseen failed"]
    for one in (seen, job, quiet):
        await node.delete_job(one.id)


async def test_where_the_browser_does_not_allow_it_that_is_said(page: Page) -> None:
    session = await page.context.new_cdp_session(page)
    own = (await session.send("Target.getTargetInfo"))["targetInfo"]["browserContextId"]
    refused = {"permission": {"name": "notifications"}, "setting": "denied", "browserContextId": own}
    await session.send("Browser.setPermission", refused)
    await page.reload()
    await open_wish(page)
    told = page.get_by_role("menuitemcheckbox", name="The browser does not allow notifications for this address")
    await expect(told).to_be_disabled()
    await expect(told).to_have_attribute("aria-checked", "false")
