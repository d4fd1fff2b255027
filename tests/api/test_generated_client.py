"""Strangers use the API through generated clients: one is generated here from our OpenAPI document, and it drives a job
from submit to download against a real service."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from app.api import build_api
from app.settings import load_settings
from tests.support.running_service import Service, running_service

pytestmark = pytest.mark.slow

# The generator knows one binary type; these are its own words for "the others are binary too".
CONFIG = """
content_type_overrides:
  application/zip: application/octet-stream
  image/jpeg: application/octet-stream
  video/mp4: application/octet-stream
post_hooks: []
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of the package with the client."""
    folder = tmp_path_factory.mktemp("generated")
    document, config = folder / "openapi.json", folder / "config.yaml"
    document.write_text(json.dumps(build_api(load_settings()).openapi()))
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(document)]
    command += ["--config", str(config), "--output-path", str(folder / "their_client"), "--meta", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout, done.stdout
    sys.path.insert(0, str(folder))
    yield "their_client"
    sys.path.remove(str(folder))


def part(package: str, name: str) -> ModuleType:
    return importlib.import_module(f"{package}.{name}")


async def test_a_generated_client_drives_a_job_from_submit_to_download(service: Service, generated: str) -> None:
    models = part(generated, "models")
    client = part(generated, "client").AuthenticatedClient(
        base_url=f"http://127.0.0.1:{service.port}", token=service.token, raise_on_unexpected_status=True
    )
    async with client:
        wanted = models.AddJob(renderer="testpattern", frames="1-3", name="generated")
        created = await part(generated, "api.lifecycle.add_job").asyncio(client=client, body=wanted)
        assert [type(job) for job in created] == [models.Job]
        job = created[0]
        listed = await part(generated, "api.jobs.get_jobs").asyncio(client=client)
        token = listed.token
        while job.status not in ("completed", "error", "cancelled"):
            answer = await part(generated, "api.jobs.long_poll_jobs").asyncio(client=client, token=token)
            token = answer.token if answer is not None else token
            job = await part(generated, "api.jobs.get_job").asyncio(job.id, client=client)
        assert job.status == "completed"
        names = await part(generated, "api.outputs.get_job_files").asyncio(job.id, client=client)
        assert names == ["generated_0001.png", "generated_0002.png", "generated_0003.png"]
        file = await part(generated, "api.outputs.download_job_file").asyncio(job.id, client=client, filename=names[0])
        with Image.open(file.payload) as picture:
            assert picture.size == (320, 180)
        whole = await part(generated, "api.outputs.download_all_job_files").asyncio(job.id, client=client)
        with zipfile.ZipFile(BytesIO(whole.payload.read())) as archive:
            assert archive.testzip() is None
            assert len(archive.namelist()) == 3
        shown = await part(generated, "api.outputs.get_job_thumbnail").asyncio(job.id, client=client)
        with Image.open(shown.payload) as picture:
            assert picture.format == "JPEG"


async def test_a_generated_client_uploads_a_project(service: Service, generated: str, tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "demo" / "lanterns.mp4"
    content = await asyncio.to_thread(source.read_bytes)
    models, types = part(generated, "models"), part(generated, "types")
    client = part(generated, "client").AuthenticatedClient(
        base_url=f"http://127.0.0.1:{service.port}", token=service.token, raise_on_unexpected_status=True
    )
    async with client:
        body = models.AddJobUpload(
            json=json.dumps({"frames": "1-10", "args": {"preset": "video_to_frames"}}),
            file=types.File(payload=BytesIO(content), file_name="lanterns.mp4", mime_type="video/mp4"),
        )
        created = await part(generated, "api.lifecycle.add_job").asyncio(client=client, body=body)
        assert [(job.engine, job.project, job.total_frames) for job in created] == [("ffmpeg", "lanterns.mp4", 10)]
