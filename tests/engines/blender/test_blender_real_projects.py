"""Projects that others made, of every Blender since 2.48: inspected all, and some of them rendered.

They come with the Debian packages assimp-testmodels, openshot-qt and morse-simulator-data; ZORDON_TEST_BLENDS may name
a further folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from engines.contract import ChunkDone, EngineVersion, ProjectInfo, Refusal
from tests.support.blender_sessions import ENGINE, Started

PLACES = (
    "/usr/share/assimp/models",
    "/usr/share/openshot-qt",
    "/usr/share/morse",
    os.environ.get("ZORDON_TEST_BLENDS"),
)


def projects() -> Iterator[Path]:
    for place in PLACES:
        if place:
            yield from sorted(Path(place).rglob("*.blend"))


@pytest.fixture(scope="module")
def inspected() -> dict[Path, ProjectInfo | Refusal]:
    found: dict[Path, ProjectInfo | Refusal] = {}
    for project in projects():
        try:
            found[project] = ENGINE.inspect(project)
        except Refusal as refusal:
            found[project] = refusal
    if not found:
        pytest.skip("no projects of others: install assimp-testmodels, or set ZORDON_TEST_BLENDS")
    return found


@pytest.mark.slow
def test_each_is_understood_or_refused_for_a_good_reason(inspected: dict[Path, ProjectInfo | Refusal]) -> None:
    for project, found in inspected.items():
        if isinstance(found, Refusal):
            assert "no camera" in found.message or "no scene" in found.message, (project, found.message)
            continue
        assert found.frames, project
        assert found.width, project
        assert found.cameras, project
        assert found.view_layers, project
        # Before 2.50 the tracer misses fields that it needs, which must be said.
        assert (found.format_version is not None and found.format_version < (2, 50)) or not found.warnings, project


@pytest.mark.blender
@pytest.mark.slow
def test_some_of_every_age_render(
    inspected: dict[Path, ProjectInfo | Refusal], program: EngineVersion, start: Started
) -> None:
    oldest: dict[tuple[int, ...], Path] = {}
    for project, found in inspected.items():
        if isinstance(found, ProjectInfo) and found.format_version is not None:
            oldest.setdefault(found.format_version, project)
    rendered = 0
    for project in list(oldest.values())[:8]:
        with suppress(Refusal):
            driven = start(project, program, {"render_engine": "WORKBENCH", "resolution_percentage": 10})
            frame = driven.request.frames.frame(0)
            chunk, events = driven.rendered(frame)
            assert events[-1] == ChunkDone(chunk.attempt), (project, driven.tail())
            item = ENGINE.expected(driven.request, chunk)[0]
            with Image.open(chunk.folder / item.name) as picture:
                assert picture.size == (driven.request.width, driven.request.height), project
            assert driven.finish() == 0, (project, driven.tail())
            rendered += 1
    assert rendered
