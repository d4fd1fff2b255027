"""When a node may render: windows of the week, in the node's own time zone. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import get_args

from client.models import RenderWindow
from client.models.nodes import Day

DAYS: tuple[str, ...] = get_args(Day)
"""Monday first, as ``date.weekday()`` counts."""


def is_open(schedule: Sequence[RenderWindow], now: float) -> bool:
    """Whether a node with this schedule may render at a moment (seconds since 1970). Without windows it always may."""
    return not schedule or any(begin <= now < end for begin, end in _around(schedule, now))


def next_change(schedule: Sequence[RenderWindow], now: float) -> float | None:
    """When :func:`is_open` answers otherwise for the first time after ``now``; None: never."""
    if not schedule:
        return None
    was = is_open(schedule, now)
    bounds = sorted({bound for span in _around(schedule, now) for bound in span if bound > now})
    return next((bound for bound in bounds if is_open(schedule, bound) is not was), None)


def words(schedule: Sequence[RenderWindow]) -> str:
    """The schedule for people: ``mon-fri 18:00-08:00, sat sun 00:00-00:00``."""
    return ", ".join(f"{_days(window.days)} {window.from_}-{window.to}" for window in schedule)


def _days(days: Sequence[str]) -> str:
    places = sorted({DAYS.index(day) for day in days})
    if len(places) > 2 and places[-1] - places[0] == len(places) - 1:
        return f"{DAYS[places[0]]}-{DAYS[places[-1]]}"
    return " ".join(DAYS[place] for place in places)


def _around(schedule: Sequence[RenderWindow], now: float) -> Iterator[tuple[float, float]]:
    """Begin and end of every window from the day before to the same day of the next week."""
    today = datetime.fromtimestamp(now).astimezone().date()
    for window in schedule:
        begins, ends = time.fromisoformat(window.from_), time.fromisoformat(window.to)
        for days in range(-1, 9):
            day = today + timedelta(days=days)
            if DAYS[day.weekday()] in window.days:
                yield _moment(day, begins), _moment(day if ends > begins else day + timedelta(days=1), ends)


def _moment(day: date, at: time) -> float:
    """Seconds since 1970 of a time on the clock of this machine, whether summer time or not."""
    return datetime.combine(day, at).astimezone().timestamp()
