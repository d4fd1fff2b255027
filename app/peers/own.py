"""What this node says of itself to the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import psutil

from app.node.duty import Duty
from app.node.status import CpuMeter
from app.peers.greeting import Me
from app.version import API_VERSION, APP_VERSION
from client.models import NodeBrief


class OwnBrief:
    """Says how this node is. Nothing here waits or blocks.

    Args:
        duty: whether it begins anything now, and what it may be given.
        slots: sessions at a time, by engine.
        busy: sessions that run now, by engine.
        engines: installed versions by engine, newest first.
        port: where the service really listens.
        public_address: by which others reach it, if the operator says so.
    """

    def __init__(
        self,
        me: Me,
        duty: Duty,
        *,
        slots: Callable[[], Mapping[str, int]],
        busy: Callable[[], Mapping[str, int]],
        engines: Callable[[], Mapping[str, Sequence[str]]],
        port: Callable[[], int],
        public_address: str | None = None,
    ) -> None:
        self._me = me
        self._duty = duty
        self._slots = slots
        self._busy = busy
        self._engines = engines
        self._port = port
        self._public_address = public_address or ""
        self._meter = CpuMeter()
        self.trees: Callable[[], Sequence[str]] = tuple
        """Ids of the project trees that are complete here, newest first."""

    def __call__(self) -> NodeBrief:
        """How it is now."""
        memory = psutil.virtual_memory()
        resting = self._duty.resting()
        return NodeBrief(
            id=self._me.id,
            name=self._me.name,
            port=self._port(),
            scheme="https" if self._me.fingerprint else "http",
            public_address=self._public_address,
            app_version=APP_VERSION,
            api_version=API_VERSION,
            slots=dict(self._slots()),
            busy=dict(self._busy()),
            paused=bool(resting),
            paused_reason=resting,
            tags=list(self._duty.orders.tags),
            memory_total=memory.total,
            memory_available=memory.available,
            cpu_percent=self._meter.percent(),
            engines={name: list(versions) for name, versions in self._engines().items()},
            trees=list(self.trees()),
        )
