"""One address at which a node is said to be: who answers there is asked again and again, until nobody wants to know.

A contact greets, then beats; what comes of it is told to the registry, which decides what it means for the node. Both
ends beat, and each beat tells both of both: one of them is left out now and then, which saves a third of them.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from pydantic import TypeAdapter

from app.peers.greeting import Greeting, NotUsed
from app.peers.trust import SAY_HELLO
from client.addresses import Address
from client.connection import read
from client.errors import ProtocolError, RequestRefused, Unavailable, ZordonError
from client.models import Beat, HelloAnswer, NodeState, PeerNode

if TYPE_CHECKING:
    from app.peers.client import PeerClient
    from app.peers.peer import Peer

log = structlog.get_logger(__name__)

BEAT_PATH: Final = "/api/peers/beat"
_BEAT: Final = TypeAdapter(Beat)
_LEAST_SECONDS: Final = 0.1
SLOWEST: Final = 5
"""The most beats between two looks at an address where nobody is."""


class Origin(StrEnum):
    """Who said that a node is at an address."""

    SETTING = "setting"  # --peer, ZORDON_PEERS
    FOUND = "found"  # announced on the network
    KNOWN = "known"  # it was there before our start, or another node says so
    CALLED = "called"  # it asked us from there


class Owner(Protocol):
    """What a contact asks of the registry."""

    interval: float
    patience: float

    async def greet(self, address: Address) -> Greeting:
        """Raises NotUsed, ZordonError."""

    async def accept(self, contact: Contact, greeting: Greeting) -> Peer | None:
        """Whose contact this is from now on; None: nobody's, and ``contact`` has the reason."""

    def remaining(self, contact: Contact) -> float | None:
        """Seconds until the node of a contact counts as away unless it answers; None: it is not there anyway."""

    def beat_for(self, node_id: str) -> Beat:
        """What this node says to another one."""

    def answered(self, contact: Contact, beat: Beat) -> None:
        """The node of a contact has answered."""

    def missed(self, contact: Contact, reason: str) -> None:
        """It has not."""

    def refused(self, contact: Contact, reason: str) -> None:
        """It answers, but is not used."""


class Contact:
    """Looks after one address.

    Attributes:
        origins: who said so.
        name: how the node is called, as they said.
        node_id: its id, as they said; empty if they did not.
        peer: the node that has proven itself here.
        state: of the address, if it is nobody's: away or refused; None: it was not asked yet.
        reason: why.
        said: what whoever answers says of itself.
        hidden: it is this node itself, or another address of a node that is listed already.
    """

    def __init__(self, address: Address, origin: Origin, owner: Owner, name: str = "", node_id: str = "") -> None:
        self.address = address
        self.origins = {origin}
        self.name = name
        self.node_id = node_id
        self.peer: Peer | None = None
        self.state: NodeState | None = None
        self.reason = ""
        self.said: HelloAnswer | None = None
        self.hidden = False
        self.answered_at: float | None = None
        self._owner = owner
        self._greeting: Greeting | None = None
        self._wake = asyncio.Event()
        self._silent = 0  # looks in a row at which nobody answered
        self._beat_at: float | None = None  # when the last beat was begun that was answered; None: the last one was not

    @property
    def greeting(self) -> Greeting | None:
        """The hello that holds now."""
        return self._greeting

    def wake(self) -> None:
        """Look now, and as often as for a node that is there."""
        self._silent = 0
        self._wake.set()

    def set_aside(self, reason: str, *, hidden: bool) -> None:
        """Whoever answers here is not used.

        Args:
            hidden: nobody needs to know, for it is listed elsewhere.
        """
        self.state, self.reason, self.hidden = NodeState.REFUSED, reason, hidden
        self._greeting = None

    def wire(self) -> PeerNode:
        """As a node on the list, if it is nobody's."""
        said = self.said
        return PeerNode(
            id=said.node if said is not None else self.node_id,
            name=said.name if said is not None else self.name or self.address.host,
            port=self.address.port,
            scheme=self.address.scheme or "http",
            app_version=said.app_version if said is not None else "",
            api_version=said.api_version if said is not None else "",
            address=self.address.place,
            state=self.state or NodeState.AWAY,
            reason=self.reason,
        )

    def drop(self) -> None:
        """Say hello again at the next look."""
        self._greeting = None

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            begun = time.monotonic()
            self._wake.clear()
            try:
                beats = await self._look()
            except Exception:
                # Whatever somebody else's program has answered: this one goes on.
                log.exception("a look at another node failed", address=str(self.address))
                beats = SLOWEST
            wait = beats * self._owner.interval - (time.monotonic() - begun)
            if (remaining := self._owner.remaining(self)) is not None:
                wait = min(wait, remaining)
            try:
                async with asyncio.timeout(max(0.0, wait)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _look(self) -> int:
        """Greet or beat once. Returns after how many beats to look again."""
        if self._greeting is None:
            try:
                greeting = await self._owner.greet(self.address)
            except NotUsed as error:
                self.said = error.answer
                return self._refused(str(error))
            except ProtocolError as error:
                return self._refused(str(error))
            except ZordonError as error:
                return self._unreached(str(error))
            self.said = greeting.answer
            self.peer = await self._owner.accept(self, greeting)
            if self.peer is None:
                await greeting.client.aclose()
                self._silent = 0
                return SLOWEST
            self._greeting = greeting
        if self.peer is None:
            self._greeting = None  # another address of the node is in use meanwhile
            return SLOWEST
        if self._beat_at is not None and (self.peer.asked or 0.0) > self._beat_at:
            # It has just said all that it would answer, and was told the same. That it can be reached from here, only
            # a beat of ours shows: the next one is not left out.
            self._beat_at = None
            return 1
        begun, self._beat_at = time.monotonic(), None
        beats = await self._beat(self._greeting, self.peer.client)
        if self.state is NodeState.ONLINE and self._silent == 0 and self._greeting is not None:
            self._beat_at = begun
        return beats

    async def _beat(self, greeting: Greeting, client: PeerClient) -> int:
        asked = self._owner.beat_for(greeting.answer.node)
        asked.nonce = secrets.token_hex(16)
        remaining = self._owner.remaining(self)
        patience = self._owner.patience if remaining is None else min(self._owner.patience, remaining)
        try:
            response = await client.post(
                BEAT_PATH, asked.model_dump(mode="json"), timeout=max(_LEAST_SECONDS, patience)
            )
            beat = read(_BEAT, response)
        except Unavailable as error:
            return self._unreached(str(error))
        except RequestRefused as error:
            if error.title == SAY_HELLO:
                self._greeting = None
                return 0 if self._again() else 1
            self._greeting = None
            return self._refused(f"it refuses this node: {error}")
        except ProtocolError as error:
            self._greeting = None
            return self._refused(str(error))
        except ZordonError as error:
            return self._unreached(str(error))
        if beat.nonce != asked.nonce or beat.node.id != greeting.answer.node:
            self._greeting = None
            return self._refused("its answer belongs to another question")
        self._silent = 0
        self.state, self.reason, self.hidden = NodeState.ONLINE, "", False
        self._owner.answered(self, beat)
        return 1

    def _again(self) -> bool:
        """Whether to greet at once: not twice in a row."""
        self._silent += 1
        return self._silent == 1

    def _refused(self, reason: str) -> int:
        self._silent = min(self._silent + 1, SLOWEST)
        self.state, self.reason = NodeState.REFUSED, reason[:1000]
        self._owner.refused(self, self.reason)
        return self._silent

    def _unreached(self, reason: str) -> int:
        self.state, self.reason = NodeState.AWAY, reason[:1000]
        self._owner.missed(self, self.reason)
        peer = self.peer
        if peer is not None and peer.usable:
            return 1  # it has some misses left
        self._greeting = None  # whoever answers next may be somebody else
        self._silent = min(self._silent + 1, SLOWEST)
        return self._silent
