"""The add-on in real Blenders, against a real service: installed as a user does, looked over, submitted, rendered."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from blender_asset_tracer import trace
from PIL import Image

from client import JobCache
from client.models import Job, JobStatus, Role
from tests.support.running_service import Service

from .conftest import AddonBlender
from .relay import stalling_relay

pytestmark = [pytest.mark.slow, pytest.mark.blender]
FIXTURES = Path(__file__).parents[1] / "fixtures"


async def ended(service: Service, job_id: str) -> Job:
    async with service.proxy() as node, JobCache(node) as cache:
        await cache.wait_for(lambda jobs: job_id in jobs and jobs[job_id].status.ended)
        return await node.get_job(job_id)


async def pictures_of(service: Service, job: Job, folder: Path) -> list[Path]:
    folder.mkdir()
    async with service.proxy() as node:
        return [await node.download_job_file(job.id, name, folder) for name in await node.get_job_files(job.id)]


def traced(project: Path) -> set[Path]:
    """Every file that blender-asset-tracer finds, as ``bat list`` tells them."""
    return {Path(os.path.normpath(path)) for usage in trace.deps(project) for path in usage.files()}


def is_of(project: Path, blender: AddonBlender) -> bool:
    """Whether that Blender has saved it."""
    return project.read_bytes()[7:12] == (b"-v304" if blender.kind == "program" else b"-v405")


def pixels(picture: Path) -> bytes:
    with Image.open(picture) as opened:
        return opened.convert("RGB").tobytes()


def test_it_installs_finds_its_service_and_goes_again(blender: AddonBlender, service: Service) -> None:
    about, checked, refused, there = blender.drive(
        ("about", {}),
        ("check", {}),
        ("submit", {}),
        ("remove", {}),
        environment={"ZORDON_DATA_DIR": str(service.data_dir)},
    )
    assert about["enabled"]
    assert about["panels"] == ["RENDER_PT_zordon", "RENDER_PT_zordon_overrides", "RENDER_PT_zordon_report"]
    assert checked["result"] == ["FINISHED"]
    assert checked["told"] == f"Connected to http://127.0.0.1:{service.port} as first (admin)"
    assert "never saved" in refused["error"]
    assert there is False


def test_what_is_wrong_with_address_or_token_is_said(blender: AddonBlender, service: Service, nowhere: int) -> None:
    own = f"127.0.0.1:{service.port}"

    async def looking() -> str:
        async with service.proxy() as node:
            return (await node.add_token(f"screen {blender.kind}", Role.READ)).secret

    weak = asyncio.run(looking())
    right, wrong, low, gone, odd, far = (
        answer
        for answer in blender.drive(
            *(
                step
                for address, token in (
                    (own, service.token),
                    (own, "not-the-token-of-this-service"),
                    (own, weak),
                    (f"127.0.0.1:{nowhere}", "x"),
                    ("ftp://render-3", "x"),
                    ("render-3.invalid", "x"),
                )
                for step in (("prefer", {"address": address, "token": token}), ("check", {}))
            )
        )
        if answer is not None
    )
    assert right["result"] == ["FINISHED"]
    assert "does not take this token" in wrong["error"] == f"Error: {wrong['told']}"
    assert "may only look" in low["error"]
    assert f"nothing answers at http://127.0.0.1:{nowhere}: connection refused" in gone["error"]
    assert "is no address" in odd["error"]
    # From 4.2 on a Blender has to be let onto the network.
    assert ("nothing answers" if blender.kind == "program" else "Allow Online Access") in far["error"]


def test_the_report_names_every_fault(blender: AddonBlender, service: Service, tmp_path: Path) -> None:
    here = {"address": f"127.0.0.1:{service.port}", "token": service.token}
    textured, blind = FIXTURES / "missing_texture.blend", FIXTURES / "no_camera.blend"
    answers = blender.drive(
        ("prefer", here),
        ("new", {}),
        ("report", {}),
        ("open", {"file": str(textured)}),
        ("change", {}),
        ("report", {"frames": "1..5", "engine_version": "2.93"}),
        ("submit", {}),
        ("report", {"allow_missing": True, "camera": "Nobody"}),
        ("open", {"file": str(blind)}),
        ("report", {}),
        ("submit", {}),
        ("open", {"file": str(FIXTURES / "studio.blend")}),
        ("report", {}),
        ("run", {"code": "bpy.context.scene.frame_start = 9"}),
        ("report", {"scene": "Main"}),
        ("report", {"scene": "Nowhere"}),
    )
    unsaved, faulty, refused, allowed, no_camera, blind_refused, sound, turned, nowhere = (
        answer for answer in answers if answer is not None
    )
    assert ["ERROR", "the file was never saved: save it first, its paths count from its folder"] in unsaved["findings"]
    texts = {text: weight for weight, text in faulty["findings"]}
    missing = f"missing texture: {FIXTURES}/textures/bricks.png (used by Bricks)"
    assert texts[missing] == "ERROR"
    assert any("'1..5' in the frames is not understood" in text for text in texts)
    assert any(text.startswith("Blender 2.93 cannot open a file of Blender") for text in texts)
    assert texts["there are changes that are not saved: they are sent along, the file stays as it is"] == "WARNING"
    assert missing in refused["error"]
    assert refused["job_id"] == ""
    assert ["WARNING", missing] in allowed["findings"]
    assert ["ERROR", "there is no camera 'Nobody'; there is 'Camera'"] in allowed["findings"]
    assert ["ERROR", "scene 'Blind' has no camera: add one"] in no_camera["findings"]
    assert "has no camera" in blind_refused["error"]
    assert ["INFO", "3 frames: 0-4x2"] in sound["findings"]
    assert ["WARNING", "32 x 24 pixels: 50 % of the resolution"] in sound["findings"]
    assert ["WARNING", "the scene writes FFMPEG: the frames are rendered as PNG"] in sound["findings"]
    assert ["INFO", "1 frame: 9-9x2"] in turned["findings"]
    assert "there is no scene 'Nowhere'" in nowhere["error"]


async def test_a_scattered_project_renders_there_as_it_does_here(
    blender: AddonBlender, service: Service, studio: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    [_, submitted, *_] = await asyncio.to_thread(
        blender.drive,
        ("open", {"file": str(studio / "shots/sh010/shot.blend")}),
        ("submit", {"name": "Scattered", "priority": 70, "notes": "from Blender"}),
        ("render", {"folder": f"{own}/"}),
        environment={"ZORDON_DATA_DIR": str(service.data_dir)},
    )
    assert submitted["result"] == ["FINISHED"], submitted
    assert submitted["page"] == f"http://127.0.0.1:{service.port}/#/jobs/{submitted['job_id']}"
    assert (submitted["file"], submitted["left"]) == (str(studio / "shots/sh010/shot.blend"), [])
    job = await ended(service, submitted["job_id"])
    assert (job.status, job.name, job.priority, job.notes) == (JobStatus.COMPLETED, "Scattered", 70, "from Blender")
    assert [warning for warning in job.warnings if "missing" in warning] == []
    theirs = await pictures_of(service, job, tmp_path / "theirs")
    mine = sorted(own.glob("*.png"))
    assert len(theirs) == len(mine) == 3
    assert [pixels(picture) for picture in theirs] == [pixels(picture) for picture in mine]
    assert len({pixels(picture) for picture in mine}) == 3, "the image sequence moves"
    with Image.open(mine[0]) as first:
        colours = {colour for _, colour in first.convert("RGB").getcolors(10_000) or []}
    assert len(colours) >= 8
    assert (255, 0, 255) not in colours, "Blender's colour for a missing texture"

    # Not one path leads out of what was sent, and it is laid out as blender-asset-tracer's packer does it.
    [sent] = [path.parent for path in service.data_dir.glob("projects/*/shot.blend") if is_of(path, blender)]
    assert all(path.is_relative_to(sent) and path.is_file() for path in traced(sent / "shot.blend"))
    folder = studio / "shots/sh010"
    assert {path.relative_to(sent).as_posix() for path in sent.rglob("*") if path.is_file()} == {
        "shot.blend",
        "blendcache_shot/cloth_000001_00.bphys",
        *(
            path.relative_to(folder).as_posix() if path.is_relative_to(folder) else f"_outside_project{path.as_posix()}"
            for path in traced(folder / "shot.blend")
        ),
    }


def test_what_a_project_needs_is_what_blender_asset_tracer_finds(blender: AddonBlender, studio: Path) -> None:
    shot = studio / "shots/sh010/shot.blend"
    _, found = blender.drive(("open", {"file": str(shot)}), ("dependencies", {}))
    baked = {str(path) for path in (shot.parent / "blendcache_shot").iterdir()}
    assert {Path(path) for path in found if path not in baked} == traced(shot)
    assert baked < set(found)


async def test_choices_arrive_and_changes_that_are_not_saved_go_along(
    blender: AddonBlender, service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "cycles.blend"
    file.write_bytes((FIXTURES / "cycles.blend").read_bytes())
    [*_, submitted] = await asyncio.to_thread(
        blender.drive,
        ("open", {"file": str(file)}),
        ("run", {"code": "bpy.context.scene.zordon.notes = 'kept with the scene'"}),
        ("run", {"code": "bpy.context.scene.render.resolution_x = 96"}),
        (
            "submit",
            {
                "frames": "2",
                "output_format": "JPEG",
                "samples": 1,
                "resolution_percentage": 50,
                "denoise": "OFF",
                "camera": "Camera",
                "view_layer": "ViewLayer",
            },
        ),
        environment={"ZORDON_DATA_DIR": str(service.data_dir)},
    )
    assert submitted["result"] == ["FINISHED"], submitted
    job = await ended(service, submitted["job_id"])
    assert (job.status, job.name, job.frames, job.output_format) == (JobStatus.COMPLETED, "cycles", "2", "JPEG")
    assert (job.width, job.height, job.notes) == (48, 16, "kept with the scene")
    asked = {"samples": 1, "resolution_percentage": 50, "denoise": False, "camera": "Camera", "view_layer": "ViewLayer"}
    assert asked.items() <= job.args.items()
    assert file.read_bytes() == (FIXTURES / "cycles.blend").read_bytes()


async def test_cancelling_an_upload_leaves_nothing(blender: AddonBlender, service: Service, tmp_path: Path) -> None:
    file = tmp_path / "heavy.blend"
    file.write_bytes((FIXTURES / "workbench.blend").read_bytes())
    (tmp_path / "noise.wav").write_bytes(os.urandom(32 << 20))
    async with service.proxy() as node:
        before = {job.id for job in (await node.get_jobs()).jobs}
        async with stalling_relay(service.port, after=4 << 20) as port:
            [*_, cancelled] = await asyncio.to_thread(
                blender.drive,
                ("prefer", {"address": f"127.0.0.1:{port}", "token": service.token}),
                ("open", {"file": str(file)}),
                ("run", {"code": "bpy.data.sounds.load('//noise.wav').use_fake_user = True"}),
                ("submit_and_cancel", {}),
            )
        assert cancelled["seen"][0] == "UPLOADING"
        assert 0 < cancelled["seen"][1] < cancelled["seen"][2]
        assert (cancelled["result"], cancelled["job_id"], cancelled["left"]) == (["CANCELLED"], "", [])
        assert {job.id for job in (await node.get_jobs()).jobs} == before
