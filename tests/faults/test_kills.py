"""kill -9 of the service, again and again, at random moments: the six promises of docs/promises.md hold."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import pytest

from tests.faults.killing import KillLoop
from tests.faults.projects import make_video
from tests.faults.victim import Place

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc"),
]
KILLS = 40


async def test_forty_kills_break_no_promise(tmp_path: Path) -> None:
    seed = int(os.environ.get("ZORDON_FAULT_SEED", secrets.randbelow(10**6)))
    print(f"\nZORDON_FAULT_SEED={seed}")
    loop = KillLoop(Place(tmp_path / "run"), seed, await make_video(tmp_path / "clip.mp4"))
    score = await loop.run(KILLS)
    print(score)
    assert sum(score.kills.values()) == KILLS
    assert score.frames > 100, "hardly anything was rendered: the test shows nothing"
    assert score.ended["completed"] > 10
