"""Nodes between which the network is bad, by our own proxies: nobody is believed away too soon, or there too long."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.models import NodeState
from tests.peers.farm import nodes_until
from tests.peers.served import served
from tests.support.fault_proxy import FaultProxy, to


@pytest.mark.slow
async def test_a_cut_network_is_noticed_on_both_sides_and_mends_by_itself(tmp_path: Path) -> None:
    async with (
        FaultProxy() as to_first,
        FaultProxy() as to_second,
        served(tmp_path, "first", through=to_first) as first,
        served(tmp_path, "second", to_first, through=to_second) as second,
    ):
        for node, other, proxy in ((first, "second", to_second), (second, "first", to_first)):
            nodes = await nodes_until(
                node.proxy, lambda seen, other=other: seen.get(other) and seen[other].state == "online"
            )
            assert nodes[other].address == proxy.address
        to_first.swallow()
        to_second.swallow()
        for node, other in ((first, "second"), (second, "first")):
            nodes = await nodes_until(node.proxy, lambda seen, other=other: seen[other].state != "online")
            assert nodes[other].state is NodeState.AWAY
            assert "does not answer" in nodes[other].reason
        to_first.mend()
        to_second.mend()
        for node, other in ((first, "second"), (second, "first")):
            nodes = await nodes_until(node.proxy, lambda seen, other=other: seen[other].state == "online")
            assert nodes[other].reason == ""


async def test_one_lost_beat_is_no_matter(tmp_path: Path) -> None:
    async with (
        FaultProxy() as proxy,
        served(tmp_path, "first", through=proxy),
        served(tmp_path, "second", proxy) as second,
    ):
        await nodes_until(second.proxy, lambda seen: seen.get("first") and seen["first"].state == "online")
        lost = proxy.lose_answers(to("/api/peers/beat"), times=1)
        await lost.caught()
        await proxy.until_passed(to("/api/peers/beat"), len(proxy.passed) + 2)
        nodes = await nodes_until(second.proxy, lambda seen: True)
        assert nodes["first"].state is NodeState.ONLINE


async def test_a_request_that_comes_twice_is_refused_the_second_time(tmp_path: Path) -> None:
    async with (
        FaultProxy() as proxy,
        served(tmp_path, "first", through=proxy) as first,
        served(tmp_path, "second", proxy) as second,
    ):
        await second.sees(first)
        peer = second.parts.peers.get(first.id)
        assert peer is not None
        body = {"renderer": "testpattern", "frames": "1-2", "scheduled_start": "2035-01-01T00:00:00Z"}
        doubled = proxy.duplicate(to("/api/add_job"), times=1)
        assert (await peer.client.post("/api/add_job", body)).status_code == 200
        await doubled.caught()
        await proxy.until_passed(to("/api/add_job"), 2)
        assert (await peer.client.post("/api/add_job", body)).status_code == 200  # its connection is past the double
        assert len((await first.proxy.get_jobs()).jobs) == 2
        assert second.parts.peers.usable() == [peer]
