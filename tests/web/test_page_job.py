"""One job: its frames as they come, looked at and compared, its log, files, times and what can be done with it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from client import RenderServerProxy
from client.models import AddJob, JobStatus
from tests.web.conftest import ROOT, ended, go, held, submit, told

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

FIXTURES = ROOT / "tests" / "fixtures"


def cell(page: Page, frame: int) -> Locator:
    """One frame in the grid."""
    return page.locator(f"[data-frame='{frame}']")


async def shown(picture: Locator) -> tuple[int, int]:
    """The size in pixels of a picture that has come."""
    await expect(picture).to_have_js_property("complete", True)
    size: list[int] = await picture.evaluate(
        "async it => { await it.decode(); return [it.naturalWidth, it.naturalHeight] }"
    )
    return size[0], size[1]


async def test_frames_are_seen_as_they_come(page: Page, node: RenderServerProxy) -> None:
    async with held(node):
        job = await submit(node, "Grid", "1-8", seconds_per_frame=1, fail_frames="3", width=128, height=72)
        await go(page, f"/jobs/{job.id}")
        await expect(cell(page, 8)).to_have_attribute("data-state", "waiting")
    await expect(page.locator("[data-state='running']").first).to_be_visible()
    await expect(cell(page, 8)).to_have_attribute("data-state", "done")
    await expect(cell(page, 3)).to_have_attribute("data-state", "failed")
    await expect(page.get_by_text("The engine said that it cannot render it.")).to_be_visible()

    # Over a frame there is its picture, and who made it.
    await cell(page, 5).hover()
    tip = page.locator(".tip")
    await expect(tip).to_contain_text("done")
    assert await shown(tip.locator("img")) == (128, 72)

    # Keys lead through the grid, and Enter opens.
    await cell(page, 1).focus()
    await page.keyboard.press("ArrowRight")
    await expect(cell(page, 2)).to_be_focused()
    await page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog")
    await expect(viewer.get_by_role("heading", name="Frame 2")).to_be_visible()
    assert await shown(viewer.locator("img").first) == (128, 72)
    await page.keyboard.press("ArrowRight")
    await expect(viewer.get_by_role("heading", name="Frame 4")).to_be_visible()  # 3 is not there
    await page.keyboard.press("1")
    await expect(viewer.get_by_text("100 %")).to_be_visible()
    await page.keyboard.press("+")
    await expect(viewer.get_by_text("125 %")).to_be_visible()
    await page.keyboard.press("0")
    await page.keyboard.press("c")
    await expect(viewer.get_by_text("Compared with frame 2")).to_be_visible()
    assert await shown(viewer.locator("img.second")) == (128, 72)
    await viewer.get_by_label("Divider between the two frames").fill("20")
    await expect(viewer.locator("img.second")).to_have_css("clip-path", "inset(0px 0px 0px 20%)")
    await page.keyboard.press("Escape")
    await expect(viewer).to_have_count(0)
    await cell(page, 6).click()
    await page.keyboard.press("Escape")
    await cell(page, 8).click(modifiers=["Shift"])
    await expect(viewer.get_by_text("Compared with frame 8")).to_be_visible()
    await page.keyboard.press("Escape")

    # What would help is a click away, and names no command of a terminal.
    advice = page.get_by_role("list", name="What would help")
    await expect(advice).to_contain_text("When that is mended: a retry renders the frames that are missing")
    await expect(advice).not_to_contain_text("zordon")
    await expect(advice.get_by_role("link", name="Submit again")).to_have_attribute("href", "#/submit")
    await advice.get_by_role("button", name="Retry").click()
    await expect(told(page, "1 job checked for missing frames")).to_be_visible()
    again = await ended(node, job.id)
    assert (again.frames_done, again.failed_frames) == (7, "3")
    await node.delete_job(job.id)
    await expect(page.get_by_role("heading", name="There is no such job")).to_be_visible()


@pytest.mark.blender
async def test_a_real_render_is_shown_right_and_played(page: Page, node: RenderServerProxy) -> None:
    [job] = await node.create_job(
        AddJob(name="Tiny", frames="1-3", output_format="OPEN_EXR"), FIXTURES / "workbench.blend"
    )
    await go(page, f"/jobs/{job.id}")
    await expect(cell(page, 3)).to_have_attribute("data-state", "done")
    assert (await ended(node, job.id)).status is JobStatus.COMPLETED
    await page.get_by_label("Pictures").check()
    picture = cell(page, 2).locator("img")
    assert await shown(picture) == (64, 48)
    # What the browser has is what the service says an EXR looks like, and no black or white nothing.
    light: list[int] = await picture.evaluate(
        """it => { const canvas = new OffscreenCanvas(it.naturalWidth, it.naturalHeight).getContext('2d');
        canvas.drawImage(it, 0, 0);
        const data = canvas.getImageData(0, 0, it.naturalWidth, it.naturalHeight).data;
        const green = data.filter((_, at) => at % 4 === 1);
        return [Math.min(...green), Math.max(...green)] }"""
    )
    assert light[1] - light[0] > 20
    await cell(page, 1).click()
    viewer = page.get_by_role("dialog")
    await expect(viewer.get_by_role("heading", name="Frame 1")).to_be_visible()
    await viewer.get_by_role("button", name="Actual size").click()
    for _ in range(4):
        await viewer.get_by_role("button", name="Zoom in").click()
    await expect(viewer.get_by_text("244 %")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(viewer).to_have_count(0)

    await go(page, f"/jobs/{job.id}/log")
    await expect(page.get_by_role("log")).to_contain_text("the job ended as completed")
    command = page.locator(".command code")
    await expect(command).to_contain_text("--factory-startup")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == await command.inner_text()
    await page.get_by_role("searchbox", name="Search the log").fill("blender quit")
    await expect(page.locator("mark")).to_have_text("Blender quit")
    await expect(page.get_by_text("1 of 1")).to_be_visible()

    await page.get_by_role("tab", name="Times").click()
    await expect(page.get_by_role("img", name="Seconds of each frame, by node")).to_be_visible()
    await expect(page.get_by_role("row").nth(1)).to_contain_text("3")

    await page.get_by_role("tab", name="Files").click()
    await expect(page.get_by_text("3 files")).to_be_visible()
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Download Tiny_0002.exr").click()
    file = Path(await (await downloading.value).path())
    assert file.read_bytes()[:4] == b"\x76\x2f\x31\x01"
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="All as a zip").click()
    whole = Path(await (await downloading.value).path())
    assert zipfile.ZipFile(io.BytesIO(whole.read_bytes())).testzip() is None
    await node.delete_job(job.id)


async def test_the_preview_video_is_played(page: Page, node: RenderServerProxy) -> None:
    job = await submit(node, "Moving", "1-30", width=320, height=180)
    await go(page, f"/jobs/{job.id}")
    await expect(cell(page, 30)).to_have_attribute("data-state", "done")
    await cell(page, 1).click()
    viewer = page.get_by_role("dialog")
    await expect(viewer.get_by_role("heading", name="Frame 1")).to_be_visible()
    await page.keyboard.press("Space")
    # It may still be made; it comes by itself.
    video = viewer.locator("video")
    await expect(video).to_be_visible()
    played: dict[str, float] = await video.evaluate(
        """it => new Promise((resolve, reject) => {
        const times = new Set();
        it.addEventListener('error', () => reject(new Error(it.error?.message ?? 'no video')));
        it.addEventListener('timeupdate', () => {
          times.add(it.currentTime);
          if (times.size < 3) return;
          const {totalVideoFrames} = it.getVideoPlaybackQuality();
          resolve({width: it.videoWidth, height: it.videoHeight, seconds: it.duration, frames: totalVideoFrames});
        });
        })"""
    )
    assert (played["width"], played["height"]) == (320, 180)
    assert 0.5 < played["seconds"] < 5  # thirty frames
    assert played["frames"] > 0
    await viewer.get_by_role("button", name="Back to the frames").click()
    await expect(video).to_have_count(0)
    await expect(viewer.get_by_role("heading", name="Frame 1")).to_be_visible()
    await page.keyboard.press("Escape")
    await node.delete_job(job.id)


async def test_there_is_no_preview_video_before_a_job_is_done(page: Page, node: RenderServerProxy) -> None:
    job = await submit(node, "Slowly", "1-30", seconds_per_frame=0.5)
    await go(page, f"/jobs/{job.id}")
    await expect(cell(page, 1)).to_have_attribute("data-state", "done")
    await cell(page, 1).click()
    viewer = page.get_by_role("dialog")
    await viewer.get_by_role("button", name="Play the preview").click()
    await expect(viewer.get_by_role("status")).to_have_text("The preview video is made when the job is done")
    await node.cancel_job(job.id)
    await page.keyboard.press("Escape")
    await ended(node, job.id)
    await node.delete_job(job.id)


async def test_the_log_follows_and_has_levels(page: Page, node: RenderServerProxy) -> None:
    job = await submit(node, "Noisy", "1-10", seconds_per_frame=0.3, noise_bytes=20_000, fail_frames="2")
    await go(page, f"/jobs/{job.id}/log")
    log = page.get_by_role("log")
    await expect(log).to_contain_text("the job ended as error")
    await expect(log.locator(".error").last).to_be_visible()
    await page.get_by_label("Show").select_option("error")
    await expect(log.locator(".line:not(.error)")).to_have_count(0)
    await expect(log.locator(".line.error").first).to_be_visible()
    await node.delete_job(job.id)


async def test_a_job_is_changed_and_cancelled(page: Page, node: RenderServerProxy) -> None:
    job = await submit(node, "Old name", "1-50", seconds_per_frame=1)
    await go(page, f"/jobs/{job.id}/details")
    await page.get_by_label("Name", exact=True).fill("New name")
    await page.get_by_label("Priority").fill("80")
    await page.get_by_label("Notes").fill("for the dailies")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name="New name")).to_be_visible()
    changed = await node.get_job(job.id)
    assert (changed.priority, changed.notes) == (80, "for the dailies")
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Cancel").click()
    await expect(page.locator("header").get_by_text("Cancelled")).to_be_visible()
    assert (await node.get_job(job.id)).status is JobStatus.CANCELLED
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    assert (await node.get_jobs()).jobs == []
