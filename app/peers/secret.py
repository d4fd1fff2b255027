"""The secret that makes machines one farm: 32 bytes in ``farm.json``, or a passphrase of the operator's.

It never crosses the wire: nodes prove that they hold it (:mod:`app.peers.signing`), and hand it to a new one only
sealed by the key that a pairing code gives (:mod:`app.peers.pairing`).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.node.instance import InstanceError, write_private

log = structlog.get_logger(__name__)

FARM_FILE: Final = "farm.json"
_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Farm:
    """A farm that this node belongs to. ``key`` is not for any log or answer."""

    id: str
    name: str
    key: bytes

    def __repr__(self) -> str:
        return f"<Farm {self.id} {self.name!r}>"


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    secret: str = Field(pattern="^[0-9a-f]{64}$")
    name: str = Field(min_length=1, max_length=100)


class FarmSecretError(Exception):
    """The farm cannot be changed; the message says why."""


class FarmSecret:
    """The farm of one node, if it has one, kept in its data folder.

    Args:
        folder: the data folder. Call :meth:`load` with the lock of the instance held.
        given: the setting ``farm_secret``; it wins over the file, and cannot be changed from here.
    """

    def __init__(self, folder: Path, given: str | None = None) -> None:
        self.path = folder / FARM_FILE
        self._given = given
        self._listeners: list[Callable[[Farm | None], None]] = []
        self.farm: Farm | None = None

    @property
    def is_given(self) -> bool:
        """Whether the setting ``farm_secret`` says which farm it is."""
        return self._given is not None

    def on_change(self, listener: Callable[[Farm | None], None]) -> None:
        """Have a listener called when the node comes into a farm, or into another one."""
        self._listeners.append(listener)

    def load(self) -> None:
        """Read it. For a thread: a passphrase is stretched, which takes a moment.

        Raises:
            InstanceError: the file is damaged or cannot be read.
        """
        if self._given is not None:
            # Stretched (RFC 7914), because proofs are there for everybody to try passphrases on.
            key = hashlib.scrypt(self._given.encode(), salt=b"zordon farm secret 1", n=1 << 14, r=8, p=1, dklen=_BYTES)
            self.farm = farm_of(key)
            return
        try:
            text = self.path.read_text("utf-8")
            if os.name == "posix" and stat.S_IMODE(self.path.stat().st_mode) & 0o077:
                log.warning("other users could read the farm's secret; now they cannot", file=str(self.path))
                self.path.chmod(0o600)
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError) as error:
            raise InstanceError(f"{self.path} cannot be read: {error}") from error
        try:
            found = _File.model_validate_json(text)
        except ValidationError as error:
            raise InstanceError(
                f"{self.path} is damaged: delete it, and join the farm again with `zordon join`"
            ) from error
        self.farm = farm_of(bytes.fromhex(found.secret), found.name)

    async def create(self, name: str) -> Farm:
        """Found a farm, of which this node is the first.

        Raises:
            FarmSecretError: it is in one, or the file cannot be written.
        """
        if self.farm is not None:
            raise FarmSecretError(f"this node is in the farm {self.farm.name!r} already")
        return await self._keep(secrets.token_bytes(_BYTES), name)

    async def join(self, key: bytes, name: str) -> Farm:
        """Belong to the farm with this key from now on.

        Raises:
            FarmSecretError: the setting says which farm it is, or the file cannot be written.
        """
        if self._given is not None:
            raise FarmSecretError(
                "farm_secret (ZORDON_FARM_SECRET) says which farm this node is in; take that away to join another one"
            )
        return await self._keep(key, name)

    async def _keep(self, key: bytes, name: str) -> Farm:
        farm = farm_of(key, name)
        text = json.dumps({"name": farm.name, "secret": farm.key.hex()}, indent=1)
        try:
            await asyncio.to_thread(write_private, self.path, text)
        except InstanceError as error:
            raise FarmSecretError(str(error)) from error
        self.farm = farm
        for listener in self._listeners:
            listener(farm)
        return farm


def farm_of(key: bytes, name: str = "") -> Farm:
    """The farm with this key. Its id follows from the key, and tells nothing of it: equal ids are equal keys."""
    found = hmac.new(key, b"zordon farm id 1", hashlib.sha256).hexdigest()[:16]
    return Farm(found, name or f"farm {found[:6]}", key)
