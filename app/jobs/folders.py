"""Where everything is on disk. Nothing is ever written outside the data folder; a path is made from ids that we made
ourselves, never from text that came from outside.

::

    <data>/zordon.db  token  lock  address  settings.yaml
    <data>/projects/<project>/…            what was uploaded; shared by the jobs of one request
    <data>/jobs/<job>/log.txt  manifest.jsonl  colours.json  output/  previews/  parts.jsonl  parts/
                       attempts/<attempt>/  sessions/<session>/
    <data>/engines/<engine>/<version>/     managed engine versions
    <data>/fetching/<engine>/<version>/    those that are on their way
    <data>/uploads/  trash/                emptied at every start
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


class DataFolder:
    """The data folder. Methods that touch the disk are for a thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "zordon.db"
        self.jobs = root / "jobs"
        self.projects = root / "projects"
        self.engines = root / "engines"
        self.fetching = root / "fetching"
        self.uploads = root / "uploads"
        self.trash = root / "trash"

    def prepare(self) -> None:
        """Make the folders, for this user only.

        Raises:
            OSError: it cannot be written.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.jobs, self.projects, self.engines, self.fetching, self.uploads, self.trash):
            folder.mkdir(mode=0o700, exist_ok=True)

    def job(self, job_id: str) -> Path:
        """The folder of a job."""
        return self.jobs / job_id

    def output(self, job_id: str) -> Path:
        """Where the verified outputs of a job are."""
        return self.jobs / job_id / "output"

    def manifest(self, job_id: str) -> Path:
        """The list of the verified outputs of a job."""
        return self.jobs / job_id / "manifest.jsonl"

    def parts(self, job_id: str) -> Path:
        """Where the verified parts of a job are until they are put together."""
        return self.jobs / job_id / "parts"

    def part_manifest(self, job_id: str) -> Path:
        """The list of the verified parts of a job."""
        return self.jobs / job_id / "parts.jsonl"

    def damaged(self, job_id: str) -> Path:
        """Where files go that were outputs once and have been changed since."""
        return self.jobs / job_id / "damaged"

    def log(self, job_id: str) -> Path:
        """The log of a job."""
        return self.jobs / job_id / "log.txt"

    def previews(self, job_id: str) -> Path:
        """The cached previews of a job."""
        return self.jobs / job_id / "previews"

    def colours(self, job_id: str) -> Path:
        """The colours of a job's pictures as its engine said them."""
        return self.jobs / job_id / "colours.json"

    def attempts(self, job_id: str) -> Path:
        """Where the folders of a job's attempts are."""
        return self.jobs / job_id / "attempts"

    def attempt(self, job_id: str, attempt: str) -> Path:
        """Where the engine writes during an attempt."""
        return self.jobs.joinpath(job_id, "attempts", attempt)

    def session(self, job_id: str, session: str) -> Path:
        """The scratch folder of a session."""
        return self.jobs.joinpath(job_id, "sessions", session)

    def project(self, project_path: str) -> Path:
        """The project of a job: ``projects/…`` below the data folder, or an absolute path that is read in place."""
        return self.root / project_path

    def make_upload(self) -> Path:
        """A fresh folder for an upload that is under way."""
        folder = self.uploads / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        return folder

    def discard(self, folders: Sequence[Path]) -> None:
        """Remove scratch folders, most of which are empty; one that is gone already is no matter."""
        for folder in folders:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                if folder.is_symlink():  # an engine has put it there
                    folder.unlink(missing_ok=True)
                else:
                    shutil.rmtree(folder, onerror=_tell_leftover)

    def throw_away(self, path: Path) -> None:
        """Take a folder or file of ours out of sight at once, then remove it; what is left is removed at next start."""
        if not path.exists() and not path.is_symlink():
            return
        target = self.trash / f"{path.name}-{secrets.token_hex(4)}"
        path.rename(target)
        _remove(target)

    def sweep(self, jobs: Collection[str], projects: Collection[str]) -> None:
        """At start: remove what a crash left behind, that is all that no job in the store knows."""
        for leftover in (*self.uploads.iterdir(), *self.trash.iterdir()):
            _remove(leftover)
        for parent, known in ((self.jobs, jobs), (self.projects, projects)):
            for folder in parent.iterdir():
                if folder.name not in known:
                    log.info("removing a folder that no job knows", folder=str(folder.relative_to(self.root)))
                    self.throw_away(folder)

    def clear_attempts(self, job_id: str) -> None:
        """Remove what attempts of the time before have left: their frames were not verified."""
        for name in ("attempts", "sessions"):
            folder = self.job(job_id) / name
            if folder.exists():
                self.throw_away(folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=_tell_leftover)
    else:
        path.unlink(missing_ok=True)


def _tell_leftover(function: object, path: str, info: tuple[type[BaseException], BaseException, object]) -> None:
    if isinstance(info[1], FileNotFoundError):
        return
    log.warning("could not remove a leftover; the next start tries again", path=path)
