"""Nodes that find each other by real multicast, on machines of their own: namespaces with a switch between them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from client.models import NodeState
from tests.peers.farm import SECRET
from tests.peers.machines import Node, nodes, online
from tests.support.network import studio, why_not

REASON = why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON or "it can")]


def test_three_machines_find_each_other_without_a_word_of_configuration(tmp_path: Path) -> None:
    with nodes(tmp_path, "ada", "bob", "cyd") as (ada, bob, cyd):
        seen = ada.nodes_until(online("bob", "cyd"))
        assert seen["bob"].address == f"{bob.machine.address}:8080"
        assert seen["cyd"].address == f"{cyd.machine.address}:8080"
        bob.nodes_until(online("ada", "cyd"))
        cyd.end()
        seen = ada.nodes_until(lambda seen: seen["cyd"].state is not NodeState.ONLINE)
        assert seen["cyd"].state is NodeState.LEFT
        bob.machine.unplug()
        seen = ada.nodes_until(lambda seen: seen["bob"].state is not NodeState.ONLINE)
        assert seen["bob"].state is NodeState.AWAY
        bob.machine.plug_in()
        ada.nodes_until(online("bob"))


def test_a_machine_that_changes_its_address_is_found_again(tmp_path: Path) -> None:
    with nodes(tmp_path, "ada", "bob") as (ada, bob):
        before = ada.nodes_until(online("bob"))
        bob.machine.renumber(77)
        after = ada.nodes_until(lambda seen: seen["bob"].address.startswith("10.213.7.77:") and online("bob")(seen))
        assert after["bob"].id == before["bob"].id
        assert [name for name in after if name == "bob"] == ["bob"]


def test_a_copied_disk_is_refused_with_the_reason(tmp_path: Path) -> None:
    with studio(3) as (one, two, three), ExitStack() as stack:
        given = {"ZORDON_FARM_SECRET": SECRET}
        ada, bob = Node(one, tmp_path, "ada", **given), Node(two, tmp_path, "bob", **given)
        copy = Node(three, tmp_path, "copy", **given)
        for node in (ada, bob, copy):
            stack.callback(node.end)
        ada.start()
        bob.start()
        ada.nodes_until(online("bob"))
        copy.folder.mkdir()
        (copy.folder / "node_id").write_bytes((bob.folder / "node_id").read_bytes())
        copy.start()
        seen = ada.nodes_until(lambda seen: "copy" in seen)
        assert seen["copy"].state is NodeState.REFUSED
        assert "same id as bob" in seen["copy"].reason
        assert seen["copy"].id == seen["bob"].id
        theirs = copy.nodes_until(lambda seen: "ada" in seen and bool(seen["ada"].reason))
        assert theirs["ada"].state is NodeState.REFUSED
        assert "same id" in theirs["ada"].reason
        ada.nodes_until(online("bob"))


def test_two_machines_are_paired_with_a_code_and_nothing_else(tmp_path: Path) -> None:
    with studio(2) as (one, two), ExitStack() as stack:
        ada, bob = Node(one, tmp_path, "ada"), Node(two, tmp_path, "bob")
        for node in (ada, bob):
            stack.callback(node.end)
            node.start()
            node.nodes_until(lambda seen: True)
        made = ada.zordon("pair", "--no-wait", "--json")
        assert made.returncode == 0, made.stderr
        joined = bob.zordon("join", json.loads(made.stdout)["code"])
        assert joined.returncode == 0, joined.stderr
        assert "ada" in joined.stdout
        ada.nodes_until(online("bob"))
        bob.nodes_until(online("ada"))
        # It is kept: they know each other after a restart, and without multicast too.
        bob.end()
        bob.environment["ZORDON_DISCOVERY"] = "false"
        bob.start()
        bob.nodes_until(online("ada"))
