"""Alive, ready, and what can be measured: who may ask, what is told to whom, and that the figures are right."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from client.models import NodeState, Role
from tests.api.access import token_of
from tests.api.conftest import Api, StartApi

pytestmark = pytest.mark.asyncio(loop_scope="module")

Labels = tuple[tuple[str, str], ...]


def samples(text: str) -> dict[tuple[str, Labels], float]:
    """Every value of an exposition, by name and labels; reading it proves that it is well-formed."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def measured(api: Api) -> dict[tuple[str, Labels], float]:
    """What the node measures now."""
    response = await api.client.get("/metrics")
    assert response.status_code == 200
    return samples(response.text)


def of(engine: str = "testpattern", **labels: str) -> Labels:
    return tuple(sorted({"engine": engine, **labels}.items()))


async def test_alive_and_ready_are_told_to_anybody_and_nothing_else(shared_api: Api) -> None:
    async with shared_api.new_client({}) as client:
        alive = await client.get("/healthz")
        assert (alive.status_code, alive.text) == (200, "ok")
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "notes": []})
        for path in ("/healthz", "/readyz"):
            assert (await client.get(path, headers={"Host": "evil.example"})).status_code == 400
            assert (await client.get(path, headers={"Origin": "https://evil.example"})).status_code == 403
        assert (await client.get("/metrics")).status_code == 401


async def test_a_wrong_token_is_no_token(shared_api: Api) -> None:
    async with shared_api.new_client({"Authorization": "Bearer wrong"}) as client:
        assert (await client.get("/readyz")).status_code == 401
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="is about root")
async def test_whoever_has_a_token_is_told_what_to_mend(shared_api: Api) -> None:
    notes = (await shared_api.client.get("/readyz")).json()["notes"]
    assert any("runs as root" in note and "engine_user" in note for note in notes)


async def test_too_little_space_is_not_ready_and_only_a_token_learns_why(start_api: StartApi, tmp_path: Path) -> None:
    keep = shutil.disk_usage(tmp_path).total + 1
    async with start_api(min_free_bytes=keep) as api:
        told = await api.client.get("/readyz", headers={"Accept": "application/json"})
        assert (told.status_code, told.json()["title"]) == (503, "Not ready")
        assert "min_free_bytes" in told.json()["detail"]
        async with api.new_client({}) as anybody:
            refused = await anybody.get("/readyz")
            assert refused.status_code == 503
            assert "min_free_bytes" not in refused.text
            assert "token" in refused.text
            assert (await anybody.get("/healthz")).status_code == 200


async def test_a_store_that_cannot_be_written_is_not_ready(start_api: StartApi) -> None:
    async with start_api() as api:
        await api.parts.store.close()
        refused = await api.client.get("/readyz")
        assert refused.status_code == 503
        assert "the store cannot be written" in refused.text


async def test_no_engine_at_all_is_not_ready(start_api: StartApi) -> None:
    async with start_api() as api:
        api.parts.catalog._found.clear()
        refused = await api.client.get("/readyz")
        assert refused.status_code == 503
        assert "no engine is installed" in refused.text
        assert "no Blender" in refused.text


async def test_a_service_that_stops_says_so_at_once(start_api: StartApi) -> None:
    async with start_api() as api:
        assert (await api.client.get("/readyz")).status_code == 200
        api.application.release()
        refused = await api.client.get("/readyz")
        assert (refused.status_code, refused.text) == (503, "not ready: the service is stopping")


async def test_many_who_ask_make_one_write(start_api: StartApi) -> None:
    async with start_api() as api:
        before = await api.parts.store.read(_changes)
        answers = await asyncio.gather(*(api.client.get("/readyz") for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert await api.parts.store.read(_changes) - before <= 1


async def test_every_role_may_read_measures(shared_api: Api) -> None:
    for role in Role:
        async with shared_api.new_client(await token_of(shared_api, role)) as client:
            response = await client.get("/metrics")
            assert response.status_code == 200
            assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_measures_without_a_token_only_where_the_setting_says_so_and_only_from_this_machine(
    start_api: StartApi,
) -> None:
    async with start_api(metrics_without_token=True) as api:
        async with api.new_client({}) as here:
            assert (await here.get("/metrics")).status_code == 200
            assert (await here.get("/api/status")).status_code == 401
        async with api.new_client({}, peer="192.0.2.7") as elsewhere:
            assert (await elsewhere.get("/metrics")).status_code == 401
        async with api.new_client({"Authorization": "Bearer wrong"}) as wrong:
            assert (await wrong.get("/metrics")).status_code == 401


async def test_what_happens_to_jobs_is_counted(start_api: StartApi) -> None:
    async with start_api(retry_seconds=0.0) as api:
        waits = await api.submit(frames="1-7")
        done = await api.rendered(frames="1-5")
        args = {"width": 32, "height": 32, "fail_frames": "2"}
        failed = await api.ended((await api.submit(scheduled_start=None, frames="1-2", args=args)).id)
        found = await measured(api)
        assert found["zordon_queue_jobs", of(status="scheduled")] == 1
        assert found["zordon_queue_frames", of()] == 7
        assert found["zordon_jobs", (("status", "completed"),)] == 1
        assert found["zordon_frames_verified_total", of()] == 6
        assert found["zordon_frame_seconds_count", of()] == 6
        assert 0 < found["zordon_frame_seconds_sum", of()] < 60
        assert found["zordon_frame_failures_total", of(cause="engine_error")] == 3
        assert found["zordon_attempts_started_total", of()] == done.attempts + failed.attempts
        assert found["zordon_attempts_ended_total", of(outcome="succeeded")] == done.attempts + failed.attempts
        assert found["zordon_jobs_ended_total", of(status="completed")] == 1
        assert found["zordon_jobs_ended_total", of(status="error")] == 1
        assert found["zordon_job_seconds_count", of()] == 1
        await api.client.post(f"/api/jobs/{waits.id}/cancel?confirm=true")
        after = await measured(api)
        assert ("zordon_queue_jobs", of(status="scheduled")) not in after
        assert after["zordon_jobs_ended_total", of(status="cancelled")] == 1


async def test_failed_attempts_are_counted_by_cause(start_api: StartApi) -> None:
    async with start_api(retry_seconds=0.0) as api:
        args = {"width": 32, "height": 32, "crash_frames": "1"}
        job = await api.ended((await api.submit(scheduled_start=None, frames="1", args=args)).id)
        found = await measured(api)
        assert found["zordon_attempt_failures_total", of(cause="engine_crash")] == job.attempts == 3
        assert found["zordon_attempts_ended_total", of(outcome="failed")] == 3


async def test_clients_that_wait_are_counted_while_they_wait(start_api: StartApi) -> None:
    async with start_api() as api:
        poll = api.begin("/api/jobs/long_poll", f"token={api.parts.feed.token}")
        stream = api.begin("/api/events")
        await asyncio.wait_for(poll.listens.wait(), 60)
        await stream.start()
        await stream.until(b"event: jobs")
        found = await measured(api)
        assert found["zordon_waiters", (("kind", "long_poll"),)] == 1
        assert found["zordon_waiters", (("kind", "events"),)] == 1
        for exchange in (poll, stream):
            exchange.leave()
            await exchange.ended()
        found = await measured(api)
        assert found["zordon_waiters", (("kind", "long_poll"),)] == 0
        assert found["zordon_waiters", (("kind", "events"),)] == 0


async def test_the_machine_and_the_process_are_measured(start_api: StartApi) -> None:
    async with start_api() as api:
        found = await measured(api)
        for name in (
            "zordon_disk_free_bytes",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_threads",
            "process_cpu_seconds_total",
        ):
            assert found[name, ()] > 0, name
        assert found["process_start_time_seconds", ()] > 1_700_000_000
        assert ("zordon_event_loop_lag_seconds_count", ()) in found
        assert found["zordon_sessions", of()] == 0
        nodes = {labels: count for (name, labels), count in found.items() if name == "zordon_nodes"}
        assert nodes == {(("state", state.value),): float(state is NodeState.ONLINE) for state in NodeState}


def _changes(connection: object) -> int:
    changes: int = connection.total_changes  # type: ignore[attr-defined]  # of sqlite3, which only the store names
    return changes
