"""``add_job`` with a JSON body: what becomes of it, and every way in which it can be wrong."""

from __future__ import annotations

import copy
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from app.jobs.errors import Forbidden, RequestError, TooLarge
from app.jobs.keys import KeyReused
from app.render.catalog import EngineCatalog
from app.settings import load_settings
from client.models import JobStatus

from .conftest import Farm, MakeFarm

PATTERN = {"renderer": "testpattern"}


async def refused(farm: Farm, body: object, *, local: bool = False) -> RequestError:
    """The error that a body gets; nothing of it is kept."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    with pytest.raises(RequestError) as caught:
        await farm.intake.from_json(raw, local=local, key=None)
    await farm.assert_nothing_made()
    return caught.value


async def test_a_job_with_everything(farm: Farm) -> None:
    start = datetime.now(UTC) + timedelta(hours=1)
    [job] = await farm.submit(
        {
            **PATTERN,
            "name": "Shot 010 (final)",
            "frames": "1-10x3,20",
            "args": {"width": 64, "height": 32},
            "priority": 80,
            "notes": "for Monday",
            "enable_split_jobs": False,
            "scheduled_start": start.isoformat(),
        }
    )
    assert job.status is JobStatus.SCHEDULED
    spec = job.spec
    assert (spec.name, spec.output_name, spec.engine) == ("Shot 010 (final)", "Shot_010_final", "testpattern")
    assert list(spec.frames) == [1, 4, 7, 10, 20]
    assert (spec.width, spec.height, spec.options["width"]) == (64, 32, 64)
    assert (spec.priority, spec.notes, spec.enable_split_jobs) == (80, "for Monday", False)
    assert spec.scheduled_start == pytest.approx(start.timestamp())
    assert (spec.project, spec.project_path, spec.hostname) == (None, None, "node-of-the-tests")
    assert len(spec.id) == 16


async def test_what_is_left_out_has_a_default(farm: Farm) -> None:
    [job] = await farm.submit(PATTERN)
    assert job.status is JobStatus.NOT_STARTED
    assert (job.spec.name, job.spec.priority, job.spec.notes) == ("Test pattern", 50, "")
    assert job.spec.enable_split_jobs


async def test_start_and_end_frame(farm: Farm) -> None:
    [job] = await farm.submit({**PATTERN, "start_frame": -3, "end_frame": 4})
    assert list(job.spec.frames) == [-3, -2, -1, 0, 1, 2, 3, 4]


async def test_a_start_in_the_past_is_now_and_a_time_without_offset_is_utc(farm: Farm) -> None:
    [past] = await farm.submit({**PATTERN, "scheduled_start": "2001-01-01T00:00:00Z"})
    assert past.status is JobStatus.NOT_STARTED
    naive = (datetime.now(UTC) + timedelta(days=2)).replace(tzinfo=None, microsecond=0)
    [later] = await farm.submit({**PATTERN, "scheduled_start": naive.isoformat()})
    assert later.spec.scheduled_start == naive.replace(tzinfo=UTC).timestamp()


async def test_a_list_makes_its_jobs_in_order(farm: Farm) -> None:
    jobs = await farm.submit(*({**PATTERN, "name": f"shot {number}"} for number in range(20)))
    assert [job.spec.name for job in jobs] == [f"shot {number}" for number in range(20)]
    assert len({job.id for job in jobs}) == 20


async def test_a_list_with_one_bad_job_creates_none(farm: Farm) -> None:
    error = await refused(farm, [PATTERN, PATTERN, {**PATTERN, "priority": 101}])
    assert error.status == 400
    assert error.field == "[2].priority"
    assert error.message.startswith("[2].priority: ")


async def test_child_jobs_inherit_what_they_leave_out(farm: Farm) -> None:
    parent, first, second = await farm.submit(
        {
            **PATTERN,
            "name": "all",
            "frames": "1-20",
            "priority": 70,
            "args": {"width": 64, "height": 32},
            "child_jobs": [
                {"frames": "1-10"},
                {"name": "wide", "start_frame": 90, "end_frame": 95, "args": {"width": 128}},
            ],
        }
    )
    assert parent.status is JobStatus.WAITING_FOR_SUBJOBS
    assert parent.spec.children == (first.id, second.id)
    assert first.spec.parent == second.spec.parent == parent.id
    assert (first.spec.name, second.spec.name) == ("all", "wide")
    assert (len(first.spec.frames), second.spec.frames.notation()) == (10, "90-95")
    assert (first.spec.options["width"], second.spec.options["width"], second.spec.options["height"]) == (64, 128, 32)
    assert (first.spec.priority, second.spec.children) == (70, ())


async def test_a_bad_child_is_named(farm: Farm) -> None:
    body = {**PATTERN, "child_jobs": [{"frames": "1"}, {"frames": "2", "args": {"height": 0}}]}
    error = await refused(farm, [PATTERN, body])
    assert error.field == "[1].child_jobs[1].args.height"


# --- bodies that are wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b"", None, "empty"),
        (b"  \n", None, "empty"),
        (b"renderer=testpattern", None, "no JSON"),
        (b'{"renderer": "testpattern"', None, "no JSON"),
        (b'{"renderer": "\xff"}', None, "no JSON"),
        (b'{"renderer": "testpattern", "priority": NaN}', None, "no JSON"),
        (b'"testpattern"', None, "text"),
        (b"null", None, "null"),
        (b"true", None, "true or false"),
        (b"[]", None, "empty"),
        (b'[{"renderer": "testpattern"}, 7]', "[1]", "a number"),
        (b"{}", "renderer", "testpattern"),
    ],
)
async def test_bodies_that_are_no_job(farm: Farm, body: bytes, field: str | None, says: str) -> None:
    error = await refused(farm, body)
    assert (error.status, error.field) == (400, field)
    assert says in error.message


@pytest.mark.parametrize("depth", [70, 250, 1000, 1030, 100_000])
async def test_json_nested_too_deeply(farm: Farm, depth: int) -> None:
    error = await refused(farm, b'{"renderer":"testpattern","args":{"width":' + b"[" * depth + b"]" * depth + b"}}")
    assert error.status == 400
    assert "nested too deeply" in error.message


async def test_wide_json_is_not_deep(farm: Farm) -> None:
    error = await refused(farm, {**PATTERN, "args": {"width": [[]] * 500}})
    assert error.field == "args.width"


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"renderer": "maya"}, "renderer", "testpattern"),
        ({"renderer": "x" * 101}, "renderer", "100"),
        ({"colour": "red"}, "colour", "scheduled_start"),
        ({"args": {"samples": 3}}, "args.samples", "seconds_per_frame"),
        ({"args": {"width": "wide"}}, "args.width", "integer"),
        ({"args": {"width": -1}}, "args.width", "greater"),
        ({"args": {"hang_at": "9" * 30}}, "args", "64"),
        ({"args": {"fail_frames": "x"}}, "args.fail_frames", "1-100"),
        ({"args": []}, "args", "dictionary"),
        ({"frames": "abc"}, "frames", "1-100x2"),
        ({"frames": ","}, "frames", "empty"),
        ({"frames": ""}, "frames", "the frame set is empty"),
        ({"frames": "1-10000001"}, "frames", "10000000"),
        ({"frames": "1-9000000,20000000-29000000"}, "frames", "10000000"),
        ({"start_frame": 1, "end_frame": 10_000_001}, "end_frame", "10000000"),
        ({"start_frame": 5, "end_frame": 4}, None, "before"),
        ({"frames": "1", "start_frame": 5}, None, "not both"),
        ({"start_frame": 5}, "end_frame", "start_frame"),
        ({"end_frame": 5}, "start_frame", "end_frame"),
        ({"start_frame": 10**12}, "start_frame", "999999999"),
        ({"priority": 101}, "priority", "100"),
        ({"engine_version": "99.9"}, "engine_version", "99.9"),
        ({"output_format": "EXR"}, "output_format", "PNG"),
        ({"scheduled_start": "tomorrow"}, "scheduled_start", "datetime"),
        ({"scheduled_start": "9999-12-31T23:59:59-14:00"}, "scheduled_start", "ten years"),
        ({"name": ""}, "name", "1 character"),
        ({"name": "two\nlines"}, "name", "control"),
        ({"name": "x" * 201}, "name", "200"),
        ({"notes": "x" * 10_001}, "notes", "10000"),
        ({"renderer": "ffmpeg"}, "file", "needs a project"),
    ],
)
async def test_fields_that_are_wrong(farm: Farm, fields: dict[str, object], field: str | None, says: str) -> None:
    error = await refused(farm, {**PATTERN, **fields})
    assert (error.status, error.field) == (400, field)
    assert says in error.message
    if field is not None:
        assert error.message.startswith(f"{field}: ")


async def test_too_many_jobs_and_too_much_json(make_farm: MakeFarm) -> None:
    farm = await make_farm(max_jobs_per_request=3, max_json_bytes=2048)
    error = await refused(farm, [PATTERN] * 4)
    assert (type(error), error.status) == (TooLarge, 413)
    error = await refused(farm, {**PATTERN, "child_jobs": [{}] * 4})
    assert "max_jobs_per_request" in error.message
    error = await refused(farm, {**PATTERN, "notes": "x" * 2048})
    assert error.status == 413
    assert "max_json_bytes" in error.message


async def test_a_frame_set_that_takes_long_to_read_is_read_in_a_thread(farm: Farm) -> None:
    [job] = await farm.submit({**PATTERN, "frames": "1-3000:7"})
    assert len(job.spec.frames) == 3000


async def test_a_broken_plug_in_is_named_with_its_reason(catalog: EngineCatalog, make_farm: MakeFarm) -> None:
    cracked = copy.copy(catalog)
    cracked.broken = {"cracked": "ImportError: no module named nowhere"}
    farm = await make_farm(catalog=cracked)
    error = await refused(farm, {"renderer": "cracked"})
    assert error.field == "renderer"
    assert "no module named nowhere" in error.message


async def test_an_engine_that_is_installed_nowhere(make_farm: MakeFarm, tmp_path: Path) -> None:
    farm = await make_farm(catalog=EngineCatalog(load_settings(), tmp_path / "engines"))
    error = await refused(farm, PATTERN)
    assert error.field == "engine_version"
    assert "installed: none" in error.message


# --- Idempotency-Key -----------------------------------------------------------------------------------------------


async def test_the_same_key_gives_the_same_jobs(farm: Farm) -> None:
    [first] = await farm.submit(PATTERN, key="k1")
    [again] = await farm.submit(PATTERN, key="k1")
    assert first.id == again.id
    with pytest.raises(KeyReused):
        await farm.submit({**PATTERN, "priority": 1}, key="k1")
    [other] = await farm.submit(PATTERN, key="k2")
    assert other.id != first.id


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb"])
async def test_keys_that_are_none(farm: Farm, key: str) -> None:
    with pytest.raises(RequestError, match="Idempotency-Key"):
        await farm.submit(PATTERN, key=key)


# --- local_path ----------------------------------------------------------------------------------------------------


async def test_a_local_project_is_read_in_place(make_farm: MakeFarm, tmp_path: Path, clip: bytes) -> None:
    root = tmp_path / "footage"
    (root / "day one").mkdir(parents=True)
    project = root / "day one" / "clip.mp4"
    project.write_bytes(clip)
    farm = await make_farm(local_roots=[root])
    jobs = await farm.submit(
        {"local_path": str(project)}, {"renderer": "ffmpeg", "local_path": str(project)}, local=True
    )
    for job in jobs:
        assert job.spec.project_path == str(project)
        assert (job.spec.engine, job.spec.project, job.spec.name) == ("ffmpeg", "clip.mp4", "clip")
        assert len(job.spec.frames) == 12
    assert farm.inspected == [project]
    assert farm.left() == []
    await farm.jobs.delete(jobs[0].id)
    assert project.read_bytes() == clip


async def test_a_local_folder_with_one_sequence(make_farm: MakeFarm, tmp_path: Path, picture: bytes) -> None:
    root = tmp_path / "footage"
    root.mkdir()
    for number in range(7, 10):
        (root / f"shot_{number:04}.png").write_bytes(picture)
    farm = await make_farm(local_roots=[tmp_path])
    [job] = await farm.submit({"local_path": str(root)}, local=True)
    assert (job.spec.engine, job.spec.project_path, job.spec.project) == ("ffmpeg", str(root), "footage")
    assert farm.inspected == [root]
    (root / "shot_0008.png").unlink()
    with pytest.raises(RequestError) as caught:
        await farm.submit({"local_path": str(root)}, local=True)
    assert caught.value.field == "local_path"
    assert "8" in caught.value.message


async def test_local_path_is_for_this_machine_and_its_roots_only(make_farm: MakeFarm, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside.mp4"
    root.mkdir()
    outside.write_bytes(b"secret")
    (root / "link.mp4").symlink_to(outside)
    (root / "loop.mp4").symlink_to(root / "loop.mp4")
    os.mkfifo(root / "pipe.mp4")
    farm = await make_farm(local_roots=[root])
    error = await refused(farm, {"local_path": str(outside)}, local=False)
    assert (type(error), error.status, error.field) == (Forbidden, 403, "local_path")
    for path, status in [
        (str(outside), 403),
        (f"{root}/../outside.mp4", 403),
        (str(root / "link.mp4"), 403),
        (str(tmp_path / "root2"), 403),
        ("/etc/passwd", 403),
        ("/nowhere/at/all", 403),
        (str(root / "missing.mp4"), 400),
        (str(root / "loop.mp4"), 400),
        (str(root / "pipe.mp4"), 400),
        ("clip.mp4", 400),
        (f"{root}/a\0b.mp4", 400),
        (f"{root}/{'x' * 300}", 400),
        (str(root), 400),
    ]:
        error = await refused(farm, {"local_path": path}, local=True)
        assert (path, error.status, error.field) == (path, status, "local_path")
        if status == 403:
            assert "local_roots" in error.message


async def test_local_path_is_off_without_roots(farm: Farm) -> None:
    error = await refused(farm, {"local_path": "/tmp/x.mp4"}, local=True)
    assert error.status == 403
    assert "ZORDON_LOCAL_ROOTS" in error.message


async def test_a_project_of_another_engine(make_farm: MakeFarm, tmp_path: Path, clip: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    (tmp_path / "notes.txt").write_text("no project")
    farm = await make_farm(local_roots=[tmp_path])
    error = await refused(farm, {"renderer": "testpattern", "local_path": str(tmp_path / "clip.mp4")}, local=True)
    assert error.field == "renderer"
    assert "'ffmpeg'" in error.message
    error = await refused(farm, {"local_path": str(tmp_path / "notes.txt")}, local=True)
    assert ".mp4" in error.message


async def test_one_of_start_and_end_is_completed_from_the_project(
    make_farm: MakeFarm, tmp_path: Path, clip: bytes
) -> None:
    project = tmp_path / "clip.mp4"
    project.write_bytes(clip)
    farm = await make_farm(local_roots=[tmp_path])
    [whole] = await farm.submit({"local_path": str(project)}, local=True)
    low, high = whole.spec.frames.lowest, whole.spec.frames.highest
    [tail] = await farm.submit({"local_path": str(project), "start_frame": low + 3}, local=True)
    assert (tail.spec.frames.lowest, tail.spec.frames.highest) == (low + 3, high)
    [head] = await farm.submit({"local_path": str(project), "end_frame": high - 3}, local=True)
    assert (head.spec.frames.lowest, head.spec.frames.highest) == (low, high - 3)
    with pytest.raises(RequestError, match="outside") as caught:
        await farm.submit({"local_path": str(project), "start_frame": high + 1}, local=True)
    assert caught.value.field == "start_frame"
