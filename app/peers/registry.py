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

from app.peers.client import PeerClient
from app.peers.contact import Contact, Origin
from app.peers.greeting import Greeting, Me, greet
from app.peers.peer import Peer, PeerChange, PeerListener
from app.peers.secret import Farm, FarmSecret
from client.addresses import Address, parse_address
from client.errors import ZordonError
from client.models import Beat, NodeBrief, NodeState, PeerNode

log = structlog.get_logger(__name__)

MAX_CONTACTS: Final = 2000
BYE_PATH: Final = "/api/peers/bye"
BYE_SECONDS: Final = 1.0
_LEFT: Final = "it was stopped"

_COPY: Final = (
    "one of the two data folders is a copy of the other: stop the copy, delete the file node_id in its data folder, "
    "and start it again"
)

BeatListener = Callable[[str, Beat], None]


class SameId(Exception):
    """Another service has the id of the node that asks; the message says which."""


class Peers:
    """The other nodes of the farm. For the event loop's thread.

    Args:
        secret: the farm, if there is one yet; it may come later.
        me: this node.
        brief: what this node says of itself now.
        interval: seconds between two beats.
        misses: after so many intervals without an answer a node is away.
        given: addresses from the settings.
    """

    def __init__(
        self,
        secret: FarmSecret,
        me: Me,
        brief: Callable[[], NodeBrief],
        *,
        interval: float,
        misses: int,
        given: Iterable[Address] = (),
    ) -> None:
        self.secret = secret
        self.me = me
        self.interval = interval
        self.misses = misses
        self.subjobs_given: Callable[[str], Mapping[str, int]] = lambda node_id: {}
        """Revision by id of the subjobs that a node, by its id, has given to this one."""
        self._brief = brief
        self._peers: dict[str, Peer] = {}
        self._contacts: dict[str, Contact] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._listeners: list[PeerListener] = []
        self._beat_listeners: list[BeatListener] = []
        self._same_id: dict[str, str] = {}  # why a service is refused, by "id/instance"
        self._running = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Task[None] | None = None
        for address in given:
            self._contacts[address.place] = Contact(address, Origin.SETTING, self)
        secret.on_change(self._farm_changed)

    # --- for the other rooms -------------------------------------------------------------------------------------

    @property
    def own(self) -> NodeBrief:
        """This node, as it tells others of itself."""
        return self._brief()

    def usable(self) -> list[Peer]:
        """The nodes that can be asked for something now."""
        return [peer for peer in self._peers.values() if peer.usable]

    def get(self, node_id: str) -> Peer | None:
        """The node with this id, in whatever state it is; None: there is none, or it was forgotten."""
        return self._peers.get(node_id)

    def all(self) -> list[Peer]:
        """Every node that has proven itself once."""
        return list(self._peers.values())

    def on_change(self, listener: PeerListener) -> None:
        """Have a listener called when a node comes or goes."""
        self._listeners.append(listener)

    def on_beat(self, listener: BeatListener) -> None:
        """Have a listener called with every beat of another node, asked or answered, and that node's id."""
        self._beat_listeners.append(listener)

    def nodes(self) -> list[PeerNode]:
        """This node, then the others by name, then the addresses where somebody is who is not used."""
        own = self._brief()
        first = PeerNode(**dict(own), address=_place_of(own), state=NodeState.ONLINE, age=0.0, own=True)
        peers = sorted(self._peers.values(), key=lambda peer: (peer.name.casefold(), peer.id))
        others = [_unused(one) for one in self._contacts.values() if self._is_shown(one)]
        return [first, *(peer.wire() for peer in peers), *sorted(others, key=lambda node: node.address)]

    # --- its life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look after every address that is known."""
        self._running = True
        self._loop = asyncio.get_running_loop()
        if self.secret.farm is not None:
            for place in self._contacts:
                self._look_after(place)

    def leave_soon(self) -> None:
        """The service stops soon: say goodbye now, while open requests may still finish. For a signal handler."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._begin_to_leave)

    def _begin_to_leave(self) -> None:
        if self._leaving is None and self._running:
            self._leaving = asyncio.create_task(self._leave())

    async def _leave(self) -> None:
        self._running = False
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(self._say_bye(peer) for peer in self.usable()))

    async def close(self) -> None:
        """Say goodbye to everybody and stop."""
        self._begin_to_leave()
        if self._leaving is not None:
            await self._leaving
        for peer in self._peers.values():
            if (client := peer.let_go()) is not None:
                await client.aclose()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _say_bye(self, peer: Peer) -> None:
        try:
            async with asyncio.timeout(BYE_SECONDS):
                await peer.client.post(BYE_PATH, {}, timeout=BYE_SECONDS)
        except (TimeoutError, ZordonError) as error:
            log.debug("a node did not hear our goodbye", node=peer.name, reason=str(error))

    def add(self, address: Address, origin: Origin, name: str = "") -> None:
        """A node may be at this address."""
        known = self._contacts.get(address.place)
        if known is not None:
            known.origins.add(origin)
            known.name = name or known.name
            if known.peer is None or not known.peer.usable:
                known.wake()
            return
        if len(self._contacts) >= MAX_CONTACTS:
            log.warning("there are too many addresses of nodes; one was left out", address=str(address))
            return
        self._contacts[address.place] = Contact(address, origin, self, name)
        self._look_after(address.place)

    def discard(self, address: Address, origin: Origin) -> None:
        """Nobody says any more that a node is at this address; what has proven itself there stays."""
        contact = self._contacts.get(address.place)
        if contact is None:
            return
        contact.origins.discard(origin)
        if not contact.origins and contact.peer is None:
            self._remove(address.place)

    async def forget(self, node_id: str) -> bool:
        """Take a node off the list; it comes back if it proves itself again. False: there is none of this id."""
        peer = self._peers.pop(node_id, None)
        places = [
            place
            for place, contact in self._contacts.items()
            if (contact.peer is not None and contact.peer.id == node_id)
            or (contact.peer is None and contact.said is not None and contact.said.node == node_id)
        ]
        for place in places:
            contact = self._contacts[place]
            self._remove(place)
            if Origin.SETTING in contact.origins:
                self._contacts[place] = Contact(contact.address, Origin.SETTING, self)
                self._look_after(place)
        if peer is not None and (client := peer.let_go()) is not None:
            await client.aclose()
        return peer is not None or bool(places)

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
        if peer is not None and peer.instance == instance and peer.answered is not None:
            self._take_brief(peer, beat)
        if peer is None or not peer.usable or peer.instance != instance:
            self._called(peer, beat.node, host)
        answer = self.beat_for(node_id)
        answer.nonce = beat.nonce
        return answer

    def heard_bye(self, node_id: str, instance: str) -> None:
        """Another node stops."""
        peer = self._peers.get(node_id)
        if peer is not None and peer.instance == instance:
            for contact in self._contacts.values():
                if contact.peer is peer:
                    contact.drop()
            self._set(peer, NodeState.LEFT, _LEFT)

    def _called(self, peer: Peer | None, brief: NodeBrief, host: str) -> None:
        """Somebody asks whom we do not reach: look where it came from, and where it was."""
        for contact in self._contacts.values():
            if peer is not None and contact.peer is peer:
                if peer.usable:
                    contact.drop()  # it was started anew, or another service has its id
                contact.wake()
        if brief.public_address:
            try:
                address = parse_address(brief.public_address)
            except ValueError as error:
                log.warning("a node has a public address that is none", node=brief.name, reason=str(error))
                return
            self.add(address, Origin.CALLED, brief.name)
        else:
            self.add(Address(host, brief.port, brief.scheme), Origin.CALLED, brief.name)

    # --- what a contact finds out --------------------------------------------------------------------------------

    async def greet(self, address: Address) -> Greeting:
        """See :func:`app.peers.greeting.greet`."""
        farm = self.secret.farm
        if farm is None:
            raise ZordonError("this node is in no farm")
        return await greet(address, farm, self.me, self.interval)

    async def accept(self, contact: Contact, greeting: Greeting) -> Peer | None:
        """Whose contact it is from now on; None: nobody's, see ``contact.reason``."""
        said = greeting.answer
        if said.node == self.me.id:
            contact.hidden = said.instance == self.me.instance
            contact.state = NodeState.REFUSED
            contact.reason = "" if contact.hidden else f"it has the same id as this node; {_COPY}"
            return None
        peer = self._peers.get(said.node)
        other = self._contact_of(peer, contact)
        if peer is not None and other is not None and peer.usable:
            if said.instance == peer.instance:
                contact.hidden = True  # another address of the same service
                return None
            if await self._still_there(other, peer.instance):
                contact.hidden = False
                contact.state = NodeState.REFUSED
                contact.reason = self._same_id[f"{said.node}/{said.instance}"] = (
                    f"it has the same id as {peer.name} at {peer.address}; {_COPY}"
                )
                log.warning("a node is refused", address=contact.address.place, reason=contact.reason)
                return None
        if peer is None:
            brief = NodeBrief(
                id=said.node,
                name=said.name,
                port=contact.address.port,
                app_version=said.app_version,
                api_version=said.api_version,
            )
            peer = self._peers[said.node] = Peer(brief, contact.address)
        if other is not None:
            other.peer = None
            other.hidden = True
        self._same_id.pop(f"{said.node}/{said.instance}", None)
        before = peer.reached(greeting.client, said.instance, contact.address)
        if before is not None:
            self._close(before)
        return peer

    def beat_for(self, node_id: str) -> Beat:
        """What this node says to another one."""
        return Beat(node=self._brief(), nonce="", subjobs=dict(self.subjobs_given(node_id)))

    def answered(self, contact: Contact, beat: Beat) -> None:
        """The node of a contact has answered."""
        peer = contact.peer
        if peer is not None:
            peer.answered = time.monotonic()
            self._take_brief(peer, beat)
            self._set(peer, NodeState.ONLINE, "")

    def missed(self, contact: Contact, reason: str) -> None:
        """It has not."""
        peer = contact.peer
        if peer is None or peer.state is NodeState.LEFT:
            return
        age = peer.age()
        if age is None or age >= self.interval * self.misses - 0.05 or not peer.usable:
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

    def _take_brief(self, peer: Peer, beat: Beat) -> None:
        peer.brief = beat.node.model_copy(update={"id": peer.id})
        for listener in self._beat_listeners:
            listener(peer.id, beat)

    def _set(self, peer: Peer, state: NodeState, reason: str) -> None:
        if peer.state is state:
            peer.reason = reason
            return
        peer.state, peer.reason = state, reason
        log.info("a node", node=peer.name, address=peer.address, state=state.value, reason=reason or None)
        change = PeerChange(peer.id, state, reason)
        for listener in self._listeners:
            listener(change)

    def _contact_of(self, peer: Peer | None, besides: Contact) -> Contact | None:
        if peer is None:
            return None
        return next((one for one in self._contacts.values() if one.peer is peer and one is not besides), None)

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
        said = contact.said
        # An address of a node that is listed at another one, where nobody is now.
        gone = contact.state is NodeState.AWAY and said is not None and said.node in self._peers
        return not gone and not (contact.state is NodeState.AWAY and contact.origins == {Origin.CALLED})

    def _look_after(self, place: str) -> None:
        if self._running and self.secret.farm is not None and place not in self._tasks:
            self._tasks[place] = asyncio.create_task(self._contacts[place].run(), name=f"node at {place}")

    def _remove(self, place: str) -> None:
        del self._contacts[place]
        task = self._tasks.pop(place, None)
        if task is not None:
            task.cancel()
            self._keep(task)

    def _farm_changed(self, farm: Farm | None) -> None:
        """Nobody of the farm of before is known in this one."""
        contacts = [(one.address, one.origins, one.name) for one in self._contacts.values()]
        for place in list(self._contacts):
            self._remove(place)
        for peer in self._peers.values():
            if (client := peer.let_go()) is not None:
                self._close(client)
            self._set(peer, NodeState.AWAY, "this node is in another farm now")
        self._peers.clear()
        for address, origins, name in contacts:
            for origin in origins:
                self.add(address, origin, name)

    def _close(self, client: PeerClient) -> None:
        self._keep(asyncio.create_task(client.aclose()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _place_of(own: NodeBrief) -> str:
    return own.public_address or f"{own.name}:{own.port}"


def _unused(contact: Contact) -> PeerNode:
    """An address as a node on the list."""
    said = contact.said
    return PeerNode(
        id=said.node if said is not None else "",
        name=said.name if said is not None else contact.name or contact.address.host,
        port=contact.address.port,
        scheme=contact.address.scheme or "http",
        app_version=said.app_version if said is not None else "",
        api_version=said.api_version if said is not None else "",
        address=contact.address.place,
        state=contact.state or NodeState.AWAY,
        reason=contact.reason,
    )
