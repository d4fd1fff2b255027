"""The routes about the farm, for people and their programs. What nodes say to each other has no method here."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from pydantic import TypeAdapter

from .connection import Connection, read, read_text
from .models import NodeList

_NODES: Final = TypeAdapter(NodeList)


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
