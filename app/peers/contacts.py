"""The addresses where nodes are said to be, each looked after by a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

import structlog

from app.peers.contact import Contact, Origin, Owner
from app.peers.peer import Peer
from client.addresses import Address

log = structlog.get_logger(__name__)

MAX_CONTACTS: Final = 2000


class Contacts:
    """All of them. For the event loop's thread.

    Args:
        owner: who decides what becomes of what is found out.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._contacts: dict[str, Contact] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._running = False

    def __iter__(self) -> Iterator[Contact]:
        return iter(self._contacts.values())

    def start(self) -> None:
        """Look after all of them, and after those that come."""
        self._running = True
        for place in self._contacts:
            self._look_after(place)

    async def stop(self) -> None:
        """Look after none any more."""
        self._running = False
        tasks = [*self._tasks.values(), *self._ending]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def add(self, address: Address, origin: Origin, name: str = "", node_id: str = "") -> None:
        """A node may be at this address."""
        known = self._contacts.get(address.place)
        if known is not None:
            known.origins.add(origin)
            known.name = name or known.name
            known.node_id = node_id or known.node_id
            if known.peer is None or not known.peer.usable:
                known.wake()
        elif len(self._contacts) >= MAX_CONTACTS:
            log.warning("there are too many addresses of nodes; one was left out", address=str(address))
        else:
            self._contacts[address.place] = Contact(address, origin, self._owner, name, node_id)
            self._look_after(address.place)

    def discard(self, address: Address, origin: Origin) -> None:
        """Nobody of this origin says any more that a node is there; one that has proven itself there stays."""
        contact = self._contacts.get(address.place)
        if contact is None:
            return
        contact.origins.discard(origin)
        if contact.origins:
            return
        if contact.peer is None:
            self._remove(address.place)
        else:
            contact.wake()

    def of(self, peer: Peer) -> list[Contact]:
        """Those at which a node has proven itself."""
        return [contact for contact in self._contacts.values() if contact.peer is peer]

    def forget(self, node_id: str) -> bool:
        """Forget where a node was; what the settings say is looked at anew. False: nothing was known of it."""
        gone = [
            contact
            for contact in self._contacts.values()
            if node_id
            in (contact.peer.id if contact.peer is not None else contact.said.node if contact.said is not None else "",)
        ]
        for contact in gone:
            self._remove(contact.address.place)
            if Origin.SETTING in contact.origins:
                self.add(contact.address, Origin.SETTING)
        return bool(gone)

    def renew(self) -> None:
        """Look at all of them as if for the first time."""
        before = list(self._contacts.values())
        for contact in before:
            self._remove(contact.address.place)
        for contact in before:
            for origin in contact.origins:
                self.add(contact.address, origin, contact.name, contact.node_id)

    def _look_after(self, place: str) -> None:
        if self._running and place not in self._tasks:
            self._tasks[place] = asyncio.create_task(self._contacts[place].run(), name=f"node at {place}")

    def _remove(self, place: str) -> None:
        del self._contacts[place]
        task = self._tasks.pop(place, None)
        if task is not None:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
