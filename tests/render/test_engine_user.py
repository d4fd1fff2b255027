"""Another user as whom engines run: what it may reach, and who else becomes it (probes, readers of projects)."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from app.jobs.folders import DataFolder
from app.main import create_app
from app.outputs.verification import VerificationError, verify
from app.outputs.worker import WorkerUser
from app.outputs.workers import Workers
from app.render.catalog import EngineCatalog
from app.render.confinement import Confinement
from app.render.environment import engine_environment
from app.render.probe import ask
from app.render.processes import Launch, RunAs, launch
from app.settings import SettingsError, load_settings
from client.models import JobStatus
from engines.contract import ExpectedOutput, PictureCheck
from engines.ffmpeg import FFmpegEngine
from tests.faults.projects import make_video
from tests.render.conftest import Node

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX users")
root = pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root becomes another user")


def nobody() -> RunAs:
    import pwd

    known = pwd.getpwnam("nobody")
    return RunAs(known.pw_uid, known.pw_gid, ())


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can get into; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(prefix="zordon-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def refusal(data_dir: Path, user: str) -> str:
    settings = load_settings(data_dir=data_dir, engine_user=user)
    with pytest.raises(SettingsError) as refused:
        Confinement(settings, DataFolder(settings.data_dir))
    return str(refused.value)


def test_a_user_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, "nobody-of-this-name") == "engine_user: this machine has no user 'nobody-of-this-name'"


@root
def test_root_is_no_other_user(tmp_path: Path) -> None:
    assert "is root" in refusal(tmp_path, "root")


@root
def test_a_data_folder_that_the_user_cannot_reach_is_refused(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert "is closed to that user" in refusal(closed / "data", "nobody")


@root
async def test_engines_run_as_the_user_and_reach_no_more_than_their_job(open_folder: Path) -> None:
    import pwd

    folders = DataFolder(open_folder / "data")
    folders.prepare()
    for secret in (folders.database, folders.root / "token"):
        secret.write_text("secret")
        secret.chmod(0o600)
    project = folders.projects / "upload" / "scene.blend"
    delivered = folders.output("job") / "frame.png"
    for path in (project, delivered):
        path.parent.mkdir(parents=True)
        path.write_text("a file")
        path.chmod(0o600)
    confinement = Confinement(load_settings(data_dir=folders.root, engine_user="nobody"), folders)
    session, attempt = folders.session("job-1"), folders.attempt("job-1")
    script = """
read go
id -u; nice
touch "$1/written" && echo may write
shift
for path; do
    if cat "$path" >/dev/null 2>&1 || ls "$path/" >/dev/null 2>&1; then echo yes; else echo no; fi
done
"""
    heard = bytearray()
    paths = (attempt, project, folders.database, folders.root / "token", delivered, folders.uploads)
    process = await launch(
        Launch(
            session="job-1",
            argv=("/bin/sh", "-c", script, "engine", *map(str, paths)),
            environment=engine_environment(session),
            folder=session,
            events_on_stdout=False,
            on_event=heard.extend,
            on_output=heard.extend,
            prepare=lambda: confinement.make([(session, None), (attempt, None)], project),
            limits=confinement.limits,
            run_as=confinement.run_as,
        )
    )
    process.write(b"go\n")
    await process.wait()
    await process.sweep()
    uid = pwd.getpwnam("nobody").pw_uid
    nice = os.getpriority(os.PRIO_PROCESS, 0) + 5
    assert heard.decode().splitlines() == [str(uid), str(nice), "may write", "yes", "no", "no", "no", "no"]
    assert (attempt / "written").stat().st_uid == uid
    (attempt / "written").unlink()
    confinement.make([(folders.attempt("job-2"), attempt)])
    assert not attempt.exists(), "it has become the other one"
    assert folders.attempt("job-2").stat().st_uid == uid
    assert folders.job("job").stat().st_uid == os.geteuid()


@root
async def test_engines_are_asked_about_themselves_as_the_user(open_folder: Path) -> None:
    program = open_folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\necho ffmpeg version 9.9.9\nid -u >> {open_folder}/asked\n")
    program.chmod(0o755)
    (open_folder / "asked").touch()
    (open_folder / "asked").chmod(0o666)
    settings = load_settings(data_dir=open_folder / "data", engine_user="nobody", engine_paths={"ffmpeg": [program]})
    folders = DataFolder(settings.data_dir)
    folders.prepare()
    catalog = EngineCatalog(settings, folders.engines, Confinement(settings, folders).run_as)
    await catalog.refresh()
    copy = catalog.find("ffmpeg", "9.9.9")
    assert copy is not None
    await catalog.help(copy)
    await catalog.info(copy)
    asked = (open_folder / "asked").read_text().split()
    assert len(asked) >= 3
    assert set(asked) == {str(nobody().uid)}


@root
async def test_a_fetched_copy_is_proven_as_the_user(open_folder: Path) -> None:
    settings = load_settings(data_dir=open_folder / "data", engine_user="nobody")
    folders = DataFolder(settings.data_dir)
    folders.prepare()
    confinement = Confinement(settings, folders)
    place = folders.fetching / "blender" / "4.5.1"
    scratch = place / ".proof-1"
    scratch.mkdir(parents=True, mode=0o700)
    place.chmod(0o700)
    program = place / "program"
    program.write_text('#!/bin/sh\nid -u > "$HOME/who"\n')
    program.chmod(0o755)
    confinement.lend_copy(place, scratch)
    assert await ask([str(program)], scratch=scratch, run_as=confinement.run_as) == (0, "")
    assert (scratch / "who").read_text().strip() == str(nobody().uid)


@root
async def test_projects_are_read_as_the_user(open_folder: Path) -> None:
    user = nobody()
    readers = Workers(1, user=WorkerUser(*(user.uid, user.gid, user.groups)))
    video, secret = open_folder / "clip.mp4", open_folder / "secret"
    video.write_bytes((await make_video(open_folder / "made.mp4")).read_bytes())
    video.chmod(0o644)
    secret.write_text("secret")
    secret.chmod(0o600)
    try:
        info = await readers.run(FFmpegEngine().inspect, video)
        assert info.kind == "video"
        assert await readers.run(os.getresuid) == (user.uid,) * 3
        assert await readers.run(os.getgroups) == []
        with pytest.raises(PermissionError):
            await readers.run(secret.read_text)
    finally:
        await readers.close()


@root
async def test_outputs_are_verified_as_the_user_whoever_rendered_them(open_folder: Path) -> None:
    folders = DataFolder(open_folder / "data")
    folders.prepare()
    confinement = Confinement(load_settings(data_dir=folders.root, engine_user="nobody"), folders)
    own, fetched = folders.attempt("job-1"), folders.attempt("job-2")
    confinement.make([(own, None)])
    fetched.mkdir(mode=0o700)
    user = nobody()
    for folder in (own, fetched):
        Image.new("RGB", (64, 48)).save(folder / "a.jpg")
        (folder / "a.jpg").chmod(0o600)
    os.chown(own / "a.jpg", user.uid, user.gid)
    workers = Workers(1, user=WorkerUser(user.uid, user.gid, user.groups))
    wanted = ExpectedOutput("a.jpg", PictureCheck(64, 48))
    try:
        with pytest.raises(VerificationError, match="cannot be opened"):
            await workers.run(verify, fetched, wanted)
        for folder in (own, fetched):
            confinement.lend_attempt(folder)
            assert (await workers.run(verify, folder, wanted)).width == 64
        assert await workers.run(os.getresuid) == (user.uid,) * 3
    finally:
        await workers.close()
    assert own.stat().st_uid == user.uid
    assert own.stat().st_mode & 0o777 == 0o700
    assert fetched.stat().st_uid == os.geteuid()


@root
async def test_a_node_renders_as_the_user_and_shows_previews(open_folder: Path) -> None:
    """From an upload on: read, rendered and verified by somebody who cannot get at the outputs."""
    video = await make_video(open_folder / "clip.mp4")
    settings = load_settings(data_dir=open_folder / "data", engine_user="nobody", local_roots=[open_folder])
    async with create_app(settings).running() as parts:
        node = Node(parts)
        submitted = await node.submit(renderer="ffmpeg", local_path=str(video), name="film")
        job = await node.ended(submitted.id)
        assert (job.status, job.errors) == (JobStatus.COMPLETED, []), job.reason
        (name,) = node.outputs(job.id)
        made = parts.folders.output(job.id) / name
        assert made.stat().st_uid == nobody().uid
        assert made.parent.stat().st_mode & 0o777 == 0o700
        assert made.parent.stat().st_uid == os.geteuid()
        await parts.jobs.settled(job.id)
        preview = await parts.previews.get(job.id, "small", video_ok=False)
        assert preview is not None
        assert preview.size > 0
