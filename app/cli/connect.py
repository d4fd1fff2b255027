"""From a command to the service and back: where it is, one event loop a command, one sentence for each error."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import typer

from app.cli.exits import Exit, exit_for
from app.cli.show import clean, errors
from client import ConnectionFailed, JobNotFound, RenderServerProxy, Target, Unauthorized, ZordonError, find_target
from client.models import Job

T = TypeVar("T")

_SHORTEST_PREFIX: Final = 4


@dataclass(frozen=True, slots=True)
class Reach:
    """What the options before the command say about where the service is. None: look for it."""

    host: str | None = None
    port: int | None = None
    token: str | None = None
    data_dir: Path | None = None
    ca: Path | None = None

    def target(self) -> Target:
        """The node that is meant.

        Raises:
            ZordonError: see :func:`client.find_target`.
        """
        return find_target(self.host, self.port, self.token, self.data_dir, ca=self.ca)


def reach_of(context: typer.Context) -> Reach:
    """The options before the command."""
    found = context.find_object(Reach)
    return found if found is not None else Reach()


def fail(message: str, code: Exit) -> NoReturn:
    """End the command with one sentence on stderr."""
    errors.print(f"zordon: {clean(message)}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def run(work: Callable[[], Awaitable[T]], *, on_interrupt: str = "interrupted") -> T:
    """Run a command's coroutine to its end; every error becomes a sentence and an exit code.

    Args:
        on_interrupt: what is said on Ctrl-C.

    Raises:
        typer.Exit: it failed.
    """

    async def whole() -> T:
        return await work()

    try:
        return asyncio.run(whole())
    except KeyboardInterrupt:
        fail(on_interrupt, Exit.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has enough; Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(Exit.OK) from None
    except ZordonError as error:
        fail(_sentence(error), exit_for(error))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), Exit.LOCAL)


def on_node(
    context: typer.Context,
    work: Callable[[RenderServerProxy], Awaitable[T]],
    *,
    on_interrupt: str = "interrupted",
) -> T:
    """Like :func:`run`, with a connection to the service."""

    async def connected() -> T:
        target = await asyncio.to_thread(reach_of(context).target)
        async with RenderServerProxy.at(target) as node:
            return await work(node)

    return run(connected, on_interrupt=on_interrupt)


def local_outputs(context: typer.Context, job: Job) -> Path | None:
    """The folder of a job's outputs, if the service is this user's own on this machine; else None."""
    target = reach_of(context).target()
    if target.token_file is None:
        return None
    folder = target.token_file.parent / "jobs" / job.id / "output"
    return folder if folder.is_dir() else None


async def find_job(node: RenderServerProxy, text: str) -> Job:
    """The job meant by ``text``: its id, an unambiguous beginning of it, or ``last`` for the newest.

    Raises:
        JobNotFound: there is no such job, or more than one.
    """
    if text != "last":
        try:
            return await node.get_job(text)
        except JobNotFound:
            if len(text) < _SHORTEST_PREFIX:
                raise
    jobs = (await node.get_jobs()).jobs
    if text == "last":
        if not jobs:
            raise JobNotFound("there are no jobs yet", status=400)
        return max(jobs, key=lambda job: job.date_created)
    found = [job for job in jobs if job.id.startswith(text)]
    if len(found) == 1:
        return found[0]
    raise JobNotFound(
        f"{len(found)} jobs begin with {text!r}: give more of the id" if found else f"there is no job {text!r}",
        status=400,
    )


def _sentence(error: ZordonError) -> str:
    message = str(error)
    if isinstance(error, ConnectionFailed):
        return f"{message}. Is the service running there? `zordon serve` starts it, `zordon doctor` says what is wrong."
    if isinstance(error, Unauthorized):
        return f"{message}. Give it as --token or ZORDON_TOKEN; it is in the file `token` of the service's data folder."
    return message
