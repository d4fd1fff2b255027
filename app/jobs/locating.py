"""Where the project of a request is, which engine opens it, and what is in it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.jobs.errors import Forbidden, RequestError
from app.jobs.planning import Catalog, Inspect, Project, choose_engine, refused
from app.jobs.projects import find_project, named_project
from app.jobs.threads import in_thread
from app.jobs.unpack import UnpackLimits, unpack
from app.jobs.versions import Offered, choose_version
from app.outputs.workers import WorkerCrashed, WorkerTimedOut
from app.settings import Settings
from engines.contract import Engine, Fetchable, ProjectInfo, Refusal, VersionChoice, VersionWish

MAX_INSPECTIONS: Final = 256
"""So many projects of other nodes are known without looking into them again."""

CheckOut = Callable[[str], Awaitable[Path | None]]
"""What the engine opens of a tree, in a folder below ``projects/``; None if the tree is not complete on this node."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the project of some jobs is: a file, or a folder in which it has to be found."""

    name: str  # for people
    path: Path
    stored: str  # how JobSpec.project_path begins
    field: str  # wire field that it came from


@dataclass(slots=True)
class Found:
    """What was found out once for all jobs of a request."""

    projects: dict[tuple[Path, str | None, str | None], tuple[Engine, Project]] = field(default_factory=dict)
    infos: dict[tuple[Path, str], ProjectInfo] = field(default_factory=dict)
    fetchable: dict[str, Fetchable] = field(default_factory=dict)  # by engine


class ProjectFinder:
    """Finds projects and looks into them. One for the whole service; for the event loop's thread."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        inspect: Inspect,
        offered: Offered | None,
        check_out: CheckOut | None = None,
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._inspect = inspect
        self._offered = offered
        self._check_out = check_out
        self._of_trees: OrderedDict[tuple[str, str], ProjectInfo] = OrderedDict()  # by project path and engine

    async def project(
        self, place: Place | None, renderer: str | None, named: str | None, found: Found
    ) -> tuple[Engine, Project | None]:
        """The engine of a request, and the project that it opens.

        Args:
            place: None: there is no project.
            renderer: the engine that was named; None: the one that opens it.
            named: which file of an archive or a folder it is; None: the one nearest to the top.

        Raises:
            RequestError: there is none, or they do not fit.
        """
        if place is None:
            if named is not None:
                raise RequestError("it names a file in an archive or a folder, and none was sent", "project")
            engine = choose_engine(self._catalog, renderer, None)
            if engine.needs_project:
                raise RequestError(
                    f"{engine.title} needs a project: upload it as the part 'file' or name it in local_path", "file"
                )
            return engine, None
        key = (place.path, renderer, named)
        if key not in found.projects:
            if await asyncio.to_thread(place.path.is_dir):
                found.projects[key] = await self._search(renderer, place, named)
            elif named is not None:
                raise RequestError(f"{place.name!r} is no archive and no folder: it is the project itself", "project")
            else:
                engine = choose_engine(self._catalog, renderer, place.name)
                found.projects[key] = engine, Project(place.name, place.path, place.stored, place.field)
        return found.projects[key]

    async def _search(self, renderer: str | None, place: Place, named: str | None) -> tuple[Engine, Project]:
        if named is not None:
            path = await asyncio.to_thread(named_project, place.path, named)
            engine = choose_engine(self._catalog, renderer, path.name)
            stored = f"{place.stored}/{path.relative_to(place.path).as_posix()}"
            return engine, Project(path.name, path, stored, place.field)
        asked = None if renderer is None else choose_engine(self._catalog, renderer, None)
        engines = list(self._catalog.engines.values())
        try:
            found = await asyncio.to_thread(find_project, place.path, asked, engines, self._settings.max_archive_files)
        except RequestError as error:
            raise type(error)(f"{place.name!r} cannot be used: {error.message}", place.field) from error
        below = found.path.relative_to(place.path)
        name = place.name if found.path == place.path else found.path.name
        stored = place.stored if found.path == place.path else f"{place.stored}/{below.as_posix()}"
        return found.engine, Project(name, found.path, stored, place.field)

    async def local(self, text: str, local: bool) -> Place:
        """A project that is read in place.

        Args:
            text: the path that the client has named.
            local: whether the client is on this machine.

        Raises:
            Forbidden: it may not be read for this client.
            RequestError: it is not there.
        """
        if not local:
            raise Forbidden(
                "it is only for clients on this machine; upload the project as the part 'file'", "local_path"
            )
        if not self._settings.local_roots:
            raise Forbidden(
                "no folder may be read in place here: the setting local_roots (ZORDON_LOCAL_ROOTS) is empty",
                "local_path",
            )
        path = await asyncio.to_thread(_resolve_local, text, self._settings.local_roots)
        return Place(path.name, path, str(path), "local_path")

    async def of_tree(self, tree_id: str, by: str) -> Place:
        """A project that another node has sent.

        Args:
            tree_id: which one.
            by: id of whoever asks.

        Raises:
            Forbidden: it is no node of the farm.
            RequestError: the project is not complete here.
        """
        if not by.startswith("node:"):
            raise Forbidden("only another node of the farm may name a tree; upload the project", "project_tree")
        path = None if self._check_out is None else await self._check_out(tree_id)
        if path is None:
            raise RequestError(
                f"the project {tree_id[:16]}… is not complete on this node: have it prepared first", "project_tree"
            )
        stored = path.relative_to(self._settings.data_dir).as_posix()
        return Place(path.name, path, stored, "project_tree")

    async def info(self, engine: Engine, project: Project, found: Found) -> ProjectInfo:
        """What is in a project.

        Raises:
            RequestError: it cannot be read, or the engine refuses it.
        """
        key = (project.path, engine.name)
        if (known := self._of_trees.get((project.stored, engine.name))) is not None:
            return known  # a tree's content is always the same
        if key not in found.infos:
            try:
                found.infos[key] = await self._inspect(engine, project.path)
            except Refusal as refusal:
                raise refused(refusal, project) from refusal
            except WorkerTimedOut as late:
                raise RequestError(
                    f"{project.name!r} cannot be read: its reader was not through with it in "
                    f"{self._settings.inspect_seconds:g} seconds (inspect_seconds), so it is damaged or too large",
                    project.field,
                ) from late
            except WorkerCrashed as crash:
                raise RequestError(
                    f"{project.name!r} cannot be read: it makes its reader crash, so it is damaged", project.field
                ) from crash
            if project.field == "project_tree":
                self._of_trees[project.stored, engine.name] = found.infos[key]
                if len(self._of_trees) > MAX_INSPECTIONS:
                    self._of_trees.popitem(last=False)
        return found.infos[key]

    async def fetched_version(self, engine: Engine, wish: VersionWish, found: Found) -> VersionChoice:
        """The version for which none is installed that would do, once it is known what could be fetched.

        Raises:
            RequestError: none could.
        """
        name = engine.name
        if name not in found.fetchable:
            nothing = Fetchable(allowed=self._settings.auto_install)
            found.fetchable[name] = nothing if self._offered is None else await self._offered(name)
        return choose_version(engine, wish, self._catalog.versions(name), found.fetchable[name])

    async def unpack(self, archive: Path, folder: Path) -> None:
        """Unpack a zip into a folder that does not exist yet.

        Raises:
            RequestError: see :func:`app.jobs.unpack.unpack`.
        """
        settings = self._settings
        limits = UnpackLimits(settings.max_archive_files, settings.max_unpacked_bytes, settings.min_free_bytes)
        await in_thread(lambda stop: unpack(archive, folder, limits, stop))


def _resolve_local(text: str, roots: list[Path]) -> Path:
    """The file or folder meant, links followed, if it lies under one of the roots."""
    path = Path(text)
    if "\0" in text or not path.is_absolute():
        raise RequestError(f"{text[:100]!r} is no absolute path", "local_path")
    try:
        path = path.resolve()
        allowed = any(path.is_relative_to(root.resolve()) for root in roots)
        if not allowed:
            raise Forbidden("it is not below one of the folders in the setting local_roots", "local_path")
        if not (path.is_file() or path.is_dir()):
            raise RequestError(f"there is no file or folder {text[:100]!r}", "local_path")
    except (OSError, RuntimeError) as error:
        raise RequestError(f"{text[:100]!r} cannot be read: {error}", "local_path") from error
    return path
