"""Ten thousand jobs: only what is in sight is in the page, and everything can be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from playwright.async_api import Page, expect

from bench.filling import fill
from client import RenderServerProxy
from tests.support.running_service import Service, running_service
from tests.web.conftest import ended, go, submit

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

MANY = 10_000


@pytest.fixture(scope="module")
def service(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has rendered ten thousand jobs."""
    data = tmp_path_factory.mktemp("many") / "data"
    fill(data, MANY)
    with running_service(data) as running:
        yield running


async def test_all_can_be_reached_and_few_are_in_the_page(page: Page) -> None:
    await go(page, "/jobs?sort=name")
    grid = page.get_by_role("grid", name="Jobs")
    await expect(grid).to_have_attribute("aria-rowcount", str(MANY + 1))
    first = page.get_by_role("row", name="shot_00000")
    await expect(first).to_be_visible()
    assert await page.get_by_role("row").count() < 80
    await first.focus()
    await page.keyboard.press("End")
    await expect(page.get_by_role("row", name="shot_09999")).to_be_focused()
    assert await page.get_by_role("row").count() < 80
    await page.keyboard.press("Control+a")
    await expect(page.get_by_role("toolbar")).to_contain_text("10,000 selected")
    await page.keyboard.press("Escape")
    await page.get_by_role("searchbox", name="Search jobs").fill("shot_0042")
    await expect(page.get_by_text("10 of 10,000 jobs")).to_be_visible()


async def test_scrolling_shows_every_row_that_it_comes_to(page: Page) -> None:
    await go(page, "/jobs?sort=name")
    await expect(page.get_by_role("row", name="shot_00000")).to_be_visible()
    seen: list[str] = await page.evaluate(
        """async () => {
        const scroller = document.querySelector('.scroller'), seen = [];
        const rest = () => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        for (let at = 0; at < scroller.scrollHeight; at += scroller.scrollHeight / 40) {
          scroller.scrollTop = at;
          await rest();
          const box = scroller.getBoundingClientRect();
          const there = document.elementFromPoint(box.left + 200, box.top + box.height / 2);
          seen.push(there?.closest('[role=row]')?.getAttribute('aria-label') ?? '');
        }
        return seen; }"""
    )
    assert len(seen) == 40
    assert all(name.startswith("shot_") for name in seen), seen
    assert seen == sorted(seen)


async def test_scrolling_makes_nothing_and_touches_what_comes_into_sight(page: Page) -> None:
    """What a step of the scroll bar costs has nothing to do with how many jobs there are."""
    await go(page, "/jobs?sort=name")
    await expect(page.get_by_role("row", name="shot_00000")).to_be_visible()
    made, touched, in_page = await page.evaluate(
        """async () => {
        const scroller = document.querySelector('.scroller'), known = new Set();
        const rest = () => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        const rows = () => scroller.querySelectorAll('[role=row]');
        const to = async top => { scroller.scrollTop = top; await rest(); };
        // In the middle, where as many as ever are in the page.
        await to(20_000);
        await to(30_000);
        rows().forEach(row => known.add(row));
        let made = 0;
        const touched = [], seen = new MutationObserver(all => all.forEach(({target, addedNodes}) => {
          addedNodes.forEach(node => { if (node.matches?.('[role=row]') && !known.has(node)) made++; });
          // Another job in the same element; pictures come when they come.
          if (target.dataset.id) touched.at(-1).add(target);
        }));
        seen.observe(scroller, {subtree: true, childList: true, attributeFilter: ['data-id']});
        for (const step of [57, 57, -57, 570, -570, 5_700, 57_000, -5_700]) {
          touched.push(new Set());
          await to(scroller.scrollTop + step);
        }
        seen.disconnect();
        return [made, touched.map(rows => rows.size), rows().length]; }"""
    )
    assert made == 0
    # One row comes in with one step of a row, ten with ten of them, all with more than is in sight.
    assert all(count <= 2 for count in touched[:3]), touched
    assert all(count <= 12 for count in touched[3:5]), touched
    assert all(in_page // 2 < count <= in_page for count in touched[5:]), touched


async def test_the_row_of_the_keyboard_stays_wherever_one_scrolls(page: Page) -> None:
    await go(page, "/jobs?sort=name")
    first = page.get_by_role("row", name="shot_00000")
    await first.focus()
    await page.keyboard.press("ArrowDown")
    row = page.get_by_role("row", name="shot_00001")
    await expect(row).to_be_focused()
    for top in (100, 300, 900, 5_000, 200_000, 400, 40):
        await page.locator(".scroller").evaluate("(it, top) => { it.scrollTop = top }", top)
        await expect(page.locator(f"[role=row][aria-rowindex='{top // 57 + 6}']")).to_be_visible()
        await expect(row).to_be_focused()
    await page.locator(".scroller").evaluate("it => { it.scrollTop = 300_000 }")
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("row", name="shot_00002")).to_be_focused()
    await expect(page.get_by_role("row", name="shot_00002")).to_be_in_viewport()


async def test_a_new_one_appears_among_them(page: Page, node: RenderServerProxy) -> None:
    await go(page, "/jobs")
    await expect(page.get_by_role("grid", name="Jobs")).to_have_attribute("aria-rowcount", str(MANY + 1))
    job = await submit(node, "The new one", "1-3")
    row = page.get_by_role("row", name="The new one")
    await expect(row).to_contain_text("Done")
    async with asyncio.timeout(60):
        await ended(node, job.id)
    await node.delete_job(job.id)
    await expect(row).to_have_count(0)
