"""Nodes that find each other by real multicast, on machines of their own: namespaces with a switch between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.cli.own_service import scrubbed
from client.models import NodeList, NodeState, PeerNode
from tests.peers.farm import QUICK, SECRET
from tests.support.network import Machine, studio, why_not

REASON = why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON or "it can")]

COMMAND = [sys.executable, "-m", "app.cli"]


class Node:
    """A service on a machine, and the command line there."""

    def __init__(self, machine: Machine, folder: Path, name: str, **settings: str) -> None:
        self.machine = machine
        self.folder = folder / name
        self.environment = {
            **scrubbed(os.environ),
            **QUICK,
            "ZORDON_NAME": name,
            "ZORDON_DATA_DIR": str(self.folder),
            "ZORDON_LAN": "true",
            "ZORDON_WORKER": "1",
            "COLUMNS": "200",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.machine.prefix, *COMMAND, "serve"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def end(self, kill: bool = False) -> None:
        if self.process is not None:
            (self.process.kill if kill else self.process.terminate)()
            self.process.wait(60)
            self.process = None

    def zordon(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.machine.prefix, *COMMAND, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def nodes_until(self, right: Callable[[dict[str, PeerNode]], bool]) -> dict[str, PeerNode]:
        last = ""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            asked = self.zordon("nodes", "--json")
            last = asked.stdout + asked.stderr
            if asked.returncode == 0:
                named = {one.name: one for one in NodeList.model_validate_json(asked.stdout).nodes}
                if right(named):
                    return named
        raise AssertionError(f"it never came about: {last}\n{(self.folder / 'service.log').read_text()[-4000:]}")


@contextmanager
def nodes(folder: Path, *names: str, **settings: str) -> Iterator[list[Node]]:
    """Services on as many machines, in one farm unless the settings say otherwise."""
    with studio(len(names)) as machines, ExitStack() as stack:
        found = []
        for machine, name in zip(machines, names, strict=True):
            node = Node(machine, folder, name, **{"ZORDON_FARM_SECRET": SECRET, **settings})
            stack.callback(node.end)
            node.start()
            found.append(node)
        yield found


def online(*names: str) -> Callable[[dict[str, PeerNode]], bool]:
    return lambda seen: all(name in seen and seen[name].state is NodeState.ONLINE for name in names)


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
