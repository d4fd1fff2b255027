"""Jobs whose project another node has sent: by the id of its tree, inspected once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from app.jobs.errors import Forbidden, RequestError
from app.jobs.intake import Intake
from app.render.catalog import EngineCatalog
from engines.contract import Engine, ProjectInfo

if TYPE_CHECKING:
    from tests.jobs.conftest import Farm

TREE = "ab" * 32
NODE = "node:0123456789abcdef"


async def submitted(intake: Intake, farm: Farm, by: str = NODE, **fields: object) -> str | None:
    body = orjson.dumps({"renderer": "ffmpeg", "project_tree": TREE, **fields})
    wires = await intake.from_json(body, local=False, key=None, by=by)
    return (await farm.records(wires))[0].spec.project_path


async def test_a_second_share_costs_no_second_inspection(farm: Farm, catalog: EngineCatalog, clip: bytes) -> None:
    place = farm.folders.projects / TREE / "clip.mp4"
    place.parent.mkdir()
    place.write_bytes(clip)

    async def check_out(tree_id: str) -> Path | None:
        return place if tree_id == TREE else None

    async def inspect(engine: Engine, project: Path) -> ProjectInfo:
        farm.inspected.append(project)
        return engine.inspect(project)

    intake = Intake(farm.settings, farm.folders, farm.jobs, catalog, inspect, check_out=check_out)
    assert await submitted(intake, farm) == f"projects/{TREE}/clip.mp4"
    assert await submitted(intake, farm, frames="1-2") == f"projects/{TREE}/clip.mp4"
    assert farm.inspected == [place]
    with pytest.raises(RequestError, match="is not complete on this node"):
        await submitted(intake, farm, project_tree="cd" * 32)
    with pytest.raises(Forbidden, match="only another node"):
        await submitted(intake, farm, by="a token")
