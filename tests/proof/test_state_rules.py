"""The rules of a job, driven through a node that only exists in memory: a million events in any order, and hypothesis.

A walk that fails prints its seed. ``ZORDON_SIMULATION_SEED=<seed>`` runs that walk alone and prints all of its events
before the fault; ``ZORDON_SIMULATION_EVENTS`` makes more of them (10,000,000 take a quarter of an hour).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.proof.imagined_farm import ImaginedFarm
from tests.proof.imagined_nodes import ImaginedNodes

EVENTS = int(os.environ.get("ZORDON_SIMULATION_EVENTS", "1000000"))
SEED = os.environ.get("ZORDON_SIMULATION_SEED")
PARTS = 4
WALK = 400
"""Actions of one walk, before the faults stop."""
LIVE = 4
"""Jobs at a time."""

Action = Callable[[ImaginedFarm], None]

_ACTIONS: tuple[tuple[Action, int], ...] = (
    (ImaginedFarm.work, 100),
    (ImaginedFarm.commit, 12),
    (ImaginedFarm.pass_time, 8),
    (ImaginedFarm.repeat, 20),
    (ImaginedFarm.note, 1),
    (ImaginedFarm.cancel, 2),
    (ImaginedFarm.retry, 3),
    (ImaginedFarm.change_engines, 2),
    (ImaginedFarm.change_disk, 2),
    (ImaginedFarm.crash, 1),
)


_ACTIONS_OF_MANY: tuple[tuple[Callable[[ImaginedNodes], None], int], ...] = (
    *((getattr(ImaginedNodes, action.__name__), weight) for action, weight in _ACTIONS),  # with what it does besides
    (ImaginedNodes.give, 12),
    (ImaginedNodes.go_on_elsewhere, 60),
    (ImaginedNodes.trouble_elsewhere, 6),
)


def walk(seed: int) -> ImaginedFarm:
    """One random walk of a node that is alone, to the end of its last job.

    Raises:
        AssertionError: a promise was broken; the story is told.
    """
    chance = random.Random(seed)
    farm = ImaginedFarm(lambda below: int(chance.random() * below))
    actions = [action for action, weight in _ACTIONS for _ in range(weight)]
    _walk(farm, actions, chance, seed)
    return farm


def walk_of_many(seed: int) -> ImaginedNodes:
    """The same of a node that others help.

    Raises:
        AssertionError: a promise was broken; the story is told.
    """
    chance = random.Random(seed)
    farm = ImaginedNodes(lambda below: int(chance.random() * below))
    actions = [action for action, weight in _ACTIONS_OF_MANY for _ in range(weight)]
    _walk(farm, actions, chance, seed)
    return farm


Farm = TypeVar("Farm", bound=ImaginedFarm)


def _walk(farm: Farm, actions: Sequence[Callable[[Farm], None]], chance: random.Random, seed: int) -> None:
    try:
        for _ in range(WALK):
            if len(farm.newest) < LIVE and (not farm.stored or chance.random() < 0.1):
                farm.submit()
            actions[int(chance.random() * len(actions))](farm)
        farm.calm_down()
    except Exception as error:
        story = "\n".join(farm.story)
        raise AssertionError(f"{error}\nreplay with ZORDON_SIMULATION_SEED={seed}, after\n{story}") from error


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_million_events_in_any_order_with_other_nodes_around(part: int) -> None:
    if SEED is not None:
        walk_of_many(int(SEED))
        return
    seed, events, twice, adopted = part * 1_000_000_000, 0, 0, 0
    while events < EVENTS // PARTS:
        farm = walk_of_many(seed)
        seed, events = seed + 1, events + farm.events
        twice, adopted = twice + farm.twice, adopted + farm.adopted
    assert twice, "no frame came home twice: the walks do not see what they are for"
    assert adopted, "nothing came home from an attempt that was over"


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_million_events_in_any_order(part: int) -> None:
    if SEED is not None:
        walk(int(SEED))
        return
    seed, events, statuses = part * 1_000_000_000, 0, set()
    while events < EVENTS // PARTS:
        farm = walk(seed)
        seed, events = seed + 1, events + farm.events
        statuses |= {record.status.value for record in farm.stored.values()}
    assert statuses == {"completed", "cancelled", "error"}


def test_a_seed_replays_the_same_walk() -> None:
    assert list(walk(7).story) == list(walk(7).story)


class AnyHistory(RuleBasedStateMachine):
    """The same node, with hypothesis choosing what happens, and looking for the shortest way to a broken promise."""

    def __init__(self) -> None:
        super().__init__()
        self.farm = ImaginedFarm(self._choose)
        self._numbers: list[int] = []

    def _choose(self, below: int) -> int:
        return self._numbers.pop() % below if self._numbers else 0

    def _act(self, numbers: list[int], action: Action) -> None:
        self._numbers = numbers
        action(self.farm)

    numbers = st.lists(st.integers(0, 59), max_size=8)

    @precondition(lambda self: len(self.farm.newest) < LIVE)
    @rule(numbers=numbers)
    def submit(self, numbers: list[int]) -> None:
        self._act(numbers, ImaginedFarm.submit)

    @precondition(lambda self: self.farm.stored)
    @rule(
        numbers=numbers,
        action=st.sampled_from([action for action, weight in _ACTIONS for _ in range(min(weight, 4))]),
    )
    def something_happens(self, numbers: list[int], action: Action) -> None:
        self._act(numbers, action)

    def teardown(self) -> None:
        """However it went, it comes to an end."""
        self._numbers = []
        chance = random.Random(1)
        self.farm.choose = lambda below: int(chance.random() * below)
        self.farm.calm_down()


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
