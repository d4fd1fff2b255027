"""What a benchmark reports: our figure, the peer's or the limit's of the same run, the ratio, the goal."""

from __future__ import annotations

import argparse
import json
import math
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a report. ``ours`` and ``peer`` are in ``unit``; ``reached`` is None where nothing was asked for."""

    what: str
    unit: str
    ours: float | None  # None: this line shows a peer alone
    peer: float | None = None
    peer_name: str = ""
    goal: str = ""
    reached: bool | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours through the peer's."""
        return self.ours / self.peer if self.ours is not None and self.peer else None

    def line(self) -> str:
        """The figure as one line for people."""
        parts = [f"{self.what}:"]
        if self.ours is not None:
            parts.append(f"{number(self.ours)} {self.unit}")
        if self.peer is not None:
            parts.append(f"[{self.peer_name}: {number(self.peer)} {self.unit}]")
        if self.ratio is not None:
            parts.append(f"ratio {self.ratio:.3f}")
        if self.goal:
            parts.append(f"goal {self.goal}: {'reached' if self.reached else 'MISSED'}")
        if self.note:
            parts.append(f"({self.note})")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Options:
    """What every benchmark can be told."""

    quick: bool  # tiny counts, to see that it works
    folder: Path  # where it may keep temporary data


Report = Callable[[Figure], None]


def run(name: str, description: str, measure: Callable[[Options, Report], None]) -> None:
    """The command line of a benchmark: run ``measure`` in a folder of its own, print each figure as it is known."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}", description=description)
    parser.add_argument("--quick", action="store_true", help="tiny counts: shows that it works, measures nothing")
    parser.add_argument("--dir", type=Path, help="where temporary data is kept (up to 8 GB); default: the system's")
    parser.add_argument("--json", type=Path, help="append the figures to this file, one JSON object a line")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # so that what was started is ended and what was written is removed
    with temporary(given.dir) as folder:
        print(f"== {name}: {description}", flush=True)

        def report(figure: Figure) -> None:
            print(f"   {figure.line()}", flush=True)
            if given.json is not None:
                with given.json.open("a", encoding="utf-8") as file:
                    said = {"bench": name, **asdict(figure), "ratio": figure.ratio}
                    file.write(json.dumps(said) + "\n")

        measure(Options(given.quick, folder), report)


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextmanager
def temporary(parent: Path | None) -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="zordon-bench-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def number(value: float) -> str:
    """A figure with three or four digits that matter."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def median(values: list[float]) -> float:
    """The 50th percentile."""
    return percentile(values, 0.5)


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]
