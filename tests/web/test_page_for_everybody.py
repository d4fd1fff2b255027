"""Every screen for whoever reads it otherwise: axe's rules (WCAG 2.2 AA), both themes, wide and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from client import RenderServerProxy
from client.models import AddJob, Job
from tests.support.running_service import Service
from tests.web.conftest import PHONE, ROOT, WEB, WIDE, ended, go, submit, visitor

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def axe(node_for_tests: Path) -> str:
    """axe-core as one script."""
    return (WEB / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


async def check(page: Page, axe: str, where: str) -> None:
    """No rule of axe is broken, and nothing is wider than the screen."""
    # Evaluated, not added: the page's own policy lets in no script of somebody else.
    await page.evaluate(axe)
    found = await page.evaluate(
        """rules => axe.run({runOnly: rules}).then(result => result.violations.map(one =>
        `${one.id}: ${one.nodes.slice(0, 4).map(node => `${node.target} ${node.failureSummary}`).join(' | ')}`))""",
        RULES,
    )
    assert found == [], where
    wide: int = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, where


async def made(node: RenderServerProxy) -> tuple[Job, Job]:
    """A job of each kind: one with failed frames, one that runs for as long as anybody looks."""
    known = {job.name: job for job in (await node.get_jobs()).jobs}
    if "Endless" not in known:
        failed = await submit(node, "With trouble", "1-12", fail_frames="3,7-8", width=160, height=90)
        await ended(node, failed.id)
        late = AddJob(renderer="testpattern", name="Tonight", frames="1-9", scheduled_start="2035-01-01T00:00:00Z")
        await node.create_job(late)
        await submit(node, "Endless", "1-500", seconds_per_frame=30)
        known = {job.name: job for job in (await node.get_jobs()).jobs}
    return known["With trouble"], known["Endless"]


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "dark"), (WIDE, "light"), (PHONE, "dark")])
async def test_every_screen(
    browser: Browser, service: Service, node: RenderServerProxy, axe: str, size: tuple[int, int], scheme: str
) -> None:
    troubled, endless = await made(node)
    async with visitor(browser, service, size, scheme) as page:
        await go(page, "/jobs")
        await expect(page.get_by_role("row", name="Endless")).to_contain_text("Rendering")
        await check(page, axe, "jobs")
        await page.get_by_role("row", name="With trouble").get_by_role("checkbox").check()
        await expect(page.get_by_role("toolbar")).to_be_visible()
        await check(page, axe, "jobs, some selected")
        await page.get_by_role("toolbar").get_by_role("button", name="Delete").click()
        await expect(page.get_by_role("alertdialog")).to_be_visible()
        await check(page, axe, "a question")
        await page.keyboard.press("Escape")
        for tab in ("frames", "log", "files", "times", "details"):
            await go(page, f"/jobs/{troubled.id}/{tab}")
            await expect(page.get_by_role("tabpanel")).to_be_visible()
            await expect(page.get_by_text("The engine said that it cannot render it.")).to_be_visible()
            await check(page, axe, f"a job's {tab}")
        await go(page, f"/jobs/{endless.id}")
        await expect(page.locator("[data-state='running']").first).to_be_visible()
        await check(page, axe, "a running job")
        await go(page, f"/jobs/{troubled.id}/frames")
        await page.locator("[data-frame='2']").click()
        await expect(page.get_by_role("dialog").locator("img")).to_have_js_property("complete", True)
        await page.keyboard.press("c")
        await check(page, axe, "the viewer")
        await page.keyboard.press("Escape")
        await go(page, "/submit")
        await expect(page.get_by_role("button", name="Choose a folder")).to_be_visible()
        await check(page, axe, "submit")
        await page.locator("input[type=file]").first.set_input_files(ROOT / "demo" / "lanterns.mp4")
        await expect(page.get_by_role("region", name="In this project")).to_contain_text("96 frames")
        await expect(page.get_by_label("Preset", exact=True)).to_be_visible()
        await check(page, axe, "submit, with a project")
        await go(page, "/nodes")
        await expect(page.get_by_role("article").first).to_contain_text("Endless")
        await check(page, axe, "nodes")
        await page.get_by_role("button", name="Add a machine").click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        await check(page, axe, "adding a machine")
        await page.keyboard.press("Escape")
        await go(page, "/engines")
        await expect(page.get_by_role("article", name="FFmpeg")).to_be_visible()
        await check(page, axe, "engines")
        await go(page, "/start")
        await expect(page.get_by_text("Found:")).to_be_visible()
        await check(page, axe, "first steps")
        await page.get_by_role("button", name="Settings").click()
        await expect(page.get_by_role("menu")).to_be_visible()
        await check(page, axe, "settings")


async def test_the_login(browser: Browser, service: Service, axe: str) -> None:
    async with visitor(browser, service, PHONE, "light", let_in=False) as page:
        await page.goto(f"http://127.0.0.1:{service.port}/")
        await expect(page.get_by_label("Token")).to_be_visible()
        await check(page, axe, "login")


async def test_from_the_list_to_a_frame_by_keyboard_alone(page: Page, node: RenderServerProxy) -> None:
    troubled, _ = await made(node)
    await go(page, "/jobs?sort=name")
    row = page.get_by_role("row", name="With trouble")
    await expect(row).to_be_visible()
    await page.get_by_role("searchbox", name="Search jobs").focus()
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.closest('.scroller') !== null"):
            break
    await page.keyboard.press("End")
    await expect(row).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("tab", name="Frames")).to_be_visible()
    await expect(page.locator("[data-frame='1']")).to_be_visible()
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.dataset.frame === '1'"):
            break
    await expect(page.locator("[data-frame='1']")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.url.endswith(troubled.id) or troubled.id in page.url
