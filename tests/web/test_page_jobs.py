"""The job list: live, sorted, searched, selected with mouse and keyboard, and honest when the connection is lost."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect

from app.cli.own_service import own_service
from client import RenderServerProxy
from client.models import AddJob, JobStatus
from tests.support.running_service import Service
from tests.web.conftest import PHONE, ended, exactly, go, held, submit, told, visitor

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def shows(page: Page, *names: str) -> None:
    """Wait until these jobs are shown and no others, from the top."""
    await expect(page.get_by_role("row").locator(".title")).to_have_text([exactly(name) for name in names])


async def test_a_job_is_followed_from_its_submit_to_its_end(page: Page, node: RenderServerProxy) -> None:
    await go(page, "/jobs")
    row = page.get_by_role("row", name="Followed")
    async with held(node):
        job = await submit(node, "Followed", "1-6", seconds_per_frame=1)
        await expect(row).to_be_visible()
    await expect(row).to_contain_text("Rendering")
    await expect(row).to_contain_text("6 / 6")
    await expect(row).to_contain_text("Done")
    await expect(row).to_contain_text("all 6 frames are verified")
    await expect(row.locator("img")).to_have_js_property("complete", True)
    assert (await node.get_job(job.id)).status is JobStatus.COMPLETED
    await node.delete_job(job.id)
    await expect(row).to_have_count(0)


async def test_filter_search_and_sort_are_in_the_address(page: Page, node: RenderServerProxy) -> None:
    first = await submit(node, "Alpha", "1-2")
    second = await submit(node, "Beta", "1-3", fail_frames="2")
    [third] = await node.create_job(
        AddJob(renderer="testpattern", name="Gamma", frames="1-2", priority=90, scheduled_start="2035-01-01T00:00:00Z")
    )
    for job in (first, second):
        await ended(node, job.id)
    await go(page, "/jobs")
    await expect(page.get_by_role("row", name="Beta")).to_contain_text("Failed")
    await shows(page, "Gamma", "Beta", "Alpha")
    await page.get_by_role("columnheader", name="Name").get_by_role("button").click()
    await expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")
    await shows(page, "Alpha", "Beta", "Gamma")
    await page.get_by_role("button", name="Failed").click()
    await expect(page.get_by_role("row", name="Alpha")).to_have_count(0)
    await shows(page, "Beta")
    assert "show=error" in page.url
    await page.reload()
    await expect(page.get_by_role("row", name="Beta")).to_be_visible()
    await shows(page, "Beta")
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox", name="Search jobs")).to_be_focused()
    await page.keyboard.type("nothing like it")
    await page.get_by_role("button", name="Show all jobs").click()
    await expect(page.get_by_role("row", name="Gamma")).to_contain_text("waits for its scheduled start")
    for job in (first, second, third):
        await node.delete_job(job.id)


async def test_many_are_selected_by_keyboard_and_changed_together(page: Page, node: RenderServerProxy) -> None:
    late = "2035-01-01T00:00:00Z"
    made = [
        (await node.create_job(AddJob(renderer="testpattern", name=f"Shot {at}", frames="1-3", scheduled_start=late)))[
            0
        ]
        for at in range(5)
    ]
    await go(page, "/jobs?sort=name")
    await expect(page.get_by_role("row", name="Shot 4")).to_be_visible()
    await page.get_by_role("row", name="Shot 1").focus()
    await page.keyboard.press("Shift+ArrowDown")
    await expect(page.get_by_role("row", name="Shot 2")).to_be_focused()
    await page.keyboard.press("Shift+ArrowDown")
    await expect(page.get_by_role("row", name="Shot 3")).to_be_focused()
    bar = page.get_by_role("toolbar")
    await expect(bar).to_contain_text("3 selected")
    await page.keyboard.press("Space")
    await expect(bar).to_contain_text("2 selected")
    # Shift and the mouse, from the one that was changed last.
    await page.get_by_role("row", name="Shot 4").get_by_role("checkbox").click(modifiers=["Shift"])
    await expect(bar).to_contain_text("4 selected")

    await bar.get_by_label("Priority").fill("77")
    await bar.get_by_role("button", name="Set").click()
    await expect(told(page, "Priority of 4 jobs changed")).to_be_visible()
    changed = {job.name: job.priority for job in (await node.get_jobs()).jobs}
    assert changed == {"Shot 0": 50, "Shot 1": 77, "Shot 2": 77, "Shot 3": 77, "Shot 4": 77}

    await bar.get_by_role("button", name="Cancel").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Cancel").click()
    await expect(page.get_by_role("row", name="Shot 3")).to_contain_text("Cancelled")
    await bar.get_by_role("button", name="Retry missing").click()
    await expect(told(page, "4 jobs checked for missing frames")).to_be_visible()
    for job in made[1:]:
        assert (await node.get_job(job.id)).status is not JobStatus.CANCELLED

    await bar.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("alertdialog")
    await expect(dialog).to_contain_text("Delete 4 jobs")
    await dialog.get_by_role("button", name="Keep").click()
    await expect(page.get_by_role("row", name="Shot 2")).to_be_visible()
    await bar.get_by_role("button", name="Delete").click()
    await dialog.get_by_role("button", name="Delete").click()
    await expect(told(page, "4 jobs deleted")).to_be_visible()
    assert [job.name for job in (await node.get_jobs()).jobs] == ["Shot 0"]
    await page.get_by_role("row", name="Shot 0").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Shot 0")).to_be_visible()
    await node.delete_job(made[0].id)


async def test_on_a_phone_one_sorts_without_heads(browser: Browser, service: Service, node: RenderServerProxy) -> None:
    made = [await submit(node, name, "1-2") for name in ("Able", "Baker")]
    for job in made:
        await ended(node, job.id)
    async with visitor(browser, service, PHONE) as page:
        await go(page, "/jobs")
        await shows(page, "Baker", "Able")
        await expect(page.get_by_role("columnheader")).to_have_count(0)  # hidden, also from screen readers
        await page.get_by_label("Sort by").select_option(label="Name")
        await shows(page, "Able", "Baker")
    for job in made:
        await node.delete_job(job.id)


async def test_it_is_live_where_a_proxy_keeps_the_stream_back(
    browser: Browser, service: Service, node: RenderServerProxy
) -> None:
    async with visitor(browser, service, let_in=False) as page:
        await page.clock.install()

        async def keep_back(route: Route) -> None:
            """As a proxy does that waits for the end of what it passes on."""

        await page.route("**/api/events*", keep_back)
        token = service.token
        await page.goto(f"http://127.0.0.1:{service.port}/")
        await page.get_by_label("Token").fill(token)
        async with page.expect_request("**/api/events*"):
            await page.get_by_role("button", name="Log in").click()
        async with page.expect_request("**/api/jobs/long_poll*"):
            await page.clock.fast_forward(10_000)
        job = await submit(node, "Polled", "1-2")
        await go(page, "/jobs")
        await page.clock.run_for(1000)
        row = page.get_by_role("row", name="Polled")
        await expect(row).to_be_visible()
        await page.unroute_all(behavior="ignoreErrors")
    await ended(node, job.id)
    await node.delete_job(job.id)


async def test_it_says_since_when_it_is_not_live(browser: Browser, tmp_path: Path, built_page: None) -> None:
    data = tmp_path / "data"
    settings = {"ZORDON_ENGINE_SOURCES": "[]"}
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(own_service(data, settings))
        port = first.connection.port
        own = Service(port, (data / "token").read_text().strip(), data)
        await ended(first, (await submit(first, "Before", "1-2")).id)
        async with visitor(browser, own) as page:
            await go(page, "/jobs")
            await expect(page.get_by_role("row", name="Before")).to_contain_text("Done")
            stale = page.get_by_text("Not live since")
            await stack.aclose()
            await expect(stale).to_be_visible()
            await expect(page.get_by_role("row", name="Before")).to_contain_text("Done")
            # The same node once more; meanwhile it has done something.
            async with own_service(data, settings, port) as second:
                await ended(second, (await submit(second, "After", "1-2")).id)
                await expect(page.get_by_role("row", name="After")).to_contain_text("Done")
                await expect(stale).to_have_count(0)
                await page.context.set_offline(True)
                await expect(stale).to_be_visible()
                await page.context.set_offline(False)
                await expect(stale).to_have_count(0)
