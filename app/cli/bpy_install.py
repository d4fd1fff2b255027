"""Blender without a Blender on the machine: PyPI's ``bpy``, in a folder of its own.

pip is asked to install into a scratch folder beside the destination, which is renamed into place once ``import bpy``
has worked there: a half-made installation is never found by anyone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

REQUIREMENT: Final = "bpy==4.5.*"
PYTHON: Final = (3, 11)
"""The one Python that this series of ``bpy`` is built for."""

LIBRARIES: Final = {
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libXi.so.6": "libxi6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libGL.so.1": "libgl1",
    "libgomp.so.1": "libgomp1",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libEGL.so.1": "libegl1",
}
"""Shared libraries that ``bpy`` loads and a minimal Linux lacks, and the Debian packages that hold them."""

_UNPACKED_RATIO: Final = 2.8
"""An unpacked ``bpy`` is about this many times as large as its wheel."""
_NEEDED_BYTES: Final = 2_500_000_000
_DOWNLOADING: Final = re.compile(r"Downloading .*bpy-\S+ \(([\d.]+) ([kMG])B\)")
_UNITS: Final = {"k": 1e3, "M": 1e6, "G": 1e9}
_TRIES: Final = 3

Report = Callable[[str, int, int | None], None]
"""Called as ``report(what is being done, bytes on the disk so far, bytes expected or None)``, from a thread."""


class InstallFailed(Exception):
    """``bpy`` could not be installed; the message says why and what would help."""


class _PipFailed(Exception):
    """pip ended with an error, which is the message."""


def _worth_repeating(error: BaseException) -> bool:
    """Not finding a package is final: pip has tried the network several times by then."""
    return isinstance(error, _PipFailed) and "No matching distribution" not in str(error)


def find_installed(folder: Path) -> Path | None:
    """The newest installed copy under ``folder`` (one folder a version), or None."""
    found = [
        path for path in folder.glob("*") if (path / "bpy" / "__init__.so").exists() or any(path.glob("bpy/*.pyd"))
    ]
    return max(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)], default=None)


def missing_libraries() -> list[str]:
    """The Debian packages that are needed and whose library does not load here; empty off Linux."""
    if sys.platform != "linux":
        return []
    # In a process of its own: a library that is loaded stays, and some change what their process does.
    script = (
        "import ctypes, sys\nfor name in sys.argv[1:]:\n    try: ctypes.CDLL(name)\n    except OSError: print(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *LIBRARIES], capture_output=True, text=True, timeout=60, check=False
    )
    return [LIBRARIES[name] for name in done.stdout.split()]


def install_bpy(folder: Path, report: Report, requirement: str = REQUIREMENT) -> Path:
    """Install ``bpy`` into ``folder/<version>``; blocks for minutes, so call it in a thread.

    Shared libraries that are missing are installed with apt-get where this process may do that.

    Args:
        folder: where the versions of Blender are kept, one folder each.
        report: told about the way it goes, a few times a second.
        requirement: what pip is asked for.

    Returns:
        The folder of the installed version, to be used as PYTHONPATH.

    Raises:
        InstallFailed: wrong Python, no space, no network, or libraries that are missing.
        OSError: the folder cannot be written.
    """
    if sys.version_info[:2] != PYTHON:
        raise InstallFailed(
            f"{requirement} is built for Python {PYTHON[0]}.{PYTHON[1]}, this is {sys.version.split()[0]}: "
            "run Zordon with that Python, or install Blender itself"
        )
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise InstallFailed(f"{folder} has {free / 1e9:.1f} GB free, Blender needs {_NEEDED_BYTES / 1e9:.1f} GB")
    scratch = Path(tempfile.mkdtemp(prefix=".bpy-", dir=folder))
    try:
        target = scratch / "target"
        _install(target, scratch, requirement, report)
        version = _version_of(target)
        report("checking", 0, None)
        _make_importable(target)
        place = folder / version
        if place.exists():
            shutil.rmtree(place)
        target.rename(place)
        return place
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _install(target: Path, scratch: Path, requirement: str, report: Report) -> None:
    tries = Retrying(
        stop=stop_after_attempt(_TRIES),
        wait=wait_exponential(multiplier=2.0, max=20.0),
        retry=retry_if_exception(_worth_repeating),
        reraise=True,
    )
    try:
        for attempt in tries:
            with attempt:
                shutil.rmtree(target, ignore_errors=True)
                _run_pip(target, scratch, requirement, report)
    except _PipFailed as error:
        raise InstallFailed(
            f"pip could not install {requirement}: {error}. Is there a network? Installing Blender itself works as well"
        ) from error


def _run_pip(target: Path, scratch: Path, requirement: str, report: Report) -> None:
    """One run of pip; its progress is read from the disk, because what pip prints differs by version."""
    downloads = scratch / "downloads"
    downloads.mkdir(exist_ok=True)
    # pip unpacks in its temporary folder, which is often a small disk in memory: give it one where the result goes.
    environment = os.environ | {"TMPDIR": str(downloads), "PYTHONUNBUFFERED": "1", "PIP_NO_INPUT": "1"}
    command = [
        *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"),
        *("--retries", "5", "--timeout", "30", "--only-binary", ":all:", "--target", str(target), requirement),
    ]
    done = threading.Event()
    state = _State()
    watcher = threading.Thread(target=_watch, args=(scratch, state, report, done), name="bpy-install-progress")
    tail: list[str] = []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    ) as process:
        watcher.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                tail = [*tail[-5:], line.strip()]
                state.read(line)
        except BaseException:
            process.terminate()
            raise
        finally:
            done.set()
            watcher.join()
    if process.returncode != 0:
        errors = [line for line in tail if line.upper().startswith("ERROR")]
        raise _PipFailed((errors or tail or [f"exit code {process.returncode}"])[-1].removeprefix("ERROR: "))


class _State:
    """What pip has said so far."""

    def __init__(self) -> None:
        self.what = "looking for Blender on PyPI"
        self.expected: int | None = None

    def read(self, line: str) -> None:
        match = _DOWNLOADING.search(line)
        if match:
            wheel = float(match[1]) * _UNITS[match[2]]
            self.what = f"downloading Blender ({match[1]} {match[2]}B)"
            # Wheel, unpacked copy: both lie on the disk before the wheel goes.
            self.expected = int(wheel * (1 + _UNPACKED_RATIO))
        elif line.startswith("Installing collected"):
            self.what = "unpacking Blender"


def _watch(folder: Path, state: _State, report: Report, done: threading.Event) -> None:
    while not done.wait(0.5):
        report(state.what, _bytes_in(folder), state.expected)


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except FileNotFoundError:
                # pip moved it meanwhile; the next look counts it where it is then.
                continue
    return total


def _version_of(target: Path) -> str:
    for info in target.glob("bpy-*.dist-info"):
        return info.name.removeprefix("bpy-").removesuffix(".dist-info")
    raise InstallFailed("pip said that it installed bpy, but it is not there")


def _make_importable(target: Path) -> None:
    """Try ``import bpy``; install the shared libraries that are missing, where that is allowed, and try again."""
    trouble = _import_trouble(target)
    if trouble is None:
        return
    packages = missing_libraries()
    if packages and _may_apt():
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(
                command,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        trouble = _import_trouble(target)
        if trouble is None:
            return
    if packages:
        raise InstallFailed(
            "Blender needs shared libraries that this machine lacks; install them as root: "
            f"apt-get install -y --no-install-recommends {' '.join(packages)}"
        )
    raise InstallFailed(f"the installed Blender does not start: {trouble}")


def _import_trouble(target: Path) -> str | None:
    """Why ``import bpy`` fails, in a process of its own; None if it works."""
    done = subprocess.run(
        [sys.executable, "-c", "import bpy; print(bpy.app.version_string)"],
        env=os.environ | {"PYTHONPATH": str(target)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def _may_apt() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None
