"""Pause, resume, tags, schedule and set on the command line, against a real service."""

from __future__ import annotations

import pytest

from app.cli.exits import Exit
from client.models import Job, NodeStatus
from tests.support.running_service import Ran, Service


def status_in(ran: Ran) -> NodeStatus:
    assert ran.code == Exit.OK, ran.err
    return NodeStatus.model_validate_json(ran.out)


def test_pause_and_resume(service: Service) -> None:
    paused = status_in(service.zordon("pause", "--until", "+90m", "--reason", "lunch", "--json"))
    assert (paused.paused, paused.paused_reason, paused.paused_until is not None) == (True, "lunch", True)
    said = service.zordon("resume")
    assert "this node begins new things" in said.out
    assert status_in(service.zordon("tags", "--json")).paused is False


def test_tags_are_set_shown_and_cleared(service: Service) -> None:
    assert status_in(service.zordon("tags", "gpu", "b-2", "--json")).tags == ["gpu", "b-2"]
    assert "tags: gpu, b-2" in service.zordon("tags").out
    assert service.zordon("tags", "Not a tag").code == Exit.USAGE
    assert service.zordon("tags", "gpu", "--clear").code == Exit.USAGE
    assert "tags: none" in service.zordon("tags", "--clear").out


def test_a_schedule_is_set_and_cleared(service: Service) -> None:
    [night, days] = status_in(
        service.zordon("schedule", "fri-mon 18:00-08:00", "tue,wed 12:00-13:00", "--json")
    ).schedule
    assert (night.days, night.from_, night.to) == (["fri", "sat", "sun", "mon"], "18:00", "08:00")
    assert days.days == ["tue", "wed"]
    assert "may render: tue wed 12:00-13:00" in service.zordon("schedule").out
    for wrong in ("always", "fri 25:00-26:00", "xxx 10:00-11:00"):
        assert service.zordon("schedule", wrong).code == Exit.USAGE
    assert status_in(service.zordon("schedule", "--clear", "--json")).schedule == []


def test_set_changes_a_job(service: Service) -> None:
    made = service.zordon("submit", "--renderer", "testpattern", "--frames", "1", "--start-at", "+1d", "--json",
                          "--tag", "gpu", "--tag", "linux", "--memory", "2 GiB", "--max-nodes", "4")  # fmt: skip
    assert made.code == Exit.OK, made.err
    job = Job.model_validate(made.json[0])  # type: ignore[index]  # a list, or the model refuses it
    assert (job.tags, job.memory_bytes, job.max_nodes) == (["gpu", "linux"], 2 << 30, 4)
    said = service.zordon("set", job.id, "--priority", "80", "--name", "urgent")
    assert (said.code, said.out.strip()) == (Exit.OK, "urgent: priority 80, scheduled")
    assert service.zordon("set", job.id).code == Exit.USAGE
    assert service.zordon("set", "nobody", "--priority", "1").code == Exit.NOT_FOUND


@pytest.mark.parametrize("memory", ["much", "32XB", "-1"])
def test_a_size_that_is_none_is_refused(service: Service, memory: str) -> None:
    ran = service.zordon("submit", "--renderer", "testpattern", "--frames", "1", "--memory", memory)
    assert ran.code == Exit.USAGE
    assert "write 32GB" in ran.err
