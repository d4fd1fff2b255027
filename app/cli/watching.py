"""Following jobs to their end: live bars in a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from app.cli.show import SHORT_ID, STYLES, clean, console, dumped, duration, took
from client import JobCache, JobNotFound, RenderServerProxy
from client.models import Job

_BAR_WIDTH: Final = 32
_STEP: Final = 10
"""Percent between two plain lines about the same job."""


class Reporter(Protocol):
    """Shows jobs as they change."""

    def __enter__(self) -> Reporter: ...

    def __exit__(self, *error: object) -> None: ...

    def show(self, jobs: Sequence[Job], trouble: str) -> None:
        """The jobs as they are now; ``trouble``: why nothing new comes, or empty."""


class LiveBars:
    """One bar a job, redrawn in place."""

    def __init__(self, target: Console = console) -> None:
        self._live = Live(console=target, auto_refresh=False, transient=False)

    def __enter__(self) -> LiveBars:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def show(self, jobs: Sequence[Job], trouble: str) -> None:
        """Draw."""
        parts: list[Table | Text] = []
        for job in jobs:
            row = Table.grid(padding=(0, 1))
            row.add_row(
                Text(clean(job.name)[:40], style="bold"),
                ProgressBar(total=100.0, completed=job.percent_complete, width=_BAR_WIDTH),
                Text(f"{job.frames_done}/{job.total_frames}"),
                Text(f"{job.percent_complete:.0f} %"),
                Text("" if job.eta_seconds is None or job.status.ended else f"{duration(job.eta_seconds)} left"),
            )
            parts.append(row)
            parts.append(Text(f"  {_state(job)}", style=STYLES[job.status], no_wrap=True, overflow="ellipsis"))
        if trouble:
            parts.append(Text(f"  {clean(trouble)}", style="yellow"))
        self._live.update(Group(*parts), refresh=True)


class PlainLines:
    """A line whenever a job's state changes or it is ten percent further."""

    def __init__(self, target: Console = console) -> None:
        self._console = target
        self._said: dict[str, tuple[str, int]] = {}
        self._trouble = ""

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, jobs: Sequence[Job], trouble: str) -> None:
        """Print what is new."""
        for job in jobs:
            now = (job.status.value, int(job.percent_complete) // _STEP)
            if self._said.get(job.id) != now:
                self._said[job.id] = now
                self._print(
                    f"{job.id[:SHORT_ID]} {clean(job.name)}: {job.frames_done}/{job.total_frames} frames, "
                    f"{job.percent_complete:.0f} %, {_state(job)}"
                )
        if trouble and trouble != self._trouble:
            self._print(clean(trouble))
        self._trouble = trouble

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)


class JsonLines:
    """Every change as one line of JSON: the job."""

    def __init__(self) -> None:
        self._said: dict[str, Job] = {}

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, jobs: Sequence[Job], trouble: str) -> None:
        """Print the jobs that changed."""
        for job in jobs:
            if self._said.get(job.id) != job:
                self._said[job.id] = job
                print(json.dumps(dumped(job), ensure_ascii=False), flush=True)


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def show(self, jobs: Sequence[Job], trouble: str) -> None:
        """Nothing."""


def reporter_for(target: Console = console) -> Reporter:
    """Live bars in a terminal, lines in a file or pipe."""
    return LiveBars(target) if target.is_terminal else PlainLines(target)


async def watch(node: RenderServerProxy, job_ids: Sequence[str], reporter: Reporter) -> list[Job]:
    """Follow jobs until each of them has ended.

    Returns:
        The jobs in their last state, in the order asked for.

    Raises:
        JobNotFound: one of them was deleted meanwhile, or never was.
        ZordonError: the service refuses.
    """
    shown: list[Job] = []
    said = ""

    async with JobCache(node) as cache:

        def trouble() -> str:
            return f"no answer from the service, trying again: {cache.error}" if cache.stale_since else ""

        def news(jobs: Mapping[str, Job]) -> bool:
            return [jobs.get(job_id) for job_id in job_ids] != shown or trouble() != said

        with reporter:
            while True:
                await cache.wait_for(news)
                gone = [job_id for job_id in job_ids if job_id not in cache.jobs]
                if gone:
                    raise JobNotFound(f"job {gone[0]} is not there any more", status=400)
                shown, said = [cache.jobs[job_id] for job_id in job_ids], trouble()
                reporter.show(shown, said)
                if all(job.status.ended for job in shown):
                    return shown


def report_end(jobs: Sequence[Job]) -> None:
    """What became of jobs that have ended: time, warnings, errors."""
    for job in jobs:
        after = f" after {took(job)}" if took(job) else ""
        line = f"{clean(job.name)}: {job.status.value}{after}, {job.frames_done} of {job.total_frames} frames"
        console.print(Text(line, style=STYLES[job.status]), soft_wrap=True)
        for warning in job.warnings:
            console.print(Text(f"  warning: {clean(warning)}", style="yellow"), soft_wrap=True)
        for error in job.errors:
            console.print(Text(f"  error: {clean(error)}", style="red"), soft_wrap=True)


def _state(job: Job) -> str:
    """Status and why, in one line."""
    parts = [job.status.value.replace("_", " ")]
    if len(job.nodes) > 1 or (job.nodes and job.nodes != [job.hostname]):
        parts.append(clean(f"on {', '.join(job.nodes)}"))
    if job.current and not job.status.ended:
        parts.append(clean(job.current))
    elif job.reason:
        parts.append(clean(job.reason))
    return ": ".join(parts)
