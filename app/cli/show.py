"""How things look in a terminal: sizes, times, states, and text from elsewhere made harmless."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel, JsonValue
from rich.console import Console
from rich.text import Text

from client.models import Job, JobStatus

console: Final = Console(highlight=False, soft_wrap=False)
errors: Final = Console(stderr=True, highlight=False)

STYLES: Final[Mapping[JobStatus, str]] = {
    JobStatus.CONFIGURING: "cyan",
    JobStatus.SCHEDULED: "cyan",
    JobStatus.NOT_STARTED: "yellow",
    JobStatus.RUNNING: "bold blue",
    JobStatus.WAITING_FOR_SUBJOBS: "blue",
    JobStatus.COMPLETED: "green",
    JobStatus.CANCELLED: "magenta",
    JobStatus.ERROR: "bold red",
}

SHORT_ID: Final = 8
"""Characters of a job id that tables show; commands take any unambiguous beginning."""


def clean(text: str) -> str:
    """Text that a stranger may have written, without what a terminal would obey; line ends and tabs become blanks."""
    return "".join(char if char.isprintable() else " " for char in text)


def status_text(status: JobStatus) -> Text:
    """A status in its colour."""
    return Text(status.value.replace("_", " "), style=STYLES[status])


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``, ``3 d 4 h``."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(count: float) -> str:
    """Bytes in units of 1,000: ``417 B``, ``1.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def plural(count: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def age(moment: datetime) -> str:
    """How long ago something was."""
    return duration((datetime.now(UTC) - moment).total_seconds())


def took(job: Job) -> str:
    """From the first attempt to the end, if both were."""
    if job.start_time is None or job.end_time is None:
        return ""
    return duration((job.end_time - job.start_time).total_seconds())


def print_json(value: JsonValue) -> None:
    """Plain JSON on stdout, indented."""
    # Not through rich: it would wrap and colour what a program reads.
    print(json.dumps(value, indent=2, ensure_ascii=False))


def dumped(model: BaseModel) -> JsonValue:
    """A wire model as JSON, as it came."""
    value: JsonValue = model.model_dump(mode="json", by_alias=True)
    return value
