"""A project of 2 GB goes to another node: how fast, beside a plain download of the same bytes from the same node by
curl; and what is sent once more when one of its textures has changed."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import TypeAdapter

from app.cli.own_service import own_service
from app.content.projects import ProjectTrees
from app.content.store import ContentStore
from app.jobs.folders import DataFolder
from app.jobs.record import JobSpec
from app.peers.bringing import PREPARE_PATH
from app.peers.greeting import Me, greet
from app.peers.secret import FarmSecret
from bench.figures import Figure, Options, Report, median, run
from client import RenderServerProxy
from client.addresses import parse_address
from client.connection import read
from client.models import NodeState, Preparation, Prepare, Tree
from engines.contract import Engine, Packing, pack_as_it_is
from engines.ffmpeg import FFmpegEngine
from engines.frames import FrameSet

TEXTURES = 8
SMALL = 200
GOAL = 0.80
ROUNDS = 3
_BLOCK = 1 << 20
_POLL = 0.05
_SECRET = "the secret of a farm for a benchmark"
_PREPARATION = TypeAdapter(Preparation)


def measure(options: Options, report: Report) -> None:
    """Both figures."""
    size = (16 if options.quick else 256) * _BLOCK
    asyncio.run(_measure(options.folder, size, 1 if options.quick else ROUNDS, report))


async def _measure(folder: Path, size: int, rounds: int, report: Report) -> None:
    first, second = await _trees(folder, size)
    total = sum(file.size for file in first.files)
    ratios: list[float] = []
    speeds: list[float] = []
    again = 0
    async with _node(folder / "parent", "") as giver:
        token = (await asyncio.to_thread((folder / "parent" / "token").read_text)).strip()
        for index in range(rounds):
            plain = await asyncio.to_thread(_curl, giver, token, first, folder / "plain")
            async with _node(folder / f"other-{index}", giver.connection.address) as taker:
                seconds = await _send(taker, giver, first)
                speeds.append(total / seconds / 1e6)
                ratios.append(plain / seconds)
                if index == rounds - 1:
                    await _send(taker, giver, second)
                    fetches = (await taker.get_nodes()).fetches
                    again = next(fetch.bytes_done for fetch in fetches if fetch.tree == second.id)
            await asyncio.to_thread(shutil.rmtree, folder / f"other-{index}")
    title = f"a project of {total / 1e9:.2f} GB to another node"
    note = (
        f"{rounds} rounds, {min(ratios):.2f} to {max(ratios):.2f}; what is sent is hashed, verified and synced as well"
    )
    speed = median(speeds)
    reached = median(ratios) >= GOAL
    report(
        Figure(title, "MB/s", speed, speed / median(ratios), "curl, the same contents", f"≥ {GOAL:g}", reached, note)
    )
    title = f"sent once more with one texture of {size / 1e6:.0f} MB changed"
    report(Figure(title, "MB", again / 1e6, size / 1e6, "the texture", "≤ 1.01", again <= 1.01 * size, ""))


async def _trees(folder: Path, size: int) -> tuple[Tree, Tree]:
    """Both states of the project, in the content store of the node that will have them."""
    folders = DataFolder(folder / "parent")
    await asyncio.to_thread(folders.prepare)
    store = ContentStore(folders.content, 1 << 40)
    await asyncio.to_thread(store.open)

    async def pack(engine: Engine, project: Path, root: Path | None, work: Path, around: Path | None) -> Packing:
        return pack_as_it_is(project, project.parent)

    trees = ProjectTrees(folders, store, pack)
    made: list[Tree] = []
    for version, changed in (("first", -1), ("second", 3)):
        project = folder / version
        await asyncio.to_thread(_make, project, size, changed, folder / "first")
        built = await trees.of(FFmpegEngine(), _spec(project / "texture-0.mp4"))
        assert built is not None
        made.append(built.tree)
    await trees.close()
    return made[0], made[1]


def _make(project: Path, size: int, changed: int, before: Path) -> None:
    """Random files: large ones and many small ones; all but one of them those of the state before."""
    project.mkdir()
    names = [f"texture-{number}.mp4" for number in range(TEXTURES)] + [f"small-{number}.png" for number in range(SMALL)]
    for index, name in enumerate(names):
        if project != before and index != changed:
            (project / name).hardlink_to(before / name)
            continue
        with (project / name).open("wb") as file:
            for _ in range(size // _BLOCK if index < TEXTURES else 1):
                file.write(os.urandom(_BLOCK if index < TEXTURES else 4096))


def _spec(project: Path) -> JobSpec:
    return JobSpec(
        id="bench",
        name="bench",
        engine="ffmpeg",
        engine_version="",
        engine_version_reason="",
        frames=FrameSet.parse("1"),
        divisible=False,
        created=0.0,
        project=project.name,
        project_path=str(project),
        output_name="bench",
    )


def _curl(node: RenderServerProxy, token: str, tree: Tree, target: Path) -> float:
    """Seconds that curl takes to write all contents of a tree to files."""
    target.mkdir()
    config = target / "curl.txt"
    lines = [f'header = "Authorization: Bearer {token}"', "fail", "silent", "show-error"]
    for file in tree.files:
        lines += [
            f'url = "{node.connection.url}/api/content/blobs/{file.sha256}"',
            f'output = "{target / file.sha256}"',
        ]
    config.write_text("\n".join(lines))
    begun = time.perf_counter()
    subprocess.run(["curl", "--config", str(config)], check=True)
    seconds = time.perf_counter() - begun
    assert sum(path.stat().st_size for path in target.iterdir() if path != config) == sum(f.size for f in tree.files)
    shutil.rmtree(target)
    return seconds


async def _send(taker: RenderServerProxy, giver: RenderServerProxy, tree: Tree) -> float:
    """Seconds until a project is complete on a node, from the first word about it."""
    farm = FarmSecret(Path("unused"), _SECRET)
    await asyncio.to_thread(farm.load)
    assert farm.farm is not None
    me = Me(secrets.token_hex(16), "bench", secrets.token_hex(8))
    source = next(node.id for node in (await giver.get_nodes()).nodes if node.own)
    await _until_online(taker, source)
    greeting = await greet(parse_address(taker.connection.address), farm.farm, me, 10)
    body = Prepare(tree=tree.id, sources=[source]).model_dump(mode="json", exclude_none=True)
    begun = time.perf_counter()
    try:
        while True:
            told = read(_PREPARATION, await greeting.client.post(PREPARE_PATH, body))
            assert not told.failed, told.sentences
            if told.ready:
                return time.perf_counter() - begun
            await asyncio.sleep(_POLL)
    finally:
        await greeting.client.aclose()


async def _until_online(node: RenderServerProxy, other: str) -> None:
    while True:
        if any(one.id == other and one.state is NodeState.ONLINE for one in (await node.get_nodes()).nodes):
            return
        await asyncio.sleep(_POLL)


@asynccontextmanager
async def _node(data: Path, peer: str) -> AsyncIterator[RenderServerProxy]:
    settings = {
        "ZORDON_NAME": data.name,
        "ZORDON_FARM_SECRET": _SECRET,
        "ZORDON_PEERS": peer,
        "ZORDON_ENGINE_SOURCES": "[]",
        "ZORDON_DISCOVERY": "false",
    }
    async with own_service(data, settings) as node:
        yield node


if __name__ == "__main__":
    run("transfer_projects", "projects on their way between nodes", measure)
