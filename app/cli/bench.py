"""``zordon bench``: the node's own CPU and disk benchmarks."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from pydantic import JsonValue

from app.cli.connect import on_node
from app.cli.fetching import JsonOption
from app.cli.show import console, dumped, errors, print_json
from client import RenderServerProxy
from client.models import DiskBenchmark


class What(StrEnum):
    """What is measured."""

    ALL = "all"
    CPU = "cpu"
    DISK = "disk"


def bench(
    context: typer.Context,
    what: Annotated[What, typer.Argument(help="What to measure.")] = What.ALL,
    as_json: JsonOption = False,
) -> None:
    """Measure the node: CPU score (ten seconds), disk speed."""

    async def work(node: RenderServerProxy) -> tuple[float | None, DiskBenchmark | None]:
        with errors.status("measuring …"):
            cpu = await node.run_cpu_benchmark() if what in (What.ALL, What.CPU) else None
            disk = await node.run_disk_benchmark() if what in (What.ALL, What.DISK) else None
        return cpu, disk

    cpu, disk = on_node(context, work)
    if as_json:
        found: dict[str, JsonValue] = {}
        if cpu is not None:
            found["cpu"] = cpu
        if disk is not None:
            found["disk"] = dumped(disk)
        print_json(found)
        return
    if cpu is not None:
        console.print(f"CPU score   {cpu:,.0f}")
    if disk is not None:
        console.print(f"Disk write  {disk.write_speed:,.0f} MB/s\nDisk read   {disk.read_speed:,.0f} MB/s")
