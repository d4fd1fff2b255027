"""Which other nodes there are, which of them can be used, and since when not.

A node is known by its id. An address where one is said to be is a :class:`~app.peers.contact.Contact`; several of them
may lead to one node, of which one is in use. Two services with one id (a data folder that was copied) are told apart by
their instance, and the later one is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog

from app.peers.contact import Contact, Origin
from app.peers.contacts import Contacts
from app.peers.greeting import Greeting, Me, greet
from app.peers.known import KnownNodes
from app.peers.peer import Peer, SameId, first_brief
from app.peers.peer_list import PeerList
from app.peers.secret import Farm, FarmSecret
from client.addresses import Address, parse_address
from client.errors import ZordonError
from client.models import Beat, KnownNode, NodeBrief, NodeState, PeerNode

log = structlog.get_logger(__name__)

MAX_TOLD: Final = 200
"""The most nodes of which another one is told."""
LEAST_PATIENCE: Final = 2.0
"""How long an answer to a hello or a beat is waited for at least, in seconds."""
_LEFT: Final = "it was stopped"
_COPY: Final = (
    "one of the two data folders is a copy of the other: stop the copy, delete the file node_id in its data folder, "
    "and start it again"
)


class Peers(PeerList):
    """The other nodes of the farm. For the event loop's thread.

    Args:
        secret: the farm, if there is one yet; it may come later.
        me: this node.
        brief: what this node says of itself now.
        known: the nodes of before.
        interval: seconds between two beats.
        misses: after so many intervals without an answer a node is away.
        given: addresses from the settings.
    """

    def __init__(
        self,
        secret: FarmSecret,
        me: Me,
        brief: Callable[[], NodeBrief],
        known: KnownNodes,
        *,
        interval: float,
        misses: int,
        given: Iterable[Address] = (),
    ) -> None:
        super().__init__(secret, me, brief, known)
        self.interval = interval
        self.patience = max(interval, LEAST_PATIENCE)
        self.misses = misses
        self.subjobs_given: Callable[[str], Mapping[str, int]] = lambda node_id: {}
        """Revision by id of the subjobs that a node, by its id, has given to this one."""
        self._contacts = Contacts(self)
        self._same_id: dict[str, str] = {}  # why a service is refused, by "id/instance"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Task[None] | None = None
        for address in given:
            self._contacts.add(address, Origin.SETTING)
        secret.on_change(self._farm_changed)

    # --- for the other rooms -------------------------------------------------------------------------------------

    def nodes(self) -> list[PeerNode]:
        """This node, then the others by name, then the addresses where somebody is who is not used."""
        own = self._brief()
        place = own.public_address or f"{own.name}:{own.port}"
        first = PeerNode(**dict(own), address=place, state=NodeState.ONLINE, age=0.0, own=True)
        peers = sorted(self._peers.values(), key=lambda peer: (peer.name.casefold(), peer.id))
        others = [contact.wire() for contact in self._contacts if self._is_shown(contact)]
        return [first, *(peer.wire() for peer in peers), *sorted(others, key=lambda node: node.address)]

    def add(self, address: Address, origin: Origin, name: str = "", node_id: str = "") -> None:
        """A node may be at this address."""
        self._contacts.add(address, origin, name, node_id)

    def discard(self, address: Address, origin: Origin) -> None:
        """Nobody of this origin says any more that a node is there; one that has proven itself there stays."""
        self._contacts.discard(address, origin)

    async def forget(self, node_id: str) -> bool:
        """Take a node off the list; it comes back if it proves itself again. False: there is none of this id."""
        peer = self._peers.pop(node_id, None)
        known = self._contacts.forget(node_id)
        if peer is None:
            return known
        if (client := peer.let_go()) is not None:
            await client.aclose()
        await self._keep_list()
        return True

    # --- its life ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to look after every address that is known."""
        self._loop = asyncio.get_running_loop()
        farm = self.secret.farm
        if farm is not None:
            for one in await asyncio.to_thread(self._known.load, farm.id):
                if (address := self._remember(one)) is not None:
                    self._contacts.add(address, Origin.KNOWN, one.name, one.id)
            self._contacts.start()

    @property
    def leaving(self) -> bool:
        """Whether this node has begun to say goodbye; it takes part in nothing any more."""
        return self._leaving is not None

    def leave_soon(self) -> None:
        """The service stops soon: say goodbye now, while open requests may still finish. For a signal handler."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin_to_leave)

    async def close(self) -> None:
        """Say goodbye to everybody and stop."""
        await self._begin_to_leave()
        for peer in self._peers.values():
            if (client := peer.let_go()) is not None:
                await client.aclose()
        await asyncio.gather(*self._loose, return_exceptions=True)

    def _begin_to_leave(self) -> asyncio.Task[None]:
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave())
        return self._leaving

    async def _leave(self) -> None:
        await self._contacts.stop()
        await asyncio.gather(*(peer.say_bye() for peer in self.usable()))

    # --- what another node has said ------------------------------------------------------------------------------

    def heard(self, node_id: str, instance: str, beat: Beat, host: str) -> Beat:
        """Another node has said how it is. Returns what this one says.

        Args:
            host: the address it asked from.

        Raises:
            SameId: another service has its id.
        """
        if node_id == self.me.id:
            raise SameId(f"this node ({self.me.name}) has the same id; {_COPY}")
        if (reason := self._same_id.get(f"{node_id}/{instance}")) is not None:
            raise SameId(reason)
        peer = self._peers.get(node_id)
        if peer is not None and peer.instance == instance:
            peer.asked = time.monotonic()
            self._take(peer, beat)
        if peer is None or not peer.usable or peer.instance != instance:
            self._called(peer, beat.node, host)
        answer = self.beat_for(node_id)
        answer.nonce = beat.nonce
        return answer

    def heard_bye(self, node_id: str, instance: str) -> None:
        """Another node stops."""
        peer = self._peers.get(node_id)
        if peer is not None and peer.instance == instance:
            for contact in self._contacts.of(peer):
                contact.drop()
            self._set(peer, NodeState.LEFT, _LEFT)

    def _called(self, peer: Peer | None, brief: NodeBrief, host: str) -> None:
        """Somebody asks whom we do not reach: look where it came from, and where it was."""
        for contact in self._contacts.of(peer) if peer is not None else ():
            if contact.peer is not None and contact.peer.usable:
                contact.drop()  # it was started anew, or another service has its id
            contact.wake()
        try:
            address = parse_address(brief.public_address) if brief.public_address else None
        except ValueError as error:
            log.warning("the public address of a node is none", node=brief.name, reason=str(error))
            return
        address = address or Address(host, brief.port, brief.scheme)
        self._contacts.add(address, Origin.CALLED, brief.name, brief.id)

    # --- what a contact finds out --------------------------------------------------------------------------------

    async def greet(self, address: Address) -> Greeting:
        """See :func:`app.peers.greeting.greet`."""
        farm = self.secret.farm
        if farm is None:
            raise ZordonError("this node is in no farm")
        return await greet(address, farm, self.me, self.patience)

    async def accept(self, contact: Contact, greeting: Greeting) -> Peer | None:
        """Whose contact it is from now on; None: nobody's, see ``contact.reason``."""
        said = greeting.answer
        if said.node == self.me.id:
            own = said.instance == self.me.instance
            contact.set_aside("" if own else f"it has the same id as this node; {_COPY}", hidden=own)
            return None
        peer = self._peers.get(said.node)
        other = next((one for one in self._contacts.of(peer) if one is not contact), None) if peer is not None else None
        if peer is not None and other is not None and peer.usable:
            if said.instance == peer.instance:
                contact.set_aside("", hidden=True)  # another address of the same service
                return None
            if await self._still_there(other, peer.instance):
                reason = f"it has the same id as {peer.name} at {peer.address}; {_COPY}"
                self._same_id[f"{said.node}/{said.instance}"] = reason
                contact.set_aside(reason, hidden=False)
                log.warning("a node is refused", address=contact.address.place, reason=reason)
                return None
        if peer is None:
            peer = self._peers[said.node] = Peer(first_brief(said, contact.address), contact.address)
        if other is not None:
            other.peer = None
            other.set_aside("", hidden=True)
        self._same_id.pop(f"{said.node}/{said.instance}", None)
        moved = peer.place != contact.address or peer.answered is None
        peer.clock_ahead = greeting.clock_ahead
        unused = peer.reached(greeting.client, said.instance, contact.address)
        if unused is not None:
            self._spawn(unused.aclose())
        if moved:
            self._spawn(self._keep_list())
        return peer

    def beat_for(self, node_id: str) -> Beat:
        """What this node says to another one."""
        told = [
            KnownNode(id=peer.id, name=peer.name[:255], address=str(peer.place))
            for peer in self.usable()[:MAX_TOLD]
            if peer.id != node_id
        ]
        return Beat(node=self._brief(), nonce="", subjobs=dict(self.subjobs_given(node_id)), known=told)

    def answered(self, contact: Contact, beat: Beat) -> None:
        """The node of a contact has answered."""
        peer = contact.peer
        if peer is not None:
            peer.answered = time.monotonic()
            self._take(peer, beat)
            self._set(peer, NodeState.ONLINE, "")

    def remaining(self, contact: Contact) -> float | None:
        """Seconds until the node of a contact counts as away unless it answers; None: it is not there anyway."""
        peer = contact.peer
        if peer is None or not peer.usable or peer.answered is None:
            return None
        return max(0.0, peer.answered + self.interval * self.misses - time.monotonic())

    def missed(self, contact: Contact, reason: str) -> None:
        """It has not."""
        peer = contact.peer
        if peer is None or peer.state is NodeState.LEFT:
            return
        remaining = self.remaining(contact)
        # Timers are not exact: a hair's breadth must not cost another beat.
        if remaining is None or remaining < 0.05 * self.interval:
            self._set(peer, NodeState.AWAY, f"it does not answer: {reason}")

    def refused(self, contact: Contact, reason: str) -> None:
        """It answers, but is not used."""
        peer = contact.peer
        if peer is None:
            return
        said = contact.said
        if said is not None and said.node != peer.id:
            # Another node is there now; where ours is, we do not know.
            contact.peer = None
            self._set(peer, NodeState.AWAY, f"another node answers at its address {peer.address}")
        else:
            self._set(peer, NodeState.REFUSED, reason)

    # --- inside --------------------------------------------------------------------------------------------------

    def _take(self, peer: Peer, beat: Beat) -> None:
        peer.brief = beat.node.model_copy(update={"id": peer.id})
        for told in beat.known:
            if told.id != self.me.id and told.id not in self._peers:
                self._hear_of(told, peer)
        for listener in self._beat_listeners:
            listener(peer.id, beat)

    def _hear_of(self, told: KnownNode, teller: Peer) -> None:
        """Another node reaches one that this one does not know."""
        try:
            address = parse_address(told.address)
        except ValueError:
            return
        if address.is_loopback and not teller.place.is_loopback:
            return  # an address of that machine
        self._contacts.add(address, Origin.KNOWN, told.name, told.id)

    async def _still_there(self, contact: Contact, instance: str) -> bool:
        """Whether the service of before still answers where it was."""
        try:
            greeting = await self.greet(contact.address)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not there as it was
            log.debug("a node moved", address=contact.address.place, reason=str(error))
            return False
        await greeting.client.aclose()
        return greeting.answer.instance == instance

    def _is_shown(self, contact: Contact) -> bool:
        if contact.peer is not None or contact.hidden or contact.state is None:
            return False
        # An address of a node that is listed already, where nobody is now.
        node_id = contact.said.node if contact.said is not None else contact.node_id
        return contact.state is not NodeState.AWAY or node_id not in self._peers

    def _farm_changed(self, farm: Farm | None) -> None:
        """Nobody of the farm of before is known in this one."""
        for peer in self._peers.values():
            if (client := peer.let_go()) is not None:
                self._spawn(client.aclose())
            self._set(peer, NodeState.AWAY, "this node is in another farm now")
        self._peers.clear()
        self._contacts.renew()
        if self._loop is not None and farm is not None:
            self._contacts.start()
