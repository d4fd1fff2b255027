"""pip as a process: what an index offers, and a package in a folder of its own.

pip is asked as its user has configured it (index, certificates, proxies); nothing here knows where packages come from.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import psutil
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from app.installs.source import Phase, Progress, SourceError
from engines.installs.packages import listed_versions

LIST_SECONDS: Final = 30.0
"""How long an index may take to say what it has."""
REPORT_SECONDS: Final = 0.5
UNPACKED_RATIO: Final = 2.8
"""An unpacked package of an engine is about this many times as large as its wheel."""

_TRIES: Final = 3
_SCRATCH: Final = ".pip-"
_DOWNLOADING: Final = re.compile(
    r"Downloading (?:\S*/)?(?P<name>[A-Za-z0-9_.]+)-\S+ \((?P<size>[\d.]+) (?P<unit>[kMG])B\)"
)
_UNITS: Final = {"k": 1e3, "M": 1e6, "G": 1e9}
_NO_NETWORK: Final = re.compile(r"Retrying \(Retry|Could not fetch URL|connection error|timed out", re.IGNORECASE)
_BROKEN: Final = re.compile(r"connection broken by '?(.+?)'?: /")
_NOT_PIPS: Final = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")
_LINE: Final = 1 << 20
"""The longest line of pip that is read, in bytes."""


async def versions(python: Path, package: str, arguments: Sequence[str]) -> list[str]:
    """What an index has of a package, newest first.

    Args:
        python: whose pip is asked.
        package: its name.
        arguments: for which machine and Python, in pip's words.

    Raises:
        SourceError: there is no pip, or it cannot reach its index.
    """
    command = [
        *(str(python), "-m", "pip", "index", "versions", "--disable-pip-version-check", "--no-input"),
        *("--retries", "1", "--timeout", "5", "--only-binary", ":all:", *arguments, package),
    ]
    printed: list[str] = []
    try:
        async with asyncio.timeout(LIST_SECONDS), _running(command, {}) as process:
            code = await _read(process, printed.append)
    except TimeoutError as error:
        raise SourceError(
            f"pip's index did not say within {LIST_SECONDS:g} s what it has of {package}", transient=True
        ) from error
    text = "\n".join(printed)
    found = listed_versions(text)
    if not found and _NO_NETWORK.search(text):
        broken = _BROKEN.search(text)
        reason = broken[1][:300] if broken else _last_error(printed, code)
        raise SourceError(f"pip cannot reach its index to look for {package}: {reason}", transient=True)
    if not found and code != 0 and "No matching distribution" not in text:
        raise SourceError(f"pip cannot look for {package}: {_last_error(printed, code)}")
    return found


@asynccontextmanager
async def installed(
    python: Path, requirement: str, work: Path, progress: Progress, *, dependencies: bool = True
) -> AsyncIterator[Path]:
    """A package in a scratch folder under ``work``, which goes when the context ends: what is wanted is moved away.

    Args:
        python: whose pip does it, and for which it is installed.
        requirement: one package, as pip takes it.
        work: where the scratch folder is made.
        progress: bytes on the disk, the wheel's among them.
        dependencies: whether what the package needs is installed too.

    Raises:
        SourceError: pip did not install it; nothing of it is left.
    """
    scratch = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=_SCRATCH, dir=work))
    try:
        target = scratch / "target"
        tries = AsyncRetrying(
            stop=stop_after_attempt(_TRIES),
            wait=wait_exponential(multiplier=2.0, max=20.0),
            retry=retry_if_exception(_worth_repeating),
            reraise=True,
        )
        async for attempt in tries:
            with attempt:
                await asyncio.to_thread(shutil.rmtree, target, ignore_errors=True)
                await _install(python, requirement, target, scratch, progress, dependencies)
        yield target
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True))


def remove_leftovers(work: Path) -> None:
    """Remove scratch folders that a crash has left in a folder in which nothing is under way. For a thread."""
    for leftover in work.glob(f"{_SCRATCH}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _worth_repeating(error: BaseException) -> bool:
    return isinstance(error, SourceError) and error.transient


async def _install(
    python: Path, requirement: str, target: Path, scratch: Path, progress: Progress, dependencies: bool
) -> None:
    """One run of pip; its progress is read from the disk, because what pip prints differs by version."""
    downloads = scratch / "downloads"
    await asyncio.to_thread(downloads.mkdir, exist_ok=True)
    # pip unpacks in its temporary folder, which is often a small disk in memory: give it one where the result goes.
    environment = {name: str(downloads) for name in ("TMPDIR", "TEMP", "TMP")}
    command = [
        *(str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
        *("--retries", "5", "--timeout", "30", "--only-binary", ":all:", "--target", str(target)),
        *(() if dependencies else ("--no-deps",)),
        requirement,
    ]
    said = _Said(requirement)
    async with _running(command, environment) as process:
        watching = asyncio.create_task(_watch(scratch, said, progress))
        try:
            code = await _read(process, said.read)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    if code != 0:
        # Not finding a package is final: pip has tried the network several times by then.
        final = "No matching distribution" in said.error
        raise SourceError(
            f"pip could not install {requirement}: {said.error or f'exit code {code}'}", transient=not final
        )


class _Said:
    """What pip has said so far."""

    def __init__(self, requirement: str) -> None:
        self._name = re.split(r"[=<>~!\[; ]", requirement)[0].replace("-", "_").lower()
        self._tail: list[str] = []
        self.phase = Phase.DOWNLOADING
        self.expected: int | None = None

    def read(self, line: str) -> None:
        self._tail = [*self._tail[-5:], line]
        match = _DOWNLOADING.search(line)
        if match and match["name"].lower() == self._name:
            # Wheel, unpacked copy: both lie on the disk before the wheel goes.
            self.expected = int(float(match["size"]) * _UNITS[match["unit"]] * (1 + UNPACKED_RATIO))
        elif line.startswith("Installing collected"):
            self.phase = Phase.UNPACKING

    @property
    def error(self) -> str:
        return _last_error(self._tail, 0)


def _last_error(lines: Sequence[str], code: int) -> str:
    errors = [line for line in lines if line.upper().startswith("ERROR")]
    said = errors or [line for line in lines if line] or [f"exit code {code}" if code else ""]
    return said[-1].removeprefix("ERROR: ")[:400]


async def _watch(scratch: Path, said: _Said, progress: Progress) -> None:
    while True:
        progress(said.phase, await asyncio.to_thread(_bytes_in, scratch), said.expected)
        await asyncio.sleep(REPORT_SECONDS)


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).lstat().st_size
            except FileNotFoundError:
                continue  # pip moved it meanwhile; the next look counts it where it is then
    return total


@asynccontextmanager
async def _running(command: Sequence[str], added: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of pip; when the context ends, so has it with all that it has started."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in _NOT_PIPS and not name.upper().startswith("ZORDON_")
    }
    environment = kept | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"} | added
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LINE,
        )
    except OSError as error:
        raise SourceError(f"{command[0]} cannot be started: {error.strerror}") from error
    try:
        yield process
    finally:
        if process.returncode is None:
            _kill(process.pid)
        await asyncio.shield(process.wait())


def _kill(pid: int) -> None:
    """End a process that has not been waited for yet, so that the id is its own, and its children."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        process.suspend()  # so that it starts no more
        for member in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()


async def _read(process: asyncio.subprocess.Process, take: Callable[[str], None]) -> int:
    """Give each line away and wait for the end; returns the exit code."""
    assert process.stdout is not None
    try:
        while line := await process.stdout.readline():
            take(line.decode("utf-8", errors="replace").strip())
    except ValueError as error:
        raise SourceError(f"pip printed a line of more than {_LINE} bytes") from error
    return await process.wait()
