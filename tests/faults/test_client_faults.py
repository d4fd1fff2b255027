"""What clients do to a service: come in thousands, vanish, send half of something, take all its descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from client import RenderServerProxy
from client.errors import ZordonError
from client.models import JobStatus
from tests.faults.conftest import Serve, ended, submit
from tests.faults.victim import TOKEN, Victim

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

WAITERS, VANISHING = 10_000, 3_000
FEW_FILES = 96
MIB = 1 << 20
POOLS = 8
"""Threads that the pools of the service may still lack after the first load; far fewer than the jobs of the second."""
HEAD = f"Host: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
BODY = b'{"renderer": "testpattern"'


def descriptors(victim: Victim) -> int:
    return len(os.listdir(f"/proc/{victim.pid}/fd"))


def threads(victim: Victim) -> int:
    return len(os.listdir(f"/proc/{victim.pid}/task"))


async def up_to(victim: Victim, count: int) -> None:
    """Wait until the service has so many descriptors open: what the system took for it, it takes in its own time."""
    while descriptors(victim) < count:  # noqa: ASYNC110 - nobody tells of them
        await asyncio.sleep(0.05)


async def back_to(victim: Victim, before: int) -> None:
    """Wait until the service has no more descriptors open than before; the test's own time limit ends it."""
    while descriptors(victim) > before:  # noqa: ASYNC110 - nobody tells of them
        await asyncio.sleep(0.05)


@contextlib.contextmanager
def connected(port: int, count: int, said: bytes) -> Iterator[list[socket.socket]]:
    """So many clients that have said this and nothing more."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            if said:
                one.sendall(said)
            sockets.append(one)
        yield sockets


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"POST /api/add_job HTTP/1.1\r\nHost: 127.0",
        f"POST /api/add_job HTTP/1.1\r\n{HEAD}Content-Length: 1000\r\n\r\n".encode() + BODY,
    ],
    ids=["nothing", "half a header", "half a body"],
)
async def test_slow_clients_keep_nobody_waiting(serve: Serve, said: bytes) -> None:
    async with serve() as (victim, node):
        await ended(node, (await submit(node)).id)
        before = descriptors(victim)
        with connected(victim.port, 300, said):
            await up_to(victim, before + 250)  # a few that were open before may have closed
            assert (await ended(node, (await submit(node)).id)).status is JobStatus.COMPLETED
            assert descriptors(victim) > before + 200, "they were not there: the test shows nothing"
        await back_to(victim, before)
        assert len((await node.get_jobs()).jobs) == 2


async def test_clients_that_do_not_go_on_are_hung_up_on_and_those_that_wait_are_not(serve: Serve) -> None:
    async with serve(ZORDON_SLOW_CLIENT_SECONDS="0.4", ZORDON_LONG_POLL_SECONDS="300") as (victim, node):
        token = (await node.get_jobs()).token
        waits = f"GET /api/jobs/long_poll?token={token} HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n".encode()
        post = f"POST /api/add_job HTTP/1.1\r\n{HEAD}Content-Length: 1000\r\n\r\n".encode()
        with connected(victim.port, 1, waits) as (patient,):
            for said in (b"", b"GET /api", post, post + BODY):
                with connected(victim.port, 1, said) as (slow,):
                    answer = await asyncio.to_thread(_read_all, slow)  # until we hang up
                    assert not answer.startswith(b"HTTP/1.1 200"), said
            job = await submit(node)
            assert job.id.encode() in await asyncio.to_thread(_read_all, patient)


async def test_ten_thousand_wait_and_some_vanish(serve: Serve) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < WAITERS + 500:
        pytest.skip(f"{WAITERS} clients need as many open files; the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, WAITERS + 500), hard))
    try:
        async with serve(ZORDON_LONG_POLL_SECONDS="300") as (victim, node):
            await ended(node, (await submit(node)).id)
            before, token = descriptors(victim), (await node.get_jobs()).token
            ask = f"GET /api/jobs/long_poll?token={token} HTTP/1.1\r\n{HEAD}Connection: close\r\n\r\n"
            with connected(victim.port, WAITERS, ask.encode()) as sockets:
                for one in sockets[:VANISHING]:
                    one.close()
                job = await submit(node)
                for one in sockets[VANISHING:]:
                    answer = await asyncio.to_thread(_read_all, one)
                    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
                    assert job.id.encode() in answer
            await back_to(victim, before)
            assert (await ended(node, job.id)).status is JobStatus.COMPLETED
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _read_all(one: socket.socket) -> bytes:
    parts = []
    while part := one.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


async def test_a_service_without_descriptors_says_so_and_recovers(serve: Serve) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))

    async with serve(before=few) as (victim, node):
        first = await ended(node, (await submit(node)).id)
        with connected(victim.port, 2 * FEW_FILES, b"GET "):
            while "nearly no open files are left" not in victim.said:  # noqa: ASYNC110 - it is a file
                await asyncio.sleep(0.05)
        async with victim.node() as again:
            while True:
                with contextlib.suppress(ZordonError):
                    assert (await again.get_job(first.id)).frames_done == 4
                    break
            assert (await ended(again, (await submit(again)).id)).status is JobStatus.COMPLETED
        while "there are open files again" not in victim.said:  # noqa: ASYNC110 - it is a file
            await asyncio.sleep(0.05)


async def test_memory_descriptors_and_threads_come_back(serve: Serve, tmp_path: Path) -> None:
    async def load(node: RenderServerProxy, count: int) -> None:
        jobs = await asyncio.gather(*(submit(node, "1-3", noise_bytes=10_000) for _ in range(count)))
        for job in jobs:
            await ended(node, job.id)
            await node.get_job_logs(job.id)
            await node.download_all_job_files(job.id, tmp_path / "all.zip")
            await node.delete_job(job.id)

    async with serve() as (victim, node):
        process = psutil.Process(victim.pid)
        await load(node, 60)  # what is loaded and started once belongs to the service
        open_files, running, memory = descriptors(victim), threads(victim), process.memory_info().rss
        await load(node, 120)
        await back_to(victim, open_files)
        assert threads(victim) <= running + POOLS
        assert process.memory_info().rss - memory < 24 * MIB
        assert json.loads((await node.get_jobs()).model_dump_json())["jobs"] == []
