"""What a check of the doctor is given and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """What a check found."""

    OK = "ok"
    NOTE = "note"  # works without it, or less well
    MISSING = "missing"  # needed


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer. ``mend`` says what to do, where something is to be done."""

    check: str
    verdict: Verdict
    message: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """The node that is looked at."""

    data_dir: Path
    host: str
    port: int
    answering: bool  # whether a Zordon service answers there now
