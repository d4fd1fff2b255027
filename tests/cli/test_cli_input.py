"""What a person types, read: engine options, times, sizes; and what a stranger wrote, made harmless."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import typer
from pydantic import JsonValue

from app.cli.arguments import read_args, read_time, split_args
from app.cli.show import clean, duration, size

NOW = datetime(2026, 5, 1, 17, 30, 12, tzinfo=timezone(timedelta(hours=2)))


SCHEMA: dict[str, JsonValue] = {
    "properties": {
        "scene": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "camera": {"type": "string"},
        "samples": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    }
}


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("samples=16", 16),
        ("denoise=false", False),
        ('crop={"x": 1}', {"x": 1}),
        ("scene=Day", "Day"),
        ("scene=001", "001"),
        ("scene=16", "16"),
        ("scene=null", None),
        ('camera="12"', "12"),
        ("camera=true", "true"),
        ("either=5", 5),
        ("note=a=b", "a=b"),
        ("empty=", ""),
    ],
)
def test_values_are_json_unless_the_option_is_text(pair: str, value: JsonValue) -> None:
    assert list(read_args(split_args([pair]), SCHEMA).values()) == [value]


@pytest.mark.parametrize("pairs", [["x"], ["=1"], ["a=1", "a=2"]])
def test_pairs_that_are_none(pairs: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        split_args(pairs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+90m", NOW + timedelta(minutes=90)),
        ("+2h", NOW + timedelta(hours=2)),
        ("18:00", NOW.replace(hour=18, minute=0, second=0)),
        ("17:30", NOW.replace(hour=17, minute=30, second=0) + timedelta(days=1)),
        ("2026-05-02T06:00", datetime(2026, 5, 2, 6, tzinfo=NOW.tzinfo)),
        ("2026-05-02T06:00Z", datetime(2026, 5, 2, 6, tzinfo=UTC)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    assert read_time(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "25:00", "+h", "+5y", "2026-13-01"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="--start-at"):
        read_time(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"), (273600, "3 d 4 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(417, "417 B"), (1200, "1.2 kB"), (3.5e9, "3.5 GB"), (2e15, "2000.0 TB")])
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


def test_text_of_a_stranger_cannot_command_the_terminal() -> None:
    assert clean("a\x1b[2Jb\nc\u202ed\x07") == "a [2Jb c d "
