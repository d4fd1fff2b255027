"""The load of the last minutes."""

from __future__ import annotations

import psutil

from app.node.load import SAMPLES, LoadRing


def test_the_ring_holds_ten_minutes_and_no_more() -> None:
    ring = LoadRing()
    assert ring.load().times == []
    for _ in range(SAMPLES + 5):
        ring.take()
    load = ring.load()
    assert len(load.times) == len(load.cpu_percent) == len(load.memory_percent) == SAMPLES
    assert load.times == sorted(load.times)
    assert load.memory_total == psutil.virtual_memory().total
    assert all(0 < percent <= 100 for percent in load.memory_percent)
