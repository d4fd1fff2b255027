"""The rule that says which managed versions go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.installs.pruning import DAY, ManagedCopy, prunable

NOW = 1_800_000_000.0


def copy(version: str, *, days: float, size: int = 100, needed: bool = False, newest: bool = False) -> ManagedCopy:
    return ManagedCopy("blender", version, size, NOW - days * DAY, ("a job",) if needed else (), newest)


def test_the_least_recently_used_go_first_until_the_rest_is_within_the_budget() -> None:
    copies = [copy("4.2.1", days=40), copy("3.6.9", days=90), copy("4.5.3", days=50), copy("5.0.1", days=60)]
    removed, kept = prunable(copies, 250, 30, NOW)
    assert [one.version for one in removed] == ["3.6.9", "5.0.1"]
    assert set(kept) == {"blender 4.5.3", "blender 4.2.1"}
    assert "within" in kept["blender 4.2.1"]


def test_what_was_used_lately_is_needed_or_is_the_newest_stays_whatever_the_budget() -> None:
    copies = [copy("4.2.1", days=3), copy("3.6.9", days=90, needed=True), copy("5.0.1", days=90, newest=True)]
    removed, kept = prunable(copies, 0, 30, NOW)
    assert removed == []
    assert "3.0 days ago" in kept["blender 4.2.1"]
    assert "jobs need it" in kept["blender 3.6.9"]
    assert "newest" in kept["blender 5.0.1"]


@given(
    st.lists(
        st.builds(
            ManagedCopy,
            st.just("blender"),
            st.uuids().map(str),
            st.integers(0, 10**10),
            st.floats(NOW - 400 * DAY, NOW),
            st.sampled_from([(), ("a job",)]),
            st.booleans(),
        ),
        max_size=12,
    ),
    st.integers(0, 10**11),
    st.floats(0, 200),
)
def test_nothing_goes_without_need_and_nothing_is_told_twice(
    copies: list[ManagedCopy], budget: int, days: float
) -> None:
    removed, kept = prunable(copies, budget, days, NOW)
    assert {one.name for one in removed} | set(kept) == {one.name for one in copies}
    assert not {one.name for one in removed} & set(kept)
    assert not any(one.needed_by or one.newest for one in removed)
    if removed:
        before_the_last = sum(one.size for one in copies) - sum(one.size for one in removed[:-1])
        assert before_the_last > budget
