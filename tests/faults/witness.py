"""Looks at the data folder of a dead service, and remembers what it saw before: what counted once must stay as it was.

Reads the files by itself, not with the code that wrote them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from engines.frames import FrameSet
from tests.faults.victim import Place

_PNG_END = b"IEND\xaeB`\x82"


class PromiseBroken(AssertionError):
    """One of the promises of docs/promises.md does not hold; the message begins with its number."""


@dataclass(frozen=True, slots=True)
class Counted:
    """An output in a manifest whose file is there and is the one that was verified."""

    job: str
    name: str
    frame: int | None
    attempt: str
    sha256: str
    mtime_ns: int


class Witness:
    """See the module. ``wasted``: frames that were whole when the service died, but not yet counted."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.store_id = ""
        self.counted: dict[tuple[str, str], Counted] = {}
        self.wasted = 0
        self._attempts: set[str] = set()
        self._outside = place.outside()
        self._looks = 0

    def look(self, deleted: Collection[str], perhaps_deleted: Collection[str]) -> None:
        """The service is dead: check what it left against what was there before.

        Raises:
            PromiseBroken: number 2 or 4.
        """
        self.check_outside()
        found = self._read_manifests()
        for key, before in self.counted.items():
            now = found.get(key)
            if now is None and key[0] not in deleted and key[0] not in perhaps_deleted:
                raise PromiseBroken(f"2: the verified output {key[1]} of job {key[0]} is gone")
            if now is not None and now != before:
                raise PromiseBroken(
                    f"2: {key[1]} of job {key[0]} was verified and rendered again: {before} is now {now}"
                )
        self._look_at_attempts()
        self.counted = found
        self.wasted += self._uncounted()

    def check_outside(self) -> None:
        """Nothing but the data folder has changed.

        Raises:
            PromiseBroken: number 4.
        """
        if (now := self.place.outside()) != self._outside:
            other = sorted(name for name in {*now, *self._outside} if now.get(name) != self._outside.get(name))
            raise PromiseBroken(f"4: outside of the data folder was written: {', '.join(other)}")

    def frames_of(self, job: str) -> set[int]:
        """The frames of a job that counted at the last look."""
        return {one.frame for (owner, _), one in self.counted.items() if owner == job and one.frame is not None}

    def files_of(self, job: str) -> int:
        """How many outputs of a job counted at the last look."""
        return sum(owner == job for owner, _ in self.counted)

    def _read_manifests(self) -> dict[tuple[str, str], Counted]:
        found: dict[tuple[str, str], Counted] = {}
        for path in sorted((self.place.data / "jobs").glob("*/manifest.jsonl")):
            for counted in _read_manifest(path):
                key = (counted.job, counted.name)
                if key in found:
                    raise PromiseBroken(f"2: {counted.name} of job {counted.job} is twice in its manifest")
                found[key] = counted
        return found

    def _look_at_attempts(self) -> None:
        """No attempt that began since the last look has a frame that counted then."""
        self._looks += 1
        copy = self.place.copies / f"{self._looks:04d}"
        copy.mkdir()
        for path in self.place.data.glob("zordon.db*"):
            if not path.name.endswith("-shm"):
                shutil.copy(path, copy / path.name)
        if not (copy / "zordon.db").exists():
            return
        connection = sqlite3.connect(copy / "zordon.db")
        try:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name='attempts'").fetchone():
                return
            row = connection.execute("SELECT value FROM meta WHERE key='store_id'").fetchone()
            self.store_id = row[0] if row else ""
            rows = connection.execute("SELECT id, job, frames FROM attempts").fetchall()
            if (damage := connection.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                raise PromiseBroken(f"1: the database is damaged: {damage}")
        finally:
            connection.close()
            shutil.rmtree(copy)
        for attempt, job, notation in rows:
            if attempt in self._attempts:
                continue
            self._attempts.add(attempt)
            if again := self.frames_of(job) & set(FrameSet.parse(notation)):
                raise PromiseBroken(f"2: attempt {attempt} began to render again what was verified: {sorted(again)}")

    def _uncounted(self) -> int:
        """Whole pictures in the folders of attempts that nobody has verified: a kill at a bad moment wastes them."""
        pictures = (self.place.data / "scratch" / "attempts").glob("*/*.png")
        known = {(one.job, one.attempt, one.name) for one in self.counted.values()}
        found = ((path, path.parent.name) for path in pictures)
        return sum(
            path.read_bytes().endswith(_PNG_END) and (attempt.rpartition("-")[0], attempt, path.name) not in known
            for path, attempt in found
        )


def _read_manifest(path: Path) -> list[Counted]:
    entries = []
    for line in path.read_bytes().split(b"\n"):
        try:
            said = json.loads(line)
        except ValueError:
            continue  # torn by a kill, or nothing behind the last line
        job = path.parent.name
        file = path.parent / "output" / said["name"]
        unmoved = path.parents[2] / "scratch" / "attempts" / said["attempt"] / said["name"]
        if unmoved.is_file():
            file = unmoved  # killed between the line and the move, which the next start finishes
        if file.is_symlink() or not file.is_file():
            raise PromiseBroken(f"2: {said['name']} is in the manifest of job {job} and not in its folder")
        if hashlib.sha256(file.read_bytes()).hexdigest() != said["sha256"]:
            raise PromiseBroken(f"2: {file} is not the file that was verified")
        mtime = file.stat().st_mtime_ns
        entries.append(Counted(job, said["name"], said["frame"], said["attempt"], said["sha256"], mtime))
    return entries
