"""Pause, resume, tags, schedule and load of a node over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from client.models import NodeLoad, NodeStatus
from tests.api.conftest import Api


async def status(api: Api) -> NodeStatus:
    return NodeStatus.model_validate((await api.client.get("/api/status")).json())


async def test_pause_and_resume(api: Api) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    body = {"reason": " I am here ", "until": until.isoformat(), "now": True}
    response = await api.client.post("/api/node/pause", json=body)
    assert response.status_code == 200, response.text
    paused = NodeStatus.model_validate(response.json())
    assert (paused.paused, paused.paused_reason, paused.paused_until) == (True, "I am here", until)
    assert paused.resting.startswith("this node is paused: I am here; it goes on ")
    told = (await api.client.get("/api/engines/testpattern/availability")).json()
    assert (told["available"], told["paused"], told["reason"]) == (False, True, paused.resting)
    resumed = NodeStatus.model_validate((await api.client.post("/api/node/resume")).json())
    assert (resumed.paused, resumed.paused_until, resumed.resting) == (False, None, "")
    assert (await api.client.get("/api/engines/testpattern/availability")).json()["available"] is True


async def test_tags_and_schedule(api: Api) -> None:
    windows = [{"days": ["sat", "sun"], "from": "00:00", "to": "00:00"}]
    response = await api.client.patch("/api/node", json={"tags": ["gpu", "gpu", "b-2"], "schedule": windows})
    assert response.status_code == 200, response.text
    assert (response.json()["tags"], response.json()["schedule"]) == (["gpu", "b-2"], windows)
    response = await api.client.patch("/api/node", json={"schedule": []})
    assert (response.json()["tags"], response.json()["schedule"]) == (["gpu", "b-2"], [])
    assert (await api.client.get("/api/engines/ffmpeg/availability")).json()["tags"] == ["gpu", "b-2"]
    shown = (await api.client.get("/api/snapshot")).json()["status"]
    assert shown["tags"] == (await status(api)).tags == ["gpu", "b-2"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "nothing is to be changed"),
        ({"tags": ["With Blank"]}, "tags"),
        ({"tags": [""]}, "tags"),
        ({"schedule": [{"days": ["friday"], "from": "10:00", "to": "11:00"}]}, "schedule"),
        ({"schedule": [{"days": ["fri"], "from": "24:00", "to": "11:00"}]}, "schedule"),
        ({"schedule": [{"days": [], "from": "10:00", "to": "11:00"}]}, "schedule"),
        ({"slots": 3}, "slots"),
    ],
)
async def test_what_is_wrong_changes_nothing(api: Api, body: object, field: str) -> None:
    response = await api.client.patch("/api/node", json=body)
    assert response.status_code == 400
    assert field in response.text
    assert (await status(api)).tags == []


@pytest.mark.parametrize("until", ["2001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "soon"])
async def test_a_pause_ends_in_the_future(api: Api, until: str) -> None:
    response = await api.client.post("/api/node/pause", json={"until": until})
    assert response.status_code == 400
    assert "until" in response.text
    assert (await status(api)).paused is False


async def test_the_load_is_there_for_everybody_who_looks(api: Api) -> None:
    load = NodeLoad.model_validate((await api.client.get("/api/node/load")).json())
    assert load.interval == 5
    assert load.memory_total == (await status(api)).memory_total
    assert len(load.times) == len(load.cpu_percent)
