"""Who is there: nodes that are told of each other by address, and notice when one goes."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from client.models import NodeState
from tests.peers.farm import farm_node, nodes_until
from tests.peers.served import served

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


async def test_one_address_on_one_side_is_enough(tmp_path: Path) -> None:
    async with served(tmp_path, "first") as first, served(tmp_path, "second", first) as second:
        await first.sees(second)
        await second.sees(first)
        there = await nodes_until(first.proxy, lambda nodes: "second" in nodes)
        here = await nodes_until(second.proxy, lambda nodes: "first" in nodes)
        assert there["second"].address == second.address
        assert here["first"].address == first.address
        assert here["second"].own
        assert not here["first"].own
        assert there["second"].id == here["second"].id
        assert here["first"].slots["testpattern"] >= 1
        assert here["first"].memory_total > 0


async def test_a_node_of_another_farm_is_listed_with_the_reason(tmp_path: Path) -> None:
    async with (
        served(tmp_path, "first") as first,
        served(tmp_path, "stranger", farm_secret="quite another secret") as stranger,
        served(tmp_path, "new", farm_secret=None) as new,
        served(tmp_path, "second", first, stranger, new) as second,
    ):
        here = await nodes_until(second.proxy, lambda nodes: {"first", "stranger", "new"} <= set(nodes))
        assert here["stranger"].state is NodeState.REFUSED
        assert "another farm" in here["stranger"].reason
        assert here["new"].state is NodeState.REFUSED
        assert "in no farm yet" in here["new"].reason
        assert [one.name for one in (await stranger.proxy.get_nodes()).nodes] == ["stranger"]


async def test_a_paused_node_says_so(tmp_path: Path) -> None:
    async with served(tmp_path, "first") as first, served(tmp_path, "second", first) as second:
        await second.sees(first)
        await first.parts.node.duty.pause("for an hour of editing", None)
        here = await nodes_until(second.proxy, lambda nodes: nodes["first"].paused)
        assert "an hour of editing" in here["first"].paused_reason


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_a_process_that_ends_has_left_or_is_away(tmp_path: Path, number: signal.Signals) -> None:
    async with farm_node(tmp_path, "first") as first, farm_node(tmp_path, "second", first):
        await nodes_until(first, lambda nodes: "second" in nodes and nodes["second"].state == "online")
        os.kill(int((tmp_path / "second" / "lock").read_text()), number)
        there = await nodes_until(first, lambda nodes: nodes["second"].state != "online")
        if number is signal.SIGTERM:
            assert there["second"].state is NodeState.LEFT
            assert there["second"].reason == "it was stopped"
        else:
            assert there["second"].state is NodeState.AWAY
            assert "does not answer" in there["second"].reason


@pytest.mark.slow
@pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed (Debian: apt-get install libfaketime)")
@pytest.mark.parametrize(("offset", "words"), [("+90s", "ahead of"), ("-90s", "behind")])
async def test_a_clock_that_is_wrong_is_told_with_its_error(tmp_path: Path, offset: str, words: str) -> None:
    wrong = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    async with farm_node(tmp_path, "first") as first, farm_node(tmp_path, "second", first, **wrong) as second:
        here = await nodes_until(second, lambda nodes: "first" in nodes and bool(nodes["first"].reason))
        assert here["first"].state is NodeState.REFUSED
        other = "behind" if words == "ahead of" else "ahead of"
        found = re.search(rf"its clock is (\d+) seconds {other}", here["first"].reason)
        assert found is not None, here["first"].reason
        assert 80 <= int(found[1]) <= 100
        assert "NTP" in here["first"].reason
