"""The nodes that have proven themselves once: by id, with the state of each, kept for the next start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import structlog

from app.peers.greeting import Me
from app.peers.known import KnownNodes, Remembered
from app.peers.peer import Peer, PeerChange, PeerListener
from app.peers.secret import FarmSecret
from client.addresses import Address, parse_address
from client.models import Beat, NodeBrief, NodeState

log = structlog.get_logger(__name__)

BeatListener = Callable[[str, Beat], None]
"""Called with the id of a node and its beat."""


class PeerList:
    """See the module. For the event loop's thread.

    Args:
        secret: the farm, if there is one yet; it may come later.
        me: this node.
        brief: what this node says of itself now.
        known: the nodes of before.
    """

    def __init__(self, secret: FarmSecret, me: Me, brief: Callable[[], NodeBrief], known: KnownNodes) -> None:
        self.secret = secret
        self.me = me
        self._brief = brief
        self._known = known
        self._peers: dict[str, Peer] = {}
        self._loose: set[asyncio.Task[None]] = set()
        self._listeners: list[PeerListener] = []
        self._beat_listeners: list[BeatListener] = []

    @property
    def own(self) -> NodeBrief:
        """This node, as it tells others of itself."""
        return self._brief()

    def usable(self) -> list[Peer]:
        """The nodes that can be asked for something now."""
        return [peer for peer in self._peers.values() if peer.usable]

    def helpers(self, engine: str) -> int:
        """How many other nodes could render a part of a job of this engine now."""
        briefs = (peer.brief for peer in self.usable())
        return sum(1 for brief in briefs if brief.slots.get(engine, 0) > 0 and not brief.paused)

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

    def _remember(self, one: Remembered) -> Address | None:
        """List a node of before. Returns where it was; None if it is there already, or nowhere."""
        try:
            address = parse_address(one.address)
        except ValueError as error:
            log.warning("a known node has no address", node=one.name, reason=str(error))
            return None
        if one.id == self.me.id or one.id in self._peers:
            return None
        brief = NodeBrief(id=one.id, name=one.name, port=address.port, scheme=address.scheme or "http")
        self._peers[one.id] = Peer(brief, address)
        return address

    async def _keep_list(self) -> None:
        farm = self.secret.farm
        if farm is not None:
            nodes = [Remembered(id=peer.id, name=peer.name, address=str(peer.place)) for peer in self._peers.values()]
            await self._known.keep(farm.id, nodes)

    def _set(self, peer: Peer, state: NodeState, reason: str) -> None:
        if peer.state is state:
            peer.reason = reason
            return
        peer.state, peer.reason = state, reason
        log.info("a node", node=peer.name, address=peer.address, state=state.value, reason=reason or None)
        change = PeerChange(peer.id, state, reason)
        for listener in self._listeners:
            listener(change)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._loose.add(task)
        task.add_done_callback(self._loose.discard)
