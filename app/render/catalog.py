"""Which engines this node knows and which versions of them it has.

Built-in and third-party engines are found the same way: entry points of the group ``zordon.engines``. A plug-in that
does not load is named with the reason and skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import structlog
from pydantic import JsonValue

from app.node.platforms import cpu_name, system_os
from app.render.probe import ProbeError, ask
from app.settings import Settings
from engines.contract import Engine, EngineCandidate, EngineVersion, InstallKind

log = structlog.get_logger(__name__)

GROUP = "zordon.engines"

_asked: dict[tuple[str, Path, int, int], str | None] = {}
"""What copies said of their version, by engine and file: a file that has not changed is not started again."""


class UnknownEngine(LookupError):
    """There is no engine of this name here."""


def version_key(version: str) -> tuple[int, ...]:
    """Orders versions: ``4.10`` after ``4.9``."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.replace("-", ".").split("."))


class EngineCatalog:
    """All engines and their installed versions. Call :meth:`refresh` before anything else."""

    def __init__(self, settings: Settings, managed: Path) -> None:
        self._settings = settings
        self._managed = managed
        self._versions: dict[str, tuple[EngineVersion, ...]] = {}
        self._info: dict[EngineVersion, Mapping[str, JsonValue]] = {}
        self._help: dict[EngineVersion, str] = {}
        self.engines: dict[str, Engine] = {}
        self.broken: dict[str, str] = {}
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            self._load(point)

    def _load(self, point: EntryPoint) -> None:
        try:
            engine = point.load()()
            if not isinstance(engine, Engine):
                raise TypeError(f"{point.value} is no Engine")
            if engine.name != point.name:
                raise TypeError(f"its name is {engine.name!r}, its entry point is {point.name!r}")
        except Exception as error:  # noqa: BLE001 - whatever a plug-in of somebody else raises, the service starts
            self.broken[point.name] = f"{type(error).__name__}: {error}"
            log.warning(
                "an engine plug-in is broken and was skipped", engine=point.name, reason=self.broken[point.name]
            )
        else:
            self.engines[engine.name] = engine

    # --- looking up ----------------------------------------------------------------------------------------------

    def engine(self, name: str) -> Engine:
        """The engine of this name.

        Raises:
            UnknownEngine: there is none, or its plug-in is broken; the message names those there are.
        """
        try:
            return self.engines[name]
        except KeyError:
            if name in self.broken:
                raise UnknownEngine(f"the engine {name!r} is broken on this node: {self.broken[name]}") from None
            known = ", ".join(sorted(self.engines))
            raise UnknownEngine(f"there is no engine {name[:60]!r}; this node knows {known}") from None

    def versions(self, name: str) -> tuple[EngineVersion, ...]:
        """Installed versions, newest first.

        Raises:
            UnknownEngine: see :meth:`engine`.
        """
        self.engine(name)
        return self._versions.get(name, ())

    def find(self, name: str, version: str) -> EngineVersion | None:
        """The installed copy of exactly this version, if there is one."""
        return next((item for item in self._versions.get(name, ()) if item.version == version), None)

    def for_filename(self, filename: str) -> Engine | None:
        """The engine that opens a project of this name; None if none does."""
        return next((engine for engine in self.engines.values() if engine.opens(filename)), None)

    def slots(self, name: str) -> int:
        """Sessions of an engine at a time on this node."""
        return self._settings.slots.get(name, self.engine(name).default_slots)

    # --- asking the engines themselves ---------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Look again which versions are installed."""
        found = await asyncio.gather(*(self._find_versions(engine) for engine in self.engines.values()))
        self._versions = dict(zip(self.engines, found, strict=True))

    async def help(self, version: EngineVersion) -> str:
        """The help that an engine prints about itself; asked once.

        Raises:
            ProbeError: it cannot be started.
        """
        if version not in self._help:
            argv = self.engines[version.engine].help_argv(version)
            self._help[version] = (await ask(argv))[1] if argv else ""
        return self._help[version]

    async def info(self, version: EngineVersion) -> Mapping[str, JsonValue]:
        """System info of an installed copy (devices, encoders); asked once.

        Raises:
            ProbeError: it cannot be started.
        """
        if version not in self._info:
            engine = self.engines[version.engine]
            argv = engine.info_argv(version)
            self._info[version] = engine.parse_info((await ask(argv, seconds=60.0))[1]) if argv else {}
        return self._info[version]

    async def _find_versions(self, engine: Engine) -> tuple[EngineVersion, ...]:
        candidates = list(await asyncio.to_thread(engine.find_candidates, self._managed / engine.name))
        configured = self._settings.engine_paths.get(engine.name, [])
        candidates += await asyncio.to_thread(_configured, engine, configured)
        versions = await asyncio.gather(*(self._version_of(engine, candidate) for candidate in candidates))
        unique: dict[str, EngineVersion] = {}
        for version in versions:
            if version is not None:
                unique.setdefault(version.version, version)
        return tuple(sorted(unique.values(), key=lambda version: version_key(version.version), reverse=True))

    async def _ask_version(self, engine: Engine, candidate: EngineCandidate) -> str | None:
        try:
            found = await asyncio.to_thread(candidate.path.stat)
        except OSError as error:
            raise ProbeError(f"{candidate.path} cannot be read: {error.strerror}") from error
        key = (engine.name, candidate.path, found.st_mtime_ns, found.st_size)
        if key not in _asked:
            _asked[key] = engine.parse_version((await ask(engine.version_argv(candidate)))[1])
        return _asked[key]

    async def _version_of(self, engine: Engine, candidate: EngineCandidate) -> EngineVersion | None:
        number = candidate.version
        if number is None:
            try:
                number = await self._ask_version(engine, candidate)
            except ProbeError as error:
                log.warning("an engine does not start and is not used", engine=engine.name, reason=str(error))
                return None
        if number is None:
            return None
        return EngineVersion(
            engine.name, number, candidate.path, candidate.kind, system_os(), cpu_name(), candidate.flavour
        )


def _configured(engine: Engine, paths: Sequence[Path]) -> list[EngineCandidate]:
    """Copies that the settings name. The engine itself knows what a folder holds; nothing there is ours to delete."""
    found: list[EngineCandidate] = []
    for path in paths:
        if path.is_dir():
            inside = (item for item in engine.find_candidates(path) if item.path.is_relative_to(path))
            found += [replace(item, kind=InstallKind.SYSTEM) for item in inside]
        else:
            found.append(EngineCandidate(path, InstallKind.SYSTEM))
    return found
