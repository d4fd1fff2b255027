"""PyPI's Blender and FFmpeg for real: fetched by the service, rendered with, looked at, deleted.

This is the one place where tests load something from outside: through pip, from the index that it is configured for.
A series is 400 MB; they are fetched into one service, one after the other, and the same scene goes through all of them.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from client import RenderServerProxy
from client.models import AddJob, InstallState, Job, JobStatus
from tests.support.running_service import Service, running_service

FIXTURES = Path(__file__).parents[1] / "fixtures"
SERIES = ("4.2", "4.5", "5.0")
ALIKE_DB = 24.0
"""PSNR between two versions' pictures of the same scene: they sample differently, and show the same thing."""
_MOST_SECONDS = 900.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.blender,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="these series of bpy are built for Python 3.11"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the module: what it has fetched stays for the tests that follow."""
    with running_service(
        tmp_path_factory.mktemp("real-versions") / "data", ZORDON_ENGINE_SOURCES='["pypi"]'
    ) as running:
        yield running


async def rendered(node: RenderServerProxy, project: str, version: str | None) -> Job:
    """A job of one frame, at its end."""
    wanted = AddJob(renderer="blender", frames="1", engine_version=version, output_format="PNG")
    [job] = await node.create_job(wanted, FIXTURES / project)
    async with asyncio.timeout(_MOST_SECONDS):
        token = ""
        while not job.status.ended:
            delta = await node.long_poll_delta(token)
            if delta is not None:
                token = delta.token
                job = next((one for one in delta.jobs if one.id == job.id), job)
    return job


async def picture(node: RenderServerProxy, job: Job, folder: Path) -> np.ndarray:
    """Its one picture, as float RGB in 0…255."""
    [name] = await node.get_job_files(job.id)
    path = await node.download_job_file(job.id, name, folder)
    with Image.open(BytesIO(path.read_bytes())) as image:
        return np.asarray(image.convert("RGB"), dtype=np.float64)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio, in dB (ITU-T J.340)."""
    return 10 * math.log10(255.0**2 / max(float(np.mean((one - other) ** 2)), 1e-9))


@pytest.mark.parametrize("series", SERIES)
async def test_a_series_is_fetched_and_renders_what_the_others_render(
    service: Service, series: str, tmp_path: Path
) -> None:
    done = service.zordon("engines", "install", "blender", series)
    assert done.code == 0, done.err
    assert "is installed" in done.out
    async with service.proxy() as node:
        versions = {copy.version: copy for copy in (await node.get_engine("blender")).versions}
        [exact] = [version for version in versions if version.startswith(series + ".")]
        assert versions[exact].type == "managed"
        assert Path(versions[exact].path).is_relative_to(service.data_dir)
        job = await rendered(node, "cycles.blend", series)
        assert (job.status, job.engine_version) == (JobStatus.COMPLETED, exact), job.errors
        seen = await picture(node, job, tmp_path)
        assert seen.std() > 5, "the picture is one flat colour"
        if shutil.which("blender") is None:
            pytest.skip("there is no Blender of the system to compare with; the picture itself is right")
        [system] = [copy.version for copy in versions.values() if copy.type == "system"]
        other = await rendered(node, "cycles.blend", system)
        assert other.status is JobStatus.COMPLETED, other.errors
        assert psnr(seen, await picture(node, other, tmp_path / "other")) > ALIKE_DB


async def test_a_project_gets_the_series_that_saved_it(service: Service) -> None:
    async with service.proxy() as node:
        job = await rendered(node, "saved_by_4_5.blend", None)
        assert job.status is JobStatus.COMPLETED, job.errors
        assert job.engine_version.startswith("4.5.")
        assert "4.5" in job.engine_version_reason


async def test_a_version_that_is_deleted_is_gone_and_comes_back_for_a_job_that_needs_it(service: Service) -> None:
    async with service.proxy() as node:
        exact = next(
            copy.version for copy in (await node.get_engine("blender")).versions if copy.version.startswith("5.0.")
        )
        place = service.data_dir / "engines" / "blender" / exact
        assert place.is_dir()
        assert await node.delete_engine_download("blender", exact) == "success"
        assert not place.exists()
        assert exact not in [copy.version for copy in (await node.get_engine("blender")).versions]
        job = await rendered(node, "saved_by_5_0.blend", None)
        assert job.status is JobStatus.COMPLETED, job.errors
        assert job.engine_version == exact
        assert place.is_dir()
        [install] = [one for one in await node.get_installs() if one.version == exact][-1:]
        assert install.state is InstallState.INSTALLED


async def test_the_ffmpeg_of_pypi_is_fetched_and_encodes(service: Service) -> None:
    async with service.proxy() as node:
        offered = await node.get_available_engines("ffmpeg")
        assert offered.releases, offered.troubles
        have = {copy.version for copy in (await node.get_engine("ffmpeg")).versions}
        other = next((one.version for one in offered.releases if one.version not in have), None)
        assert other is not None, "every version that is offered is here already"
    done = service.zordon("engines", "install", "ffmpeg", other)
    assert done.code == 0, done.err
    async with service.proxy() as node:
        wanted = AddJob(renderer="ffmpeg", engine_version=other, output_format="mp4", args={"preset": "h264_web"})
        clip = Path(__file__).parents[2] / "demo" / "lanterns.mp4"
        [job] = await node.create_job(wanted, clip)
        token = ""
        while not job.status.ended:
            delta = await node.long_poll_delta(token)
            if delta is not None:
                token = delta.token
                job = next((one for one in delta.jobs if one.id == job.id), job)
        assert (job.status, job.engine_version) == (JobStatus.COMPLETED, other), job.errors
        await node.delete_engine_download("ffmpeg", other)
        assert other not in {copy.version for copy in (await node.get_engine("ffmpeg")).versions}
