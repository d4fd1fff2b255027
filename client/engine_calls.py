"""The routes under ``/api/engines``: what is installed, what an engine takes, what could be installed."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final, Literal
from urllib.parse import quote

from pydantic import JsonValue, TypeAdapter

from .connection import Connection, read, read_text
from .models import (
    EngineArgs,
    EngineAvailability,
    EngineDetail,
    EngineDownloadAvailable,
    EngineKey,
    EnginePruned,
    EngineReleases,
    Install,
    MostRecentVersion,
)

_ENGINES: Final = TypeAdapter(dict[str, EngineDetail])
_ENGINE: Final = TypeAdapter(EngineDetail)
_NAMES: Final = TypeAdapter(list[str])
_AVAILABILITY: Final = TypeAdapter(EngineAvailability)
_ARGS: Final = TypeAdapter(EngineArgs)
_DOWNLOAD: Final = TypeAdapter(EngineDownloadAvailable)
_MOST_RECENT: Final = TypeAdapter(MostRecentVersion)
_RELEASES: Final = TypeAdapter(EngineReleases)
_INSTALL: Final = TypeAdapter(Install)
_INSTALLS: Final = TypeAdapter(list[Install])
_PRUNED: Final = TypeAdapter(EnginePruned)

_FULL_TIMEOUT: Final = 120.0
"""``full`` asks every engine about itself; a Blender takes seconds."""
_SOURCES_TIMEOUT: Final = 120.0
"""A node asks its own sources before it answers."""

ResponseType = Literal["standard", "full"]


class EngineCalls:
    """The engine routes of a node. An engine that the node does not know raises NotFound or BadRequest."""

    connection: Connection

    async def get_engine_for_filename(self, filename: str) -> str:
        """The engine for a project's file name; only the base name is sent.

        Raises:
            RequestRefused: no engine opens such a file.
        """
        return read_text(
            await self.connection.get("/api/engines/for_filename", {"filename": PurePath(filename).name})
        ).strip()

    async def get_engines(self, response_type: ResponseType = "standard") -> dict[str, EngineDetail]:
        """Every engine, by name; ``full`` adds formats, system info and the form of the options."""
        return read(
            _ENGINES,
            await self.connection.get("/api/engines", {"response_type": response_type}, timeout=_FULL_TIMEOUT),
        )

    async def get_engine_names(self) -> list[str]:
        """The names of the installed engines."""
        return read(_NAMES, await self.connection.get("/api/engines/names"))

    async def get_engine(self, engine: str, response_type: ResponseType = "standard") -> EngineDetail:
        """One engine."""
        return read(
            _ENGINE, await self.connection.get(_of(engine), {"response_type": response_type}, timeout=_FULL_TIMEOUT)
        )

    async def get_engine_availability(self, engine: str) -> EngineAvailability:
        """Whether the node takes jobs for an engine now, and why not."""
        return read(_AVAILABILITY, await self.connection.get(_of(engine, "availability")))

    async def get_engine_args(self, engine: str) -> EngineArgs:
        """The JSON Schema of an engine's typed options."""
        return read(_ARGS, await self.connection.get(_of(engine, "args")))

    async def get_engine_help(self, engine: str) -> str:
        """What the engine prints about itself."""
        return (await self.connection.get(_of(engine, "help"), timeout=_FULL_TIMEOUT)).text

    async def is_engine_available_to_download(
        self, engine: str, version: str, system_os: str | None = None, cpu: str | None = None
    ) -> EngineDownloadAvailable:
        """Whether a version can be fetched.

        Raises:
            Unavailable: no source could be asked.
        """
        query = {"engine": engine, "version": version, "system_os": system_os, "cpu": cpu}
        return read(
            _DOWNLOAD, await self.connection.get("/api/engines/download_available", query, timeout=_SOURCES_TIMEOUT)
        )

    async def get_most_recent_version(
        self, engine: str, system_os: str | None = None, cpu: str | None = None
    ) -> MostRecentVersion:
        """The newest version that can be fetched.

        Raises:
            NotFound: nobody offers any.
            Unavailable: no source could be asked.
        """
        query = {"engine": engine, "system_os": system_os, "cpu": cpu}
        return read(
            _MOST_RECENT, await self.connection.get("/api/engines/most_recent_version", query, timeout=_SOURCES_TIMEOUT)
        )

    async def get_available_engines(
        self, engine: str, system_os: str | None = None, cpu: str | None = None
    ) -> EngineReleases:
        """Every version that can be fetched, newest first, and the sources that could not be asked."""
        query = {"engine": engine, "system_os": system_os, "cpu": cpu}
        return read(_RELEASES, await self.connection.get("/api/engines/available", query, timeout=_SOURCES_TIMEOUT))

    async def download_engine(
        self, engine: str, version: str, system_os: str | None = None, cpu: str | None = None
    ) -> Install:
        """Have a version installed. Returns the install as soon as it has begun; see :meth:`get_install`.

        Raises:
            NotFound: nobody offers it.
            Unavailable: no source could be asked.
        """
        query = {"engine": engine, "version": version, "system_os": system_os, "cpu": cpu}
        return read(
            _INSTALL,
            await self.connection.send("POST", "/api/engines/download", query, timeout=_SOURCES_TIMEOUT),
        )

    async def get_installs(self) -> list[Install]:
        """The installs under way, and those that have ended lately, oldest first."""
        return read(_INSTALLS, await self.connection.get("/api/engines/installs"))

    async def get_install(self, install_id: str) -> Install:
        """One install.

        Raises:
            NotFound: there is none, or it ended long ago.
        """
        return read(_INSTALL, await self.connection.get(_of("installs", quote(install_id, safe=""))))

    async def cancel_install(self, install_id: str) -> Install:
        """Stop an install; what has come of it is thrown away.

        Raises:
            NotFound: there is none.
        """
        path = f"{_of('installs', quote(install_id, safe=''))}/cancel"
        return read(_INSTALL, await self.connection.send("POST", path))

    async def prune_engines(
        self, *, dry_run: bool = False, unused_days: float | None = None, budget_bytes: int | None = None
    ) -> EnginePruned:
        """Delete managed versions that nobody has used for long, until the rest is within the budget."""
        query = {"dry_run": dry_run, "unused_days": unused_days, "budget_bytes": budget_bytes}
        return read(_PRUNED, await self.connection.send("POST", "/api/engines/prune", query))

    async def delete_engine_download(
        self, engine: str, version: str, system_os: str | None = None, cpu: str | None = None
    ) -> str:
        """Delete a managed version; the node's own word on it.

        Raises:
            NotFound: the node has no such version.
            Conflict: a job uses or needs it, or it is not Zordon's to delete.
        """
        key: JsonValue = EngineKey(engine=engine, version=version, system_os=system_os, cpu=cpu).model_dump(
            mode="json", exclude_none=True
        )
        return (await self.connection.send("POST", "/api/engines/delete", json=key)).text


def _of(engine: str, noun: str = "") -> str:
    segment = quote(engine, safe="")
    return f"/api/engines/{segment}/{noun}" if noun else f"/api/engines/{segment}"
