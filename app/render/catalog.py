"""Which engines this node knows and which versions of them it has.

Built-in and third-party engines are found the same way: entry points of the group ``zordon.engines``. A plug-in that
does not load is named with the reason and skipped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import structlog
from pydantic import JsonValue

from app.render.finding import FoundCopies, UnusableCopy, find_copies
from app.render.probe import ask
from app.render.processes import RunAs
from app.render.sizes import FolderSizes
from app.settings import Settings, SettingsError
from engines.contract import Engine, EngineVersion, InstallKind

log = structlog.get_logger(__name__)

GROUP = "zordon.engines"

USE_SECONDS = 60.0
"""How long a copy counts as used without being noted again."""

UsedListener = Callable[[EngineVersion, float], None]


class UnknownEngine(LookupError):
    """There is no engine of this name here."""


class EngineCatalog:
    """All engines and their installed versions. Call :meth:`refresh` before anything else.

    Raises:
        SettingsError: the settings name an engine that is not there, or add-ons for one that takes none.
    """

    def __init__(self, settings: Settings, managed: Path, run_as: RunAs | None = None) -> None:
        """``run_as``: the user as whom engines are asked about themselves; None: the service's own."""
        self._settings = settings
        self._run_as = run_as
        self._managed = managed
        self._found: dict[str, FoundCopies] = {}
        self._sizes = FolderSizes()
        self._used: dict[tuple[str, str], float] = {}  # seconds since 1970, by engine and version
        self._on_used: list[UsedListener] = []
        self._info: dict[EngineVersion, Mapping[str, JsonValue]] = {}
        self._help: dict[EngineVersion, str] = {}
        self.engines: dict[str, Engine] = {}
        self.broken: dict[str, str] = {}
        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            self._load(point)
        self._check_settings()

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

    def _check_settings(self) -> None:
        settings = self._settings
        for name in settings.allow_raw_arguments:
            if name not in self.engines and name not in self.broken:
                known = ", ".join(sorted(self.engines))
                raise SettingsError(f"allow_raw_arguments: there is no engine {name!r}; this node knows {known}")
        for setting, names in (
            ("custom_engines", settings.custom_engines),
            ("engine_addons", settings.engine_addons),
            ("engine_startup_scripts", settings.engine_startup_scripts),
        ):
            for name in names:
                if name not in self.engines and name not in self.broken:
                    known = ", ".join(sorted(self.engines))
                    raise SettingsError(f"{setting}: there is no engine {name!r}; this node knows {known}")
                if setting != "custom_engines" and name in self.engines and not self.engines[name].takes_addons:
                    raise SettingsError(f"{setting}.{name}: {self.engines[name].title} takes none")

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
        return self._copies(name).versions

    def unusable(self, name: str) -> tuple[UnusableCopy, ...]:
        """Copies that are there, or that the settings name, and that cannot be used, with the reason.

        Raises:
            UnknownEngine: see :meth:`engine`.
        """
        self.engine(name)
        return self._copies(name).unusable

    def find(self, name: str, version: str) -> EngineVersion | None:
        """The installed copy of exactly this version, if there is one."""
        return next((item for item in self._copies(name).versions if item.version == version), None)

    def for_filename(self, filename: str) -> Engine | None:
        """The engine that opens a project of this name; None if none does."""
        return next((engine for engine in self.engines.values() if engine.opens(filename)), None)

    def slots(self, name: str) -> int:
        """Sessions of an engine at a time on this node."""
        return self._settings.slots.get(name, self.engine(name).default_slots)

    # --- asking the engines themselves ---------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Look again which versions are installed."""
        settings = self._settings
        found = await asyncio.gather(
            *(
                find_copies(
                    engine,
                    self._managed / name,
                    settings.engine_paths.get(name, []),
                    settings.custom_engines.get(name, {}),
                    self._run_as,
                )
                for name, engine in self.engines.items()
            )
        )
        self._found = dict(zip(self.engines, found, strict=True))

    async def help(self, version: EngineVersion) -> str:
        """The help that an engine prints about itself; asked once.

        Raises:
            ProbeError: it cannot be started.
        """
        if version not in self._help:
            argv = self.engines[version.engine].help_argv(version)
            self._help[version] = (await ask(argv, run_as=self._run_as))[1] if argv else ""
        return self._help[version]

    async def info(self, version: EngineVersion) -> Mapping[str, JsonValue]:
        """System info of an installed copy (devices, encoders); asked once.

        Raises:
            ProbeError: it cannot be started.
        """
        if version not in self._info:
            engine = self.engines[version.engine]
            printed = [
                (await ask(argv, seconds=60.0, run_as=self._run_as))[1] for argv in engine.info_commands(version)
            ]
            self._info[version] = engine.parse_info("\n".join(printed)) if printed else {}
        return self._info[version]

    # --- what becomes of copies ----------------------------------------------------------------------------------

    async def size(self, copy: EngineVersion) -> int | None:
        """Bytes that a managed or custom copy takes on the disk; None for what others installed."""
        place = self._place(copy)
        return None if place is None else await self._sizes.size(place)

    def used(self, copy: EngineVersion) -> None:
        """A session of this copy begins. Whoever listens hears of it at most once in :data:`USE_SECONDS`."""
        key, now = (copy.engine, copy.version), time.time()
        if now - self._used.get(key, 0.0) >= USE_SECONDS:
            self._used[key] = now
            for listener in self._on_used:
                listener(copy, now)

    def on_used(self, listener: UsedListener) -> None:
        """Have a listener called with the copy and the time, in seconds since 1970, when one was used."""
        self._on_used.append(listener)

    def remember_uses(self, uses: Mapping[tuple[str, str], float]) -> None:
        """What is known from before the start: seconds since 1970, by engine and version."""
        self._used.update(uses)

    def last_used(self, copy: EngineVersion) -> float | None:
        """When a copy was used last, in seconds since 1970; None if never, as far as anybody knows."""
        return self._used.get((copy.engine, copy.version))

    def _place(self, copy: EngineVersion) -> Path | None:
        """The file or folder that is all of a copy."""
        if copy.kind is InstallKind.MANAGED:
            folder = self._managed / copy.engine
            if not copy.path.is_relative_to(folder) or copy.path == folder:
                return copy.path
            return folder / copy.path.relative_to(folder).parts[0]
        if copy.kind is InstallKind.CUSTOM:
            return self._settings.custom_engines[copy.engine][copy.version]
        return None

    def _copies(self, name: str) -> FoundCopies:
        return self._found.get(name, FoundCopies())
