"""``zordon nodes``, ``zordon pair``, ``zordon join``, and what the doctor says of the farm."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.exits import Exit
from client.models import NodeState
from tests.support.running_service import Service, run_zordon, running_service


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Service]]:
    """Two services that know nothing of each other."""
    folder = tmp_path_factory.mktemp("farm")
    quick = {"ZORDON_BEAT_SECONDS": "0.2", "ZORDON_BEAT_MISSES": "20"}
    with (
        running_service(folder / "ada", ZORDON_NAME="ada", **quick) as ada,
        running_service(folder / "bob", ZORDON_NAME="bob", **quick) as bob,
    ):
        yield ada, bob


@pytest.mark.slow
def test_from_two_machines_to_a_farm(two: tuple[Service, Service]) -> None:
    ada, bob = two
    alone = bob.zordon("nodes")
    assert alone.code == Exit.OK
    assert "in no farm yet" in alone.err
    pairing = ada.start_zordon("pair")
    assert pairing.stdout is not None
    said = pairing.stdout.readline()
    code = re.search(r"zordon join (\S+)", said)
    assert code is not None, said
    wrong = bob.zordon("join", "nonsense")
    assert wrong.code == Exit.REFUSED
    assert "no pairing code" in wrong.err
    joined = bob.zordon("join", code[1], "--address", f"127.0.0.1:{ada.port}")
    assert joined.code == Exit.OK, joined.err
    assert "by ada at" in joined.out
    assert "--lan" in joined.err  # others do not reach it yet
    out, err = pairing.communicate(timeout=60)
    assert pairing.returncode == Exit.OK, err
    assert "bob" in out
    again = bob.zordon("join", code[1], "--address", f"127.0.0.1:{ada.port}")
    assert again.code != Exit.OK
    assert "--leave" in again.err
    while (found := json.loads(ada.zordon("nodes", "--json").out))["nodes"][-1]["state"] != NodeState.ONLINE:
        continue
    assert [one["name"] for one in found["nodes"]] == ["ada", "bob"]
    assert found["farm"]["name"] == "farm of ada"
    table = ada.zordon("nodes").out
    assert "ada (this one)" in table
    assert "bob" in table
    assert "online" in table
    doctor = {one["check"]: one for one in json.loads(ada.zordon("doctor", "--json").out)}
    assert doctor["farm"]["verdict"] == "ok"
    assert doctor["nodes"]["verdict"] == "ok"
    assert "1 others are there" in doctor["nodes"]["message"]
    assert ada.zordon("nodes", "--forget", "nobody").code == Exit.NOT_FOUND


@pytest.mark.slow
def test_a_code_that_nobody_waits_for_can_be_had(two: tuple[Service, Service]) -> None:
    ada, _ = two
    offered = json.loads(ada.zordon("pair", "--json").out)
    assert re.fullmatch(r"[0-9A-Z]{3}-[0-9A-Z]{3}", offered["code"])
    assert offered["tries_left"] == 5


def test_serve_takes_peers_and_can_look_for_nobody(tmp_path: Path) -> None:
    ran = run_zordon("serve", "--peer", "not an address", environment=_environment(tmp_path))
    assert ran.code == Exit.USAGE
    assert "HOST:PORT" in ran.err
    help_text = run_zordon("serve", "--help", environment=_environment(tmp_path)).out
    assert "--peer" in help_text
    assert "--no-discovery" in help_text


@pytest.mark.skipif(sys.platform == "win32", reason="file modes")
def test_the_doctor_looks_at_the_secret_and_at_multicast(tmp_path: Path) -> None:
    (tmp_path / "farm.json").write_text("{}")
    (tmp_path / "farm.json").chmod(0o644)
    environment = _environment(tmp_path)
    found = {one["check"]: one for one in json.loads(run_zordon("doctor", "--json", environment=environment).out)}
    assert found["farm"]["verdict"] == "note"
    assert "chmod 600" in found["farm"]["mend"]
    assert found["multicast"]["verdict"] == "ok"
    environment["ZORDON_DISCOVERY_INTERFACES"] = '["127.0.0.1"]'
    found = {one["check"]: one for one in json.loads(run_zordon("doctor", "--json", environment=environment).out)}
    assert found["multicast"]["verdict"] == "ok"
    assert "127.0.0.1" in found["multicast"]["message"]
    environment["ZORDON_DISCOVERY_INTERFACES"] = '["192.0.2.77"]'
    found = {one["check"]: one for one in json.loads(run_zordon("doctor", "--json", environment=environment).out)}
    assert found["multicast"]["verdict"] == "note"
    assert "192.0.2.77" in found["multicast"]["message"]
    assert "--peer" in found["multicast"]["mend"]


def _environment(folder: Path) -> dict[str, str]:
    path = os.environ["PATH"]
    return {"PATH": path, "ZORDON_DATA_DIR": str(folder), "ZORDON_ENGINE_SOURCES": "[]", "COLUMNS": "200"}
