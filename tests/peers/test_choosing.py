"""Who gets what, on farms that are only imagined: nodes take their time, the rules and the choice are the real ones."""

from __future__ import annotations

import random

import pytest

from bench.farm_simulation import Node, Simulation
from client.models import JobStatus


def farm(count: int, frames: int, dies: tuple[int, int] | None = None, seed: int = 1) -> Simulation:
    """A farm whose job has ended."""
    chance = random.Random(seed)
    nodes = [Node.of(number, chance.uniform(0.2, 2.0)) for number in range(count)]
    simulation = Simulation(nodes, frames, dies)
    simulation.run()
    return simulation


@pytest.mark.parametrize("seed", range(5))
def test_a_job_ends_complete_and_all_nodes_come_to_its_end_together(seed: int) -> None:
    simulation = farm(20, 2000, seed=seed)
    assert simulation.record.status is JobStatus.COMPLETED
    assert simulation.done == 2000
    ideal = 2000 / sum(1 / node.seconds for node in simulation.nodes)
    assert simulation.time <= 1.1 * ideal + 2.0


def test_it_ends_complete_although_a_node_dies_without_a_word() -> None:
    simulation = farm(10, 500, dies=(3, 100))
    assert simulation.record.status is JobStatus.COMPLETED
    assert simulation.died > 0
    assert simulation.done == 500


def test_where_engines_take_long_to_start_they_start_less_often() -> None:
    at_once, slowly = (
        Simulation([Node.of(number, 0.5) for number in range(8)], 2000, start_seconds=start) for start in (0.0, 5.0)
    )
    at_once.run()
    slowly.run()
    assert slowly.done == at_once.done == 2000
    assert slowly.shares < 0.7 * at_once.shares
    assert slowly.time <= 1.35 * 2000 * 0.5 / 8


def test_more_nodes_than_frames_and_one_node_alone_are_farms_too() -> None:
    assert farm(40, 7).done == 7
    assert farm(1, 30).done == 30


def test_a_thousand_nodes_have_something_to_do_at_once() -> None:
    simulation = farm(1000, 4000)
    assert simulation.record.status is JobStatus.COMPLETED
    slowest = max(node.seconds for node in simulation.nodes)
    assert simulation.time <= 4 * slowest * 4  # each has four frames, and none waits for another
