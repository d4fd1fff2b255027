"""One job on three machines that have found each other by multicast, and the cable of one is pulled in the middle."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from client.models import Job, JobStatus, NodeState
from tests.peers.machines import Node, online
from tests.support.network import studio, why_not

REASON = why_not()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(REASON), reason=REASON or "it can")]

FRAMES = 200
SECONDS = 0.25
"""A frame: two machines need 20 s for those that are left when the third one is cut off; it is away after six."""


def paired(one: Node, other: Node) -> None:
    """Bring them into one farm, as a person does: a code here, the code there."""
    made = one.zordon("pair", "--no-wait", "--json")
    assert made.returncode == 0, made.stderr
    joined = other.zordon("join", json.loads(made.stdout)["code"])
    assert joined.returncode == 0, joined.stderr


def submitted(node: Node) -> Job:
    """A job of the test pattern."""
    done = node.zordon(
        *("submit", "--renderer", "testpattern", "--name", "shared", "--frames", f"1-{FRAMES}", "--json"),
        *("--arg", f"seconds_per_frame={SECONDS}", "--arg", "width=64", "--arg", "height=36"),
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return Job.model_validate(answer[0] if isinstance(answer, list) else answer)


def test_a_job_on_three_machines_ends_complete_although_one_is_cut_off(tmp_path: Path) -> None:
    with studio(3) as machines, ExitStack() as stack:
        one_slot = {"ZORDON_SLOTS": '{"testpattern": 1}'}
        ada, bob, cyd = (
            Node(machine, tmp_path, name, **one_slot)
            for machine, name in zip(machines, ("ada", "bob", "cyd"), strict=True)
        )
        for node in (ada, bob, cyd):
            stack.callback(node.end)
            node.start()
        for node in (ada, bob, cyd):
            node.nodes_until(lambda seen: True)
        paired(ada, bob)
        paired(ada, cyd)
        ada.nodes_until(online("bob", "cyd"))

        job = submitted(ada)
        shared = {"ada", "bob", "cyd"}
        ada.job_until(job.id, lambda job: job.frames_done >= 15 and shared <= set(job.nodes))
        cyd.machine.unplug()
        done = ada.job_until(job.id, lambda job: job.status.ended)
        assert (done.status, done.frames_done) == (JobStatus.COMPLETED, FRAMES), done.reason
        seen = ada.nodes_until(lambda seen: "cyd" in seen)
        assert seen["cyd"].state is NodeState.AWAY

        log = ada.zordon("logs", job.id).stdout
        assert "cyd gets frames" in log
        assert "is over: cyd does not answer" in log
        got = ada.zordon("get", job.id, "--output", str(tmp_path / "got"))
        assert got.returncode == 0, got.stderr
        assert len([path for path in (tmp_path / "got").rglob("*.png") if path.stat().st_size]) == FRAMES

        cyd.machine.plug_in()  # what it has of the job, nobody wants any more
        ada.nodes_until(online("cyd"))
        theirs = json.loads(cyd.zordon("jobs", "--json").stdout)
        for one in theirs:
            cyd.job_until(one["id"], lambda job: job.status.ended)
