"""What engines are held to: limits on their processes, another user if the settings name one, bounded folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from app.jobs.folders import DataFolder
from app.render.engine_user import EngineUser
from app.render.processes import Limits, RunAs
from app.render.scratch import become
from app.settings import Settings

FIRST_LOOK_SECONDS: Final = 1.0
"""After so long the folders of a session are looked at for the first time; the pause then doubles."""
LAST_LOOK_SECONDS: Final = 8.0
"""The longest pause between two looks."""


class Confinement:
    """The same for every engine process of this node. Methods that touch the disk are for a thread.

    Raises:
        SettingsError: ``engine_user`` cannot be.
    """

    def __init__(self, settings: Settings, folders: DataFolder) -> None:
        self.limits = Limits(
            memory_bytes=settings.engine_memory_bytes,
            open_files=settings.engine_open_files,
            cpu_seconds=settings.engine_cpu_seconds,
            file_bytes=settings.max_attempt_bytes,
            core_dumps=settings.engine_core_dumps,
            nice=settings.engine_nice,
        )
        self._folders = folders
        self._max_bytes = settings.max_attempt_bytes
        self._max_files = settings.max_attempt_files
        self._user = None if settings.engine_user is None else EngineUser(settings.engine_user, folders)
        if self._user is not None:
            self._user.open_way()

    @property
    def run_as(self) -> RunAs | None:
        """The user as whom engines run; None: the service's own."""
        return None if self._user is None else self._user.run_as

    def make(self, folders: Iterable[tuple[Path, Path | None]], project: Path | None = None) -> None:
        """Make folders that an engine may write in, and let it read a project.

        Args:
            folders: each with a spare one that may become it, or is removed.
            project: what it will open, if anything.

        Raises:
            OSError: one cannot be made, or its rights cannot be changed.
        """
        for folder, spare in folders:
            if spare is None or not become(spare, folder):
                folder.mkdir(parents=True, exist_ok=True)
                if spare is not None:
                    self._folders.discard((spare,))
            if self._user is not None:
                self._user.give(folder)
        if self._user is not None and project is not None:
            self._user.lend(project)

    def lend_attempt(self, folder: Path) -> None:
        """Let whoever verifies outputs read them in the folder of their attempt, which may not be there.

        Raises:
            OSError: the rights cannot be changed.
        """
        if self._user is not None and folder.is_dir():
            self._user.show(folder)

    def lend_copy(self, folder: Path, scratch: Path) -> None:
        """Let engines run a copy that is not installed yet, and write in a scratch folder.

        Args:
            folder: what holds the copy, below the folder of what is fetched.
            scratch: an empty folder in it.

        Raises:
            OSError: the rights cannot be changed.
        """
        if self._user is not None:
            for above in (folder, *folder.parents[:1]):
                self._user.let_pass(above)
            self._user.own(scratch)

    def lend_work(self, work: Path) -> None:
        """Let the reader of a project write in an empty folder two below the data folder.

        Raises:
            OSError: the rights cannot be changed.
        """
        if self._user is not None:
            for above in work.parents[:2]:
                self._user.let_pass(above)
            self._user.own(work)

    def excess(self, folders: Iterable[Path]) -> str:
        """Whether an engine has written more into its folders than it may: a sentence, or empty if not.

        Looks at no more files than are allowed, and follows no links.
        """
        size = count = 0
        waiting = list(folders)
        while waiting:
            try:
                with os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        count += 1
                        if count > self._max_files:
                            return (
                                f"it wrote more than {self._max_files} files in one attempt; more are not allowed "
                                "(max_attempt_files)"
                            )
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(Path(entry.path))
                        else:
                            size += entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue  # it was moved or removed meanwhile: by us, or by the engine
        if size > self._max_bytes:
            return f"it wrote {size} bytes in one attempt; {self._max_bytes} are allowed (max_attempt_bytes)"
        return ""
