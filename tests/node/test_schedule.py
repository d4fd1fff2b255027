"""When a node may render."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from app.node.schedule import is_open, next_change, words
from client.models import RenderWindow


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A time zone with summer time, whatever that of this machine is."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system takes no time zone from the environment")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def window(days: str, begins: str, ends: str) -> RenderWindow:
    return RenderWindow.model_validate({"days": days.split(), "from": begins, "to": ends})


def at(text: str) -> float:
    """A moment on the clock there."""
    return datetime.fromisoformat(text).astimezone().timestamp()


NIGHTS = [window("mon tue wed thu fri", "18:00", "08:00"), window("sat sun", "00:00", "00:00")]


def test_without_windows_it_is_always_open() -> None:
    assert is_open([], at("2026-05-04T12:00"))
    assert next_change([], at("2026-05-04T12:00")) is None


@pytest.mark.parametrize(
    ("moment", "is_it"),
    [
        ("2026-05-04T12:00", False),  # a Monday
        ("2026-05-04T17:59", False),
        ("2026-05-04T18:00", True),
        ("2026-05-05T07:59", True),
        ("2026-05-05T08:00", False),
        ("2026-05-09T12:00", True),
        ("2026-05-10T23:59", True),
        ("2026-05-11T00:00", False),  # Sunday's window ends, and Monday's night has not begun
    ],
)
def test_nights_and_weekends(moment: str, is_it: bool) -> None:
    assert is_open(NIGHTS, at(moment)) is is_it


@pytest.mark.parametrize(
    ("moment", "change"),
    [
        ("2026-05-04T12:00", "2026-05-04T18:00"),
        ("2026-05-04T18:00", "2026-05-05T08:00"),
        ("2026-05-08T18:00", "2026-05-11T00:00"),  # from Friday's night straight into the weekend
        ("2026-05-11T00:00", "2026-05-11T18:00"),
    ],
)
def test_the_next_change_is_one(moment: str, change: str) -> None:
    assert next_change(NIGHTS, at(moment)) == at(change)


def test_always_open_never_changes() -> None:
    assert next_change([window("mon tue wed thu fri sat sun", "06:00", "06:00")], at("2026-05-04T12:00")) is None


def test_summer_time_moves_the_clock_and_not_the_window() -> None:
    nights = [window("sat", "22:00", "06:00")]
    begins = at("2026-03-28T22:00")
    assert next_change(nights, begins) == at("2026-03-29T06:00")
    assert at("2026-03-29T06:00") - begins == 7 * 3600


def test_in_words() -> None:
    assert words(NIGHTS) == "mon-fri 18:00-08:00, sat sun 00:00-00:00"
    assert words([window("wed mon", "01:00", "02:00")]) == "mon wed 01:00-02:00"
