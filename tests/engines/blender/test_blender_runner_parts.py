"""The parts of the runner that need no Blender, loaded from where they lie: they are no part of our packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.blender.commands import RUNNER
from engines.contract import FailureCause


def part(name: str) -> ModuleType:
    path: Path = RUNNER.parent / "zordon_runner" / f"{name}.py"
    found = importlib.util.spec_from_file_location(f"runner_{name}", path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


RUNS = part("runs")
CAUSES = part("causes")


@given(st.lists(st.integers(-20, 60), unique=True, max_size=30))
def test_runs_are_the_frames_in_their_order(frames: list[int]) -> None:
    runs = list(RUNS.runs_of(frames))
    assert [frame for run in runs for frame in run] == frames
    assert all(run.step >= 1 for run in runs)
    assert all(len(run) == 1 for run in runs if run[0] < 0), "Blender cannot begin an animation below 0"


@pytest.mark.parametrize(
    ("frames", "runs"),
    [
        ([1, 2, 3], [range(1, 4)]),
        ([0, 5, 10], [range(0, 11, 5)]),
        ([-2, -1, 0, 1], [range(-2, -1), range(-1, 0), range(0, 2)]),
        ([3, 2, 1], [range(3, 4), range(2, 3), range(1, 2)]),
        ([7], [range(7, 8)]),
        ([], []),
    ],
)
def test_runs_are_as_long_as_can_be(frames: list[int], runs: list[range]) -> None:
    assert list(RUNS.runs_of(frames)) == runs


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ("Error: System is out of GPU memory", "out_of_memory"),
        ("Error: Render error (Permission denied) cannot save: '/x'", "disk"),
        ("Error: Cannot render, no camera", "bad_option"),
        ("Error: Build without OpenImageDenoiser", "bad_option"),
        ("Error: something else", "engine_error"),
    ],
)
def test_causes_are_words_that_the_service_knows(message: str, cause: str) -> None:
    assert FailureCause(CAUSES.cause_of(message)).value == cause


def test_messages_in_one_line() -> None:
    assert CAUSES.in_short("Error: one\nError: two\n") == "one; two"
    assert CAUSES.in_short("\n") == "Blender gave no reason"
