"""The routes about the node itself, and those for developers."""

from __future__ import annotations

from datetime import UTC, datetime

import yaml

from client.models import FullStatus, NodeStatus, Snapshot
from tests.api.conftest import Api, StartApi


async def test_status_snapshot_and_full_status(api: Api) -> None:
    job = await api.submit()
    status = NodeStatus.model_validate((await api.client.get("/api/status")).json())
    assert status.job_counts["scheduled"] == 1
    snapshot = Snapshot.model_validate((await api.client.get("/api/snapshot")).json())
    full = FullStatus.model_validate((await api.client.get("/api/full_status")).json())
    (server,) = full.servers.values()
    assert list(full.servers) == [f"{status.hostname}:{status.port}"]
    assert [snapshot.jobs, server.jobs] == [[job], [job]]
    assert server.status.node_id == snapshot.status.node_id == status.node_id
    heartbeat = await api.client.get("/api/heartbeat")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(heartbeat.text)).total_seconds()) < 60


async def test_presets_as_yaml_or_json(api: Api) -> None:
    plain = await api.client.get("/api/presets")
    assert plain.headers["Content-Type"].startswith("text/yaml")
    asked = await api.client.get("/api/presets", headers={"Accept": "application/json"})
    assert asked.json() == yaml.safe_load(plain.content)
    assert "presets" in asked.json()


async def test_the_disk_benchmark_one_at_a_time(start_api: StartApi) -> None:
    async with start_api(benchmark_disk_bytes=1 << 20) as api:
        result = (await api.client.get("/api/disk_benchmark")).json()
        assert result["size"] == 1 << 20
        assert result["write_speed"] > 0


async def test_clear_history_keeps_what_goes_on(api: Api) -> None:
    kept, gone = await api.submit(), await api.submit()
    parent = await api.submit(child_jobs=[{"frames": "1"}, {"frames": "2"}])
    for job_id in (gone.id, parent.children[0]):
        await api.client.post(f"/api/jobs/{job_id}/cancel?confirm=true")
    response = await api.client.post("/api/_debug/clear_history")
    assert (response.status_code, response.text) == (200, "success")
    left = {job["id"] for job in (await api.client.get("/api/jobs")).json()["jobs"]}
    assert left == {kept.id, parent.id, *parent.children}
    assert (await api.client.get("/api/_debug/detected_clients")).json() == []


async def test_debug_routes_are_not_there_without_debug(start_api: StartApi) -> None:
    async with start_api(debug=False) as api:
        assert (await api.client.get("/api/_debug/detected_clients")).status_code == 404
        assert (await api.client.post("/api/_debug/clear_history")).status_code == 404
