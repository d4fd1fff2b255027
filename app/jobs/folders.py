"""Where everything is on disk. Nothing is ever written outside the data folder; a path is made from ids that we made
ourselves, never from text that came from outside.

::

    <data>/zordon.db  token  lock  address  settings.yaml
    <data>/projects/<project>/…            what was uploaded; shared by the jobs of one request
    <data>/projects/<tree>/…               what came from another node; shared by all jobs that need it
    <data>/jobs/<job>/log.txt  manifest.jsonl  colours.json  output/  previews/  parts.jsonl  parts/
    <data>/scratch/attempts/<attempt>/  sessions/<session>/  spare/    where engines write; emptied at every start
    <data>/engines/<engine>/<version>/     managed engine versions
    <data>/fetching/<engine>/<version>/    those that are on their way
    <data>/set-aside/<job>-<time>/         outputs of jobs that the store did not know, with the reason in why.txt
    <data>/incoming/<upload>/…             uploads in pieces that no job has taken yet
    <data>/content/                        projects by content, for the farm: see app.content.store
    <data>/uploads/  trash/                emptied at every start
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

WHY: Final = "why.txt"
_DELETED: Final = "deleted"  # in the folder of a job whose deletion is about to be committed
_WHY_ASIDE: Final = """\
This was the folder of job {job}. When the service started, its store did not know the job, as it is after an older copy
of the store was put back. Verified outputs are in output/, their checksums in manifest.jsonl; nobody needs the rest.

Take what you want. The folder is removed {when}.
"""


def is_checkout(project: str) -> bool:
    """Whether a folder below ``projects/`` was made of a tree of the content store: it is called by the tree's id."""
    return len(project) == 64


class DataFolder:
    """The data folder. Methods that touch the disk are for a thread."""

    def __init__(self, root: Path, set_aside_days: float = 30.0) -> None:
        """``set_aside_days``: after so long, what was set aside is removed at the next start; 0: never."""
        self.root = root
        self._set_aside_days = set_aside_days
        self.database = root / "zordon.db"
        self.jobs = root / "jobs"
        self.scratch = root / "scratch"
        self.attempts = self.scratch / "attempts"
        self.sessions = self.scratch / "sessions"
        self.spare = self.scratch / "spare"
        self.projects = root / "projects"
        self.engines = root / "engines"
        self.fetching = root / "fetching"
        self.incoming = root / "incoming"
        self.content = root / "content"
        self.uploads = root / "uploads"
        self.trash = root / "trash"
        self.aside = root / "set-aside"

    def prepare(self) -> None:
        """Make the folders, for this user only.

        Raises:
            OSError: it cannot be written.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.jobs, self.projects, self.engines, self.fetching, self.incoming, self.uploads, self.trash):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._prepare_scratch()

    def _prepare_scratch(self) -> None:
        for folder in (self.scratch, self.attempts, self.sessions, self.spare):
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

    def attempt(self, attempt: str) -> Path:
        """Where the engine writes during an attempt."""
        return self.attempts / attempt

    def session(self, session: str) -> Path:
        """The scratch folder of a session."""
        return self.sessions / session

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

    def mark_deleted(self, job_id: str, yes: bool = True) -> None:
        """Note that a job is about to be deleted, so that a crash right after leaves nothing that looks precious."""
        try:
            if yes:
                (self.job(job_id) / _DELETED).touch()
            else:
                (self.job(job_id) / _DELETED).unlink(missing_ok=True)
        except FileNotFoundError:
            return  # it has no folder yet
        except OSError as error:  # a full disk must not keep anybody from deleting
            log.warning("a job's folder cannot be marked as deleted", job=job_id, reason=str(error))

    def sweep(self, jobs: Collection[str], projects: Collection[str]) -> None:
        """At start: remove what a crash left behind, that is all that no job in the store knows. What holds verified
        outputs is set aside: the store may be an older copy."""
        for leftover in (*self.uploads.iterdir(), *self.trash.iterdir()):
            _remove(leftover)
        self._remove_old()
        for folder in list(self.jobs.iterdir()):
            if folder.name in jobs:
                self.mark_deleted(folder.name, False)  # that was not committed
            elif not (folder / _DELETED).exists() and _has_outputs(folder):
                self._set_aside(folder)
        for parent, known in ((self.jobs, jobs), (self.projects, projects)):
            for folder in parent.iterdir():
                if folder.name not in known:
                    log.info("removing a folder that no job knows", folder=str(folder.relative_to(self.root)))
                    self.throw_away(folder)

    def _set_aside(self, folder: Path) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        target = self.aside / f"{folder.name}-{stamp}-{secrets.token_hex(2)}"
        days = self._set_aside_days
        when = f"by the first start after {days:g} days (set_aside_days)" if days else "by nobody but you"
        try:
            self.aside.mkdir(mode=0o700, exist_ok=True)
            (folder / WHY).write_text(_WHY_ASIDE.format(job=folder.name, when=when), "utf-8")
            folder.rename(target)
        except OSError as error:  # a full disk: it stays where it is, and the next start tries again
            log.error("outputs that no job knows cannot be set aside", job=folder.name, reason=str(error))
            return
        where = str(target.relative_to(self.root))
        log.warning("the store does not know a job that has outputs; they are set aside", job=folder.name, folder=where)

    def _remove_old(self) -> None:
        if not self._set_aside_days or not self.aside.is_dir():
            return
        oldest = time.time() - self._set_aside_days * 86_400
        for folder in list(self.aside.iterdir()):
            why = folder / WHY
            if (why if why.exists() else folder).stat().st_mtime < oldest:
                log.info("removing what was set aside long ago", folder=str(folder.relative_to(self.root)))
                self.throw_away(folder)

    def left_by(self) -> set[str]:
        """The ids of the jobs of which attempts have left a folder."""
        return {folder.name.rpartition("-")[0] for folder in self.attempts.iterdir()}

    def clear_scratch(self) -> None:
        """Remove what attempts of the time before have left: their frames were not verified."""
        for folder in (self.attempts, self.sessions, self.spare):
            self.throw_away(folder)
        self._prepare_scratch()


def _has_outputs(folder: Path) -> bool:
    output = folder / "output"
    return output.is_dir() and not output.is_symlink() and any(output.iterdir())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, onerror=_tell_leftover)
    else:
        path.unlink(missing_ok=True)


def _tell_leftover(function: object, path: str, info: tuple[type[BaseException], BaseException, object]) -> None:
    if isinstance(info[1], FileNotFoundError):
        return
    log.warning("could not remove a leftover; the next start tries again", path=path)
