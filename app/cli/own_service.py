"""A service of one's own for a while: on a free port, with a data folder of its own.

The demo and the tests use it. The service is a process like any other, started through the command line.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from client import RenderServerProxy, Target, ZordonError, find_target

_TRIES: Final = 3
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_LOCALHOST: Final = "127.0.0.1"


class ServiceFailed(Exception):
    """The service did not start; the message has the last lines it said."""


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without the settings of whatever other service this user runs."""
    return {name: value for name, value in environment.items() if not name.startswith("ZORDON_")}


@asynccontextmanager
async def own_service(
    data_dir: Path, settings: Mapping[str, str] | None = None, port: int | None = None
) -> AsyncIterator[RenderServerProxy]:
    """Run ``zordon serve`` on this machine while the context lasts.

    Args:
        data_dir: its data folder; what it says is in ``service.log`` there.
        settings: further settings as environment variables.
        port: where it listens; None: wherever there is a free port.

    Raises:
        ServiceFailed: it did not start.
    """
    # The mark says that it is no leftover of an engine: a node in this very process (in tests) would end it as one.
    environment = scrubbed(os.environ) | dict(settings or {}) | {"PYTHONUNBUFFERED": "1", "ZORDON_WORKER": "1"}
    await asyncio.to_thread(data_dir.mkdir, parents=True, exist_ok=True)
    log = data_dir / "service.log"
    for attempt in range(1, _TRIES + 1):
        place = port if port is not None else free_port()
        process = await _start(place, data_dir, log, environment)
        try:
            find = partial(find_target, _LOCALHOST, place, data_dir=data_dir, environment=settings or {})
            if await _answers(find, process):
                async with RenderServerProxy.at(await asyncio.to_thread(find)) as node:
                    yield node
                return
        finally:
            await _stop(process)
        # Somebody may have taken the port between our look and the service's: then another one will do.
        said = await asyncio.to_thread(log.read_text, encoding="utf-8", errors="replace")
        if "in use" not in said or port is not None or attempt == _TRIES:
            raise ServiceFailed("the service did not start: " + "\n".join(said.strip().splitlines()[-8:]))


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((_LOCALHOST, 0))
        port: int = probe.getsockname()[1]
        return port


async def _start(port: int, data_dir: Path, log: Path, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    file = await asyncio.to_thread(log.open, "ab")
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "serve", "--port", str(port), "--data-dir", str(data_dir)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(environment),
            # Ctrl-C in the terminal is for us; the service is stopped by us, after that.
            start_new_session=os.name == "posix",
        )
    finally:
        await asyncio.to_thread(file.close)


async def _answers(find: Callable[[], Target], process: asyncio.subprocess.Process) -> bool:
    """Wait until the service answers or has ended."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _START_SECONDS
    while process.returncode is None and loop.time() < deadline:
        try:
            # Looked for anew each time: the service says that it speaks HTTPS when it listens, not before.
            async with RenderServerProxy.at(await asyncio.to_thread(find)) as node:
                if await node.check_connection():
                    return True
        except ZordonError:
            # Some other program has the port: ours will say so and end.
            pass
        await asyncio.sleep(_POLL_SECONDS)
    return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
