"""Short questions to an engine (its version, its help, its devices): a process with a time limit and bounded output."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from app.render.environment import engine_environment
from app.render.processes import RunAs
from app.render.processes.interface import popen_user

MAX_PRINTED = 1 << 20
"""Bytes of output that are kept."""


class ProbeError(Exception):
    """The process could not be started or did not end in time."""


async def ask(
    argv: Sequence[str], *, seconds: float = 30.0, scratch: Path | None = None, run_as: RunAs | None = None
) -> tuple[int, str]:
    """Run a command to its end.

    Args:
        argv: the command.
        seconds: how long it may take.
        scratch: a folder of ours that becomes its home, its temporary and its working folder.
        run_as: another user as whom it runs.

    Returns:
        Its exit code and what it printed (stdout and stderr, UTF-8, damaged bytes replaced).

    Raises:
        ProbeError: see the class.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=engine_environment(scratch),
            cwd=scratch,
            **popen_user(run_as),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ProbeError(f"{argv[0]} cannot be started: {error}") from error
    assert process.stdout is not None
    printed = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while block := await process.stdout.read(65536):
                if len(printed) < MAX_PRINTED:
                    printed += block
            code = await process.wait()
    except TimeoutError as error:
        raise ProbeError(f"{argv[0]} did not answer within {seconds:g} s") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return code, printed[:MAX_PRINTED].decode("utf-8", "replace")
