"""What this node does for the farm, and when: paused by a person or not, its schedule, its tags, its memory.

The only one who says whether this node begins a job. What people have set is kept in ``node.json`` in the data folder,
so that a node that somebody has paused is still paused after a restart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from app.jobs.record import JobSpec
from app.node.instance import InstanceError, write_private
from app.node.schedule import is_open, next_change, words
from client.models import RenderWindow

DUTY_FILE: Final = "node.json"
_LONGEST_SLEEP: Final = 600.0
"""The clock of a machine may be set, or stand still while it sleeps: it is looked at so often, in seconds."""


class Orders(BaseModel):
    """What people have set. Times are seconds since 1970."""

    model_config = ConfigDict(frozen=True, serialize_by_alias=True)

    paused: bool = False
    reason: str = ""
    until: float | None = None
    tags: tuple[str, ...] = ()
    schedule: tuple[RenderWindow, ...] = ()


class Duty:
    """The duty of this node. For the event loop's thread; :meth:`load` it, then :meth:`start` it, :meth:`close` it.

    Args:
        folder: the data folder.
        memory: of this machine, in bytes.
    """

    def __init__(self, folder: Path, memory: int) -> None:
        self.orders = Orders()
        self.memory = memory
        self._path = folder / DUTY_FILE
        self._writing = asyncio.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._told = ""

    async def load(self) -> None:
        """Read what was set before.

        Raises:
            InstanceError: it cannot be read.
        """
        self.orders = await asyncio.to_thread(_read, self._path)
        self._told = self.resting()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have a part of the service told when this node begins other jobs than before; must not wait."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Watch the clock from now on."""
        self._look()

    def close(self) -> None:
        """Watch the clock no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- asking --------------------------------------------------------------------------------------------------

    def resting(self) -> str:
        """Why this node begins nothing new, as a sentence; empty if it does."""
        orders, now = self.orders, time.time()
        if orders.paused and (orders.until is None or orders.until > now):
            why = f": {orders.reason}" if orders.reason else ""
            until = "" if orders.until is None else f"; it goes on {_clock(orders.until, now)}"
            return f"this node is paused{why}{until}"
        if not is_open(orders.schedule, now):
            opens = next_change(orders.schedule, now)
            until = "" if opens is None else f"; it goes on {_clock(opens, now)}"
            return f"this node renders only in its schedule ({words(orders.schedule)}){until}"
        return ""

    def held_back(self, spec: JobSpec) -> str:
        """Why this node begins nothing of a job, as a sentence; empty if it does."""
        orders = self.orders
        if spec.tags and (lacking := [tag for tag in spec.tags if tag not in orders.tags]):
            has = ", ".join(orders.tags) or "none"
            noun = "the tag" if len(lacking) == 1 else "the tags"
            return f"waits for a node with {noun} {', '.join(lacking)}; this one has {has}"
        if spec.memory_bytes is not None and spec.memory_bytes > self.memory:
            return f"waits for a node with {spec.memory_bytes:,} bytes of memory; this one has {self.memory:,}"
        if (resting := self.resting()) != "":
            return f"waits: {resting}"
        return ""

    # --- setting -------------------------------------------------------------------------------------------------

    async def pause(self, reason: str = "", until: float | None = None) -> None:
        """Begin nothing new, until somebody resumes it or the time has come (seconds since 1970).

        Raises:
            InstanceError: it could not be kept, and nothing was changed.
        """
        await self._set(paused=True, reason=reason, until=until)

    async def resume(self) -> None:
        """Begin new things again, as the schedule says.

        Raises:
            InstanceError: it could not be kept, and nothing was changed.
        """
        await self._set(paused=False, reason="", until=None)

    async def change(self, tags: Sequence[str] | None = None, schedule: Sequence[RenderWindow] | None = None) -> None:
        """Give this node other tags, or another schedule; None: they stay.

        Raises:
            InstanceError: it could not be kept, and nothing was changed.
        """
        changes: dict[str, object] = {}
        if tags is not None:
            changes["tags"] = tuple(dict.fromkeys(tags))
        if schedule is not None:
            changes["schedule"] = tuple(schedule)
        await self._set(**changes)

    async def _set(self, **changes: object) -> None:
        async with self._writing:
            orders = self.orders.model_copy(update=changes)
            await asyncio.to_thread(write_private, self._path, orders.model_dump_json())
            self.orders = orders
        self._tell()
        if self._timer is not None:
            self._look()

    def _tell(self) -> None:
        self._told = self.resting()
        for listener in self._listeners:
            listener()

    def _look(self) -> None:
        """See whether the time has come for something, and sleep until it may."""
        self.close()
        now, orders = time.time(), self.orders
        if self.resting() != self._told:
            self._tell()
        moments = [next_change(orders.schedule, now), orders.until if orders.paused else None]
        sleep = min((moment - now for moment in moments if moment is not None and moment > now), default=_LONGEST_SLEEP)
        loop = asyncio.get_running_loop()
        # A little later than the moment, not before it: the two clocks are not the same.
        self._timer = loop.call_later(min(sleep + 0.01, _LONGEST_SLEEP), self._look)


def _read(path: Path) -> Orders:
    try:
        return Orders.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Orders()
    except ValidationError as error:
        raise InstanceError(
            f"{path} is damaged: mend it, or delete it; the node is then not paused, and has no tags and no schedule"
        ) from error
    except OSError as error:
        raise InstanceError(f"{path} cannot be read: {error.strerror}") from error


def _clock(moment: float, now: float) -> str:
    """A moment on the clock of this machine: ``at 18:00``, ``on 2026-05-01 at 18:00``."""
    at, today = datetime.fromtimestamp(moment).astimezone(), datetime.fromtimestamp(now).astimezone()
    return f"at {at:%H:%M}" if at.date() == today.date() else f"on {at:%Y-%m-%d} at {at:%H:%M}"
