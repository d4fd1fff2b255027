"""The nodes of the farm as this one knew them last, in ``peers.json``: where no multicast goes, a restart must not lose
them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from app.node.instance import InstanceError, write_private

log = structlog.get_logger(__name__)

KNOWN_FILE: Final = "peers.json"


class Remembered(BaseModel):
    """A node that has proven itself."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    name: str
    address: str


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    farm: str
    nodes: list[Remembered]


class KnownNodes:
    """Keeps the list. What cannot be kept is found again, or not; nothing else depends on it.

    Args:
        folder: the data folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / KNOWN_FILE
        self._writing = asyncio.Lock()
        self._newest: _File | None = None

    def load(self, farm: str) -> list[Remembered]:
        """The nodes of a farm. For a thread."""
        try:
            found = _File.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as error:
            log.warning("the list of known nodes cannot be read", file=str(self._path), reason=str(error))
            return []
        return found.nodes if found.farm == farm else []

    async def keep(self, farm: str, nodes: list[Remembered]) -> None:
        """Write the list; of several at a time the newest is what stays."""
        self._newest = _File(farm=farm, nodes=nodes)
        async with self._writing:
            newest, self._newest = self._newest, None
            if newest is None:
                return
            try:
                await asyncio.to_thread(write_private, self._path, newest.model_dump_json(indent=1))
            except InstanceError as error:
                log.warning("the list of known nodes cannot be kept", reason=str(error))
