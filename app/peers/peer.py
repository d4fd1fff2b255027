"""A node of the farm as this one knows it, and what changes about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from app.peers.client import PeerClient
from client.addresses import Address
from client.errors import ConnectionFailed, ZordonError
from client.models import HelloAnswer, NodeBrief, NodeState, PeerNode

log = structlog.get_logger(__name__)

BYE_PATH: Final = "/api/peers/bye"
BYE_SECONDS: Final = 1.0


class SameId(Exception):
    """Another service has the id of the node that asks; the message says which."""


@dataclass(frozen=True, slots=True)
class PeerChange:
    """A node came, went, or is not used any more; ``reason`` says why, for people."""

    node_id: str
    state: NodeState
    reason: str


PeerListener = Callable[[PeerChange], None]


class Peer:
    """Another node that has proven itself once. One object for it as long as this service runs and nobody has it
    forgotten; ask for :attr:`client` each time, for a node may move.

    Attributes:
        brief: what it said of itself last.
        state: what is known of it now.
        reason: why it is not online; empty if it is.
        instance: made anew at each of its starts.
        clock_ahead: by how many seconds its clock was ahead of ours at the last hello.
        answered: when it answered last, by ``time.monotonic()``; None: not since our start.
        asked: when it asked us last, by the same clock.
    """

    def __init__(self, brief: NodeBrief, address: Address) -> None:
        self.brief = brief
        self.place = address
        self.state = NodeState.AWAY
        self.reason = "it has not answered since this node's start"
        self.instance = ""
        self.answered: float | None = None
        self.clock_ahead: float | None = None
        self.asked: float | None = None
        self._client: PeerClient | None = None

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""
        return self.brief.id

    @property
    def name(self) -> str:
        """For people; two nodes may have the same."""
        return self.brief.name

    @property
    def address(self) -> str:
        """``host:port``."""
        return self.place.place

    @property
    def usable(self) -> bool:
        """Whether it can be asked for something now."""
        return self.state is NodeState.ONLINE

    @property
    def client(self) -> PeerClient:
        """What asks it.

        Raises:
            ConnectionFailed: it has not been reached since our start.
        """
        if self._client is None:
            raise ConnectionFailed(f"{self.name} has not been reached yet")
        return self._client

    def reached(self, client: PeerClient, instance: str, address: Address) -> PeerClient | None:
        """It has proven itself at an address. Returns the client that is not needed any more, for whoever closes it.

        If nothing has changed that is the new one: whatever is under way with the one of before goes on.
        """
        self.instance, self.place = instance, address
        if self._client is not None and self._client.is_like(client):
            return client
        before, self._client = self._client, client
        return before

    def let_go(self) -> PeerClient | None:
        """Nobody asks it any more. Returns its client, for whoever closes it."""
        before, self._client = self._client, None
        return before

    async def say_bye(self) -> None:
        """Tell it that this node stops; if it does not hear that, it notices by itself."""
        try:
            async with asyncio.timeout(BYE_SECONDS):
                await self.client.post(BYE_PATH, {}, timeout=BYE_SECONDS)
        except (TimeoutError, ZordonError) as error:
            log.debug("a node did not hear our goodbye", node=self.name, reason=str(error))

    def age(self) -> float | None:
        """Seconds since it answered last."""
        return None if self.answered is None else round(max(0.0, time.monotonic() - self.answered), 3)

    def wire(self) -> PeerNode:
        """As clients see it."""
        return PeerNode(
            **dict(self.brief),
            address=self.address,
            state=self.state,
            reason=self.reason,
            age=self.age(),
            clock_ahead=self.clock_ahead,
        )

    def __repr__(self) -> str:
        return f"<Peer {self.name} {self.id[:8]} {self.state.value}>"


def first_brief(said: HelloAnswer, address: Address) -> NodeBrief:
    """What is known of a node before its first beat."""
    return NodeBrief(
        id=said.node,
        name=said.name,
        port=address.port,
        app_version=said.app_version,
        api_version=said.api_version,
    )
