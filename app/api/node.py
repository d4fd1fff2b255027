"""The routes about the node itself: heartbeat, status, presets, benchmarks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import orjson
import yaml
from fastapi import APIRouter, Request, Response

from app.api.answers import Handover, json_bytes, plain
from app.api.errors import wants_problem
from app.api.openapi import failures, text
from app.api.parts import Parts, PartsOf
from client.models import DiskBenchmark, FullStatus, NodeStatus, Snapshot
from engines.ffmpeg import presets_path

router = APIRouter(prefix="/api", tags=["node"])

_BUSY = "A benchmark is running already."


@router.get(
    "/heartbeat",
    operation_id="heartbeat",
    summary="Whether the node answers",
    response_class=Response,
    responses=text("ISO 8601, UTC.") | failures(),
    openapi_extra={"security": []},
)
async def heartbeat(parts: PartsOf) -> Response:
    """The node's clock. Asks for no token."""
    return Handover(lambda scope, receive, send: parts.hot.heartbeat(send))


@router.get("/status", operation_id="get_status", summary="The machine and its queue", responses=failures())
async def get_status(parts: PartsOf) -> NodeStatus:
    """System, processor, memory, disk, jobs by status, versions."""
    return await parts.node.status()


@router.get(
    "/snapshot",
    operation_id="get_snapshot",
    summary="Status and jobs at one moment",
    response_model=Snapshot,
    responses=failures(),
)
async def get_snapshot(parts: PartsOf) -> Response:
    """What `/api/status` and `/api/jobs` say, together."""
    status = await parts.node.status()
    fields = (
        b'{"timestamp":',
        orjson.dumps(_now()),
        b',"status":',
        status.model_dump_json().encode(),
        b",",
        _jobs(parts),
    )
    return json_bytes(b"".join((*fields, b"}")))


@router.get(
    "/full_status",
    operation_id="get_full_status",
    summary="Status and jobs of every node",
    response_model=FullStatus,
    responses=failures(),
)
async def get_full_status(parts: PartsOf) -> Response:
    """Every node of the farm by `host:port`, each with the age of what is said of it; what is there is asked now."""
    neighbours = await parts.neighbours.all()
    status = await parts.node.status()
    name = orjson.dumps(f"{status.hostname}:{status.port}")
    servers = [b"".join((name, b':{"status":', status.model_dump_json().encode(), b",", _jobs(parts), b',"age":0.0}'))]
    servers += [
        b'%s:{"status":%s,"jobs":%s,"age":%s}'
        % (orjson.dumps(one.address), one.status, one.jobs, orjson.dumps(one.age))
        for one in neighbours
    ]
    return json_bytes(b"".join((b'{"timestamp":', orjson.dumps(_now()), b',"servers":{', b",".join(servers), b"}}")))


@router.get(
    "/presets",
    operation_id="get_presets",
    summary="Named sets of options",
    response_class=Response,
    responses={
        200: {
            "description": "The file as it is, or as JSON for clients whose Accept names it.",
            "content": {
                "text/yaml": {"schema": {"type": "object", "additionalProperties": True}},
                "application/json": {"schema": {"type": "object", "additionalProperties": True}},
            },
        },
        **failures(),
    },
)
async def get_presets(request: Request) -> Response:
    """`config/presets.yaml`."""
    body = await asyncio.to_thread(presets_path().read_bytes)
    vary = {"Vary": "Accept"}
    if wants_problem(request.headers.get("accept", "").encode("latin-1")):
        return Response(orjson.dumps(yaml.safe_load(body)), media_type="application/json", headers=vary)
    return Response(body, media_type="text/yaml", headers=vary)


@router.get(
    "/cpu_benchmark",
    operation_id="run_cpu_benchmark",
    summary="Measure the processor",
    response_class=Response,
    responses=text("The score, a number.") | failures(s503=_BUSY),
)
async def cpu_benchmark(parts: PartsOf) -> Response:
    """Keeps all cores busy for ten seconds; the score is work done a second."""
    return plain(f"{await parts.node.cpu_benchmark():.2f}")


@router.get(
    "/disk_benchmark",
    operation_id="run_disk_benchmark",
    summary="Measure the disk",
    responses=failures(s503=_BUSY, s507="The disk of the data folder is too full for it."),
)
async def disk_benchmark(parts: PartsOf) -> DiskBenchmark:
    """Writes and reads a file on the disk of the data folder, and removes it."""
    return await parts.node.disk_benchmark()


def _jobs(parts: Parts) -> bytes:
    return b'"jobs":[' + b",".join(parts.feed.wires()) + b"]"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
