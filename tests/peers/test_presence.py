"""Who is there: real services on loopback that find each other by address, and notice when one goes."""

from __future__ import annotations

from pathlib import Path

from client.models import NodeState
from tests.peers.farm import farm_node, nodes_until


async def test_one_address_on_one_side_is_enough(tmp_path: Path) -> None:
    async with farm_node(tmp_path, "first") as first, farm_node(tmp_path, "second", first) as second:
        there = await nodes_until(first, lambda nodes: "second" in nodes and nodes["second"].state == "online")
        here = await nodes_until(second, lambda nodes: "first" in nodes and nodes["first"].state == "online")
        assert there["second"].address == second.connection.address
        assert here["first"].address == first.connection.address
        assert here["second"].own
        assert not here["first"].own
        assert there["second"].id == here["second"].id
        assert here["first"].slots["testpattern"] >= 1
        assert here["first"].memory_total > 0


async def test_a_node_that_is_stopped_has_left(tmp_path: Path) -> None:
    async with farm_node(tmp_path, "first") as first:
        async with farm_node(tmp_path, "second", first):
            await nodes_until(first, lambda nodes: "second" in nodes and nodes["second"].state == "online")
        there = await nodes_until(first, lambda nodes: nodes["second"].state != "online")
        assert there["second"].state is NodeState.LEFT
        assert there["second"].reason == "it was stopped"


async def test_a_node_of_another_farm_is_listed_with_the_reason(tmp_path: Path) -> None:
    async with (
        farm_node(tmp_path, "first") as first,
        farm_node(tmp_path, "stranger", secret="quite another secret") as stranger,
        farm_node(tmp_path, "new", secret=None) as new,
        farm_node(tmp_path, "second", first, stranger, new) as second,
    ):
        here = await nodes_until(second, lambda nodes: {"first", "stranger", "new"} <= set(nodes))
        assert here["stranger"].state is NodeState.REFUSED
        assert "another farm" in here["stranger"].reason
        assert here["new"].state is NodeState.REFUSED
        assert "in no farm yet" in here["new"].reason
