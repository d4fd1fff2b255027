"""Submitting: what is in a project is said before a job is made, options are the engine's own, uploads go on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from client import RenderServerProxy
from client.models import JobStatus
from tests.web.conftest import ROOT, ended, go

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

FIXTURES = ROOT / "tests" / "fixtures"


async def choose(page: Page, path: Path) -> None:
    """Choose a file on the submit screen."""
    await go(page, "/submit")
    await page.locator("input[type=file]").first.set_input_files(path)


@pytest.mark.blender
async def test_a_blend_with_a_missing_texture(page: Page, node: RenderServerProxy) -> None:
    await choose(page, FIXTURES / "missing_texture.blend")
    project = page.get_by_role("region", name="In this project")
    await expect(project).to_contain_text("1-3 (3 frames)")
    await expect(project).to_contain_text("64 × 48")
    await expect(project.get_by_role("alert")).to_contain_text("//textures/bricks.png")
    frames = page.get_by_label("Frames", exact=True)
    await frames.fill("1-x")
    await expect(page.locator("#frames-told")).to_contain_text("1-x")
    await expect(frames).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_role("button", name="Submit", exact=True)).to_be_disabled()
    await frames.fill("1-3x2")
    await expect(page.locator("#frames-told")).to_contain_text("2 frames")
    await page.get_by_label("Resolution, percent").fill("0")
    await expect(page.get_by_text("Between 1 and 1000.")).to_be_visible()
    await page.get_by_label("Resolution, percent").fill("50")
    await page.get_by_label("Output format").select_option("JPEG")
    await page.get_by_label("Name", exact=True).fill("From the page")
    await page.get_by_role("button", name="Submit", exact=True).click()
    await expect(page.get_by_role("heading", name="From the page", level=1)).to_be_visible()
    [job] = [job for job in (await node.get_jobs()).jobs if job.name == "From the page"]
    assert (job.frames, job.output_format, job.args["resolution_percentage"]) == ("1,3", "JPEG", 50)
    done = await ended(node, job.id)
    assert (done.status, done.width, done.height) == (JobStatus.COMPLETED, 32, 24)


async def test_what_cannot_render_is_said_at_once(page: Page, tmp_path: Path) -> None:
    broken = tmp_path / "broken.blend"
    broken.write_bytes(b"no project at all")
    await choose(page, broken)
    await expect(page.get_by_role("region", name="In this project").locator(".bad, .wrong").first).to_be_visible()
    await expect(page.get_by_role("button", name="Submit", exact=True)).to_be_disabled()


async def test_a_video_with_a_preset(page: Page, node: RenderServerProxy) -> None:
    await choose(page, ROOT / "demo" / "lanterns.mp4")
    await expect(page.get_by_role("region", name="In this project")).to_contain_text("96 frames")
    await page.get_by_label("Preset", exact=True).select_option("h265_web")
    await expect(page.get_by_text("About a third smaller than H.264")).to_be_visible()
    await page.get_by_label("Keep these options as a preset called").fill("Dailies")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("button", name="Submit", exact=True).click()
    await expect(page.get_by_role("heading", name="lanterns", level=1)).to_be_visible()
    [job] = [job for job in (await node.get_jobs()).jobs if job.engine == "ffmpeg"]
    assert job.args["preset"] == "h265_web"
    assert (await ended(node, job.id)).status is JobStatus.COMPLETED
    # The one kept is offered for the next video.
    await choose(page, ROOT / "demo" / "lanterns.mp4")
    await page.get_by_label("Your presets").select_option(label="Dailies")
    await expect(page.get_by_label("Preset", exact=True)).to_have_value("h265_web")


async def drop(page: Page, path: Path) -> None:
    """Let a file or folder go over the page, as the desktop's file manager does."""
    zone = await page.locator(".zone").bounding_box()
    assert zone is not None
    session = await page.context.new_cdp_session(page)
    at = {"x": zone["x"] + zone["width"] / 2, "y": zone["y"] + 20}
    carried = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver"):
        await session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": carried})
    await expect(page.get_by_text("Let go to look into it")).to_be_visible()
    await session.send("Input.dispatchDragEvent", {"type": "drop", **at, "data": carried})
    await session.detach()


async def test_a_file_is_dropped(page: Page, node: RenderServerProxy) -> None:
    await go(page, "/submit")
    await drop(page, ROOT / "demo" / "lanterns.mp4")
    project = page.get_by_role("region", name="In this project")
    await expect(project).to_contain_text("96 frames")
    await expect(page.get_by_label("Name", exact=True)).to_have_value("lanterns")
    await page.get_by_label("Name", exact=True).fill("Dropped")
    await page.get_by_role("button", name="Submit", exact=True).click()
    await expect(page.get_by_role("heading", name="Dropped", level=1)).to_be_visible()
    [job] = [job for job in (await node.get_jobs()).jobs if job.name == "Dropped"]
    assert (job.project, job.engine) == ("lanterns.mp4", "ffmpeg")
    await node.cancel_job(job.id)
    await ended(node, job.id)
    await node.delete_job(job.id)


@pytest.mark.blender
async def test_a_folder_is_dropped_with_all_that_is_in_it(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "scene"
    (folder / "textures" / "old").mkdir(parents=True)
    shutil.copy(FIXTURES / "missing_texture.blend", folder / "scene.blend")
    shutil.copy(ROOT / "docs" / "images" / "demo.jpg", folder / "textures" / "bricks.png")
    # More than a browser gives of a folder at a time.
    for number in range(120):
        (folder / "textures" / "old" / f"{number}.txt").write_text("not needed, but there")
    await go(page, "/submit")
    await drop(page, folder)
    project = page.get_by_role("region", name="In this project")
    await expect(project).to_contain_text("scene/scene.blend")
    await expect(project.get_by_role("alert")).to_have_count(0)  # the texture came along
    await expect(page.get_by_label("Name", exact=True)).to_have_value("scene")
    await expect(page.get_by_role("button", name="Submit", exact=True)).to_be_enabled()


@pytest.mark.blender
async def test_a_folder_is_packed_in_the_browser(page: Page, node: RenderServerProxy, tmp_path: Path) -> None:
    folder = tmp_path / "shot"
    (folder / "textures").mkdir(parents=True)
    shutil.copy(FIXTURES / "missing_texture.blend", folder / "shot.blend")
    (folder / "shot.blend1").write_bytes(b"what Blender keeps of the last saving")
    shutil.copy(ROOT / "docs" / "images" / "demo.jpg", folder / "textures" / "bricks.png")
    await go(page, "/submit")
    await page.locator("input[webkitdirectory]").set_input_files(folder)
    project = page.get_by_role("region", name="In this project")
    await expect(project).to_contain_text("shot/shot.blend")
    await expect(project.get_by_role("alert")).to_have_count(0)  # the texture came along
    await page.get_by_role("button", name="Submit", exact=True).click()
    await expect(page.get_by_role("tab", name="Frames")).to_be_visible()
    [job] = [job for job in (await node.get_jobs()).jobs if job.name == "shot"]
    assert (await ended(node, job.id)).status is JobStatus.COMPLETED


async def test_an_upload_goes_on_where_it_stopped(page: Page, node: RenderServerProxy, tmp_path: Path) -> None:
    large = tmp_path / "clip.mkv"
    # Behind its end a video may have anything; three pieces of eight megabytes.
    large.write_bytes((ROOT / "demo" / "lanterns.mp4").read_bytes() + bytes(20_000_000))
    offsets: list[str] = []
    lost = True

    async def lose_one(route: Route) -> None:
        nonlocal lost
        if route.request.method == "PATCH":
            offset = route.request.headers["upload-offset"]
            if offset == "8388608" and lost:
                lost = False
                await route.abort("connectionreset")
                return
            offsets.append(offset)
        await route.continue_()

    await page.route("**/api/uploads/*", lose_one)
    await choose(page, large)
    project = page.get_by_role("region", name="In this project")
    await expect(project.get_by_text("Uploaded")).to_be_visible()
    assert offsets == ["0", "8388608", "16777216"]
    await page.unroute_all(behavior="ignoreErrors")
    await expect(project).to_contain_text("96 frames")


async def test_an_engine_without_a_project(page: Page, node: RenderServerProxy) -> None:
    await go(page, "/submit")
    await page.get_by_role("button", name="Try it without a project").click()
    await page.get_by_label("Seconds a frame").fill("0.1")
    await page.get_by_role("button", name="Submit", exact=True).click()
    await expect(page.get_by_role("heading", name="Test pattern", level=1)).to_be_visible()
    [job] = [job for job in (await node.get_jobs()).jobs if job.engine == "testpattern"]
    assert (job.total_frames, job.args["seconds_per_frame"]) == (12, 0.1)
    await ended(node, job.id)
