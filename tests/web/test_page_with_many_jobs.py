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
