"""The routes about the farm, for people and their programs. What nodes say to each other has no method here."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from pydantic import JsonValue, TypeAdapter

from .connection import Connection, read, read_text
from .models import Joined, JoinFarm, NodeList, Pairing

_NODES: Final = TypeAdapter(NodeList)
_PAIRING: Final = TypeAdapter(Pairing)
_JOINED: Final = TypeAdapter(Joined)

_JOIN_TIMEOUT: Final = 120.0


class FarmCalls:
    """The farm as one of its nodes sees it."""

    connection: Connection

    async def get_nodes(self) -> NodeList:
        """The farm, the node that is asked, and every other one."""
        return read(_NODES, await self.connection.get("/api/nodes"))

    async def forget_node(self, node_id: str) -> str:
        """Take a node off the list; ``success``.

        Raises:
            NotFound: there is none of this id.
        """
        return read_text(await self.connection.send("POST", f"/api/nodes/{quote(node_id, safe='')}/forget"))

    async def get_pairing(self) -> Pairing:
        """What is offered now, and who has come."""
        return read(_PAIRING, await self.connection.get("/api/pairing"))

    async def offer_pairing(self) -> Pairing:
        """Offer the node's farm with a new code, good for one node within ten minutes. A node in no farm founds one."""
        return read(_PAIRING, await self.connection.send("POST", "/api/pairing"))

    async def withdraw_pairing(self) -> Pairing:
        """Make the code good for nothing."""
        return read(_PAIRING, await self.connection.send("DELETE", "/api/pairing"))

    async def join_farm(self, code: str, address: str | None = None, *, leave: bool = False) -> Joined:
        """Bring the node into the farm of the one that offers it.

        Args:
            code: as the other node shows it.
            address: where that is, ``host:port``; None: it is looked for on the network.
            leave: whether the farm that the node is in may be left.

        Raises:
            BadRequest: the code is wrong.
            Conflict: the node is in another farm.
            Unavailable: the other node was not found.
        """
        body: JsonValue = JoinFarm(code=code, address=address, leave=leave).model_dump(mode="json")
        return read(_JOINED, await self.connection.send("POST", "/api/pairing/join", json=body, timeout=_JOIN_TIMEOUT))
