"""Another user as whom engines run, and the way for that user into the data folder: to what a job needs, no further.

The service itself is root then. The user's group may pass through the folders that lead to a job and read its project;
only the folders of the attempt and the session are the user's own. Outputs, uploads, the store and the tokens stay out
of reach, also for an engine that was taken over by a project.
"""

from __future__ import annotations

import os
import stat
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Final

from app.jobs.folders import DataFolder
from app.render.processes import RunAs
from app.settings import SettingsError

_REMEMBERED: Final = 10_000
"""Projects of which it is known that the user may read them."""
_PASS, _READ = stat.S_IXGRP, stat.S_IRGRP


class EngineUser:
    """One user of this machine. Every method is for a thread.

    Raises:
        SettingsError: there is no such user, or the service may not become another one.
    """

    def __init__(self, name: str, folders: DataFolder) -> None:
        self.name = name
        self.run_as = _found(name)
        self._folders = folders
        self._lent: OrderedDict[Path, None] = OrderedDict()

    def open_way(self) -> None:
        """Let the user through to the jobs, the projects and the managed engines. Once, at start.

        Raises:
            SettingsError: something above the data folder is closed to that user.
        """
        folders = self._folders
        for above in reversed(folders.root.parents):
            if not self._may_pass(above):
                raise SettingsError(
                    f"engine_user: {self.name} cannot get into the data folder: {above} is closed to that user. "
                    f"Put the data folder elsewhere (data_dir), or open the way: chmod o+x {above}"
                )
        for folder in (folders.root, folders.jobs, folders.projects, folders.engines, folders.fetching):
            self._share(folder, _PASS)

    def give(self, folder: Path) -> None:
        """Make the folder of an attempt or a session, or of a job's parts, the user's own."""
        holder = folder.parent
        job = holder.name if holder.parent == self._folders.jobs else folder.name.rpartition("-")[0]
        for closed in (self._folders.output(job), self._folders.previews(job)):
            closed.mkdir(mode=0o700, parents=True, exist_ok=True)
            closed.chmod(0o700)
        for above in (holder.parent, holder):
            self._share(above, _PASS)
        self.own(folder)

    def own(self, folder: Path) -> None:
        """Make a scratch folder the user's own, and nobody else's."""
        os.chown(folder, self.run_as.uid, self.run_as.gid, follow_symlinks=False)
        folder.chmod(0o700)

    def show(self, folder: Path) -> None:
        """Let the user read the files in the folder of an attempt that is not the user's own: another node rendered."""
        if folder.lstat().st_uid == self.run_as.uid:
            return
        for above in (folder.parent.parent, folder.parent):
            self._share(above, _PASS)
        self._share(folder, _PASS | _READ)
        for file in folder.iterdir():
            self._share(file, _READ)

    def let_pass(self, folder: Path) -> None:
        """Let the user through a folder of ours, and see what is in it."""
        self._share(folder, _PASS | _READ)

    def lend(self, project: Path) -> None:
        """Let the user read an uploaded project with all that belongs to it; one that is read in place is not ours."""
        if not project.is_relative_to(self._folders.projects):
            return
        whole = self._folders.projects / project.relative_to(self._folders.projects).parts[0]
        if whole in self._lent:
            return
        for parent, _, files in os.walk(whole):
            self._share(Path(parent), _PASS | _READ)
            for name in files:
                self._share(Path(parent, name), _READ)
        self._lent[whole] = None
        if len(self._lent) > _REMEMBERED:
            self._lent.popitem(last=False)

    def _share(self, path: Path, rights: int) -> None:
        """Give the user's group these rights, and no more than these and what others have anyway."""
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            return
        others = (found.st_mode & stat.S_IRWXO) << 3
        mode = stat.S_IMODE(found.st_mode) & ~stat.S_IRWXG | rights | others
        if found.st_gid != self.run_as.gid:
            os.chown(path, -1, self.run_as.gid, follow_symlinks=False)
        if stat.S_IMODE(found.st_mode) != mode:
            path.chmod(mode)

    def _may_pass(self, folder: Path) -> bool:
        found = folder.stat()
        if found.st_uid == self.run_as.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid in (self.run_as.gid, *self.run_as.groups):
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)


def _found(name: str) -> RunAs:
    if sys.platform == "win32":
        raise SettingsError("engine_user: Windows cannot start engines as another user without that user's password")
    import pwd  # there is none on Windows

    try:
        known = pwd.getpwnam(name)
    except KeyError:
        raise SettingsError(f"engine_user: this machine has no user {name!r}") from None
    if os.geteuid() != 0:
        raise SettingsError("engine_user: only a service that root runs can start engines as another user")
    if known.pw_uid == 0:
        raise SettingsError(f"engine_user: {name!r} is root; name a user who may do nothing else")
    groups = tuple(group for group in os.getgrouplist(name, known.pw_gid) if group != known.pw_gid)
    return RunAs(known.pw_uid, known.pw_gid, groups)
