"""How soon a farm knows: a node that starts, one that is killed, one that is stopped. With the timings as delivered."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.cli.own_service import own_service
from bench.figures import Figure, Options, Report, median, run
from client import RenderServerProxy
from client.models import NodeState

GOAL_DEAD = 10.0
GOAL_LEFT = 1.0
ROUNDS = 5
_POLL = 0.01
_SECRET = "the secret of a farm for a benchmark"


def measure(options: Options, report: Report) -> None:
    """All three."""
    rounds = 1 if options.quick else ROUNDS
    met, dead, left = asyncio.run(_measure(options.folder, rounds))
    report(Figure("a node is started (ready) until another has met it", "s", median(met), None, "", "", None, ""))
    for what, seconds, goal in (("killed", dead, GOAL_DEAD), ("stopped", left, GOAL_LEFT)):
        note = f"{rounds} rounds, {min(seconds):.2f} to {max(seconds):.2f} s"
        title = f"a node is {what} until another knows"
        report(Figure(title, "s", median(seconds), None, "", f"≤ {goal:g} s", max(seconds) <= goal, note))


async def _measure(folder: Path, rounds: int) -> tuple[list[float], list[float], list[float]]:
    met: list[float] = []
    dead: list[float] = []
    left: list[float] = []
    async with _node(folder / "stays", "") as stays:
        for index in range(rounds):
            for number, seconds in ((signal.SIGKILL, dead), (signal.SIGTERM, left)):
                data = folder / f"goes-{index}-{number.name}"
                async with _node(data, stays.connection.address):
                    begun = time.perf_counter()
                    await _until(stays, data.name, NodeState.ONLINE)
                    met.append(time.perf_counter() - begun)
                    os.kill(int((data / "lock").read_text()), number)
                    begun = time.perf_counter()
                    await _until(stays, data.name, NodeState.AWAY, NodeState.LEFT)
                    seconds.append(time.perf_counter() - begun)
    return met, dead, left


@asynccontextmanager
async def _node(data: Path, peer: str) -> AsyncIterator[RenderServerProxy]:
    settings = {
        "ZORDON_NAME": data.name,
        "ZORDON_FARM_SECRET": _SECRET,
        "ZORDON_PEERS": peer,
        "ZORDON_ENGINE_SOURCES": "[]",
        "ZORDON_DATA_DIR": str(data),
    }
    async with own_service(data, settings) as node:
        yield node


async def _until(node: RenderServerProxy, name: str, *states: NodeState) -> None:
    while True:
        if any(one.name == name and one.state in states for one in (await node.get_nodes()).nodes):
            return
        await asyncio.sleep(_POLL)


if __name__ == "__main__":
    run("farm_presence", "how soon a node that comes, dies or leaves is known", measure)
