"""What faults have taught: the state of a machine in which a node works worse, or loses something, without a word."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import psutil

from app.access.certificate import CertificateError, check_certificate
from app.cli.findings import Finding, Place, Verdict
from app.cli.show import size
from app.settings import Settings, SettingsError, load_settings
from engines.installs.blender_releases import RELEASE_URL

_ATTEMPT: Final = "ZORDON_ATTEMPT"
"""The variable by which engine processes are known, see app/render/environment.py."""
_FEW_FILES: Final = 4096
_SMALL_SHARED: Final = 64_000_000
_BACK_SECONDS: Final = 3600.0
_ASK_SECONDS: Final = 5.0
_NETWORK: Final = (
    "nfs",
    "cifs",
    "smb",
    "afs",
    "9p",
    "fuse.sshfs",
    "fuse.rclone",
    "glusterfs",
    "ceph",
    "lustre",
    "webdav",
)
_MEMORY: Final = ("tmpfs", "ramfs")


def settings(place: Place) -> Finding:
    """The settings can be read and make sense."""
    try:
        _settings(place)
    except SettingsError as error:
        return Finding("settings", Verdict.MISSING, str(error), "See docs/settings.md; the service would not start.")
    return Finding("settings", Verdict.OK, "they can be read")


def user(place: Place) -> Finding:
    """Not root: engines have the rights of the service."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return Finding("user", Verdict.OK, "this user is not root")
    found = _known(place)
    if found is not None and found.engine_user is not None:
        return Finding("user", Verdict.OK, f"root, and engines run as {found.engine_user}")
    return Finding(
        "user",
        Verdict.NOTE,
        "root: a service that is started so runs its engines as root too, with whatever a project brings",
        "Run it as a user of its own, or set engine_user.",
    )


def open_files(place: Place) -> Finding:
    """Enough files may be open: every waiting client is one."""
    if sys.platform == "win32":
        return Finding("open files", Verdict.OK, "Windows has no such limit")
    import resource  # there is none on Windows

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= _FEW_FILES:
        return Finding("open files", Verdict.OK, "enough may be open at a time")
    return Finding(
        "open files",
        Verdict.NOTE,
        f"only {hard} may be open at a time; every waiting client is one",
        "Raise the limit: `ulimit -Hn 65536` as root, or LimitNOFILE= of the service manager.",
    )


def file_system(place: Place) -> Finding:
    """The data folder is on a disk of this machine."""
    folder = _existing(place.data_dir)
    kind = _file_system_of(folder)
    if kind.startswith(_NETWORK):
        return Finding(
            "file system",
            Verdict.NOTE,
            f"{folder} is on a network ({kind}): locks and syncs are not to be relied on there, and jobs may be lost",
            "Keep the data folder on a disk of this machine (--data-dir).",
        )
    if kind in _MEMORY:
        return Finding(
            "file system",
            Verdict.NOTE,
            f"{folder} is in memory ({kind}): jobs and outputs are gone after the next boot",
            "Keep the data folder on a disk (--data-dir).",
        )
    return Finding("file system", Verdict.OK, kind or "not known")


def shared_memory(place: Place) -> Finding:
    """Engines have shared memory to work with; containers often give little."""
    shared = Path("/dev/shm")
    if sys.platform != "linux" or not shared.is_dir():
        return Finding("shm", Verdict.OK, "not needed here")
    total = shutil.disk_usage(shared).total
    if total < _SMALL_SHARED:
        return Finding(
            "shm", Verdict.NOTE, f"/dev/shm has only {size(total)}", "In a container: --shm-size 512m (shm_size)."
        )
    return Finding("shm", Verdict.OK, f"/dev/shm has {size(total)}")


def time_order(place: Place) -> Finding:
    """The clock has not gone back: nothing in the data folder is from the future."""
    latest = 0.0
    for name in ("zordon.db", "zordon.db-wal", "audit.jsonl", "lock"):
        with contextlib.suppress(OSError):
            latest = max(latest, (place.data_dir / name).stat().st_mtime)
    if latest - time.time() > _BACK_SECONDS:
        return Finding(
            "time order",
            Verdict.NOTE,
            f"the data folder was written on {datetime.fromtimestamp(latest, UTC):%Y-%m-%d %H:%M} UTC, which is to "
            "come: the clock was ahead then, or is behind now",
            "Turn on NTP. Scheduled jobs wait for the clock.",
        )
    return Finding("time order", Verdict.OK, "nothing is from the future")


def other_service(place: Place) -> Finding:
    """No service has the data folder that does not answer where it should."""
    holder = _holder(place.data_dir / "lock")
    if holder is None:
        return Finding("service", Verdict.OK, "none has the data folder")
    if place.answering:
        return Finding("service", Verdict.OK, f"process {holder} has the data folder and answers")
    return Finding(
        "service",
        Verdict.NOTE,
        f"process {holder} has the data folder, but nothing answers at {place.host}:{place.port}",
        "It listens elsewhere (--port), is starting, or hangs: look at its log, or stop it.",
    )


def leftovers(place: Place) -> Finding:
    """No engine process has outlived the service that started it."""
    if place.answering:
        return Finding("leftovers", Verdict.OK, "the service looks after its own")
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.ppid() == 1 and process.environ().get(_ATTEMPT):
                found.append(process.pid)
    if found:
        return Finding(
            "leftovers",
            Verdict.NOTE,
            f"engine processes without a service: {', '.join(map(str, sorted(found)[:20]))}",
            "The next start of their service ends them; or end them yourself.",
        )
    return Finding("leftovers", Verdict.OK, "no engine process is without its service")


def set_aside(place: Place) -> Finding:
    """No outputs wait for somebody to look at them, whose jobs the store did not know."""
    folder = place.data_dir / "set-aside"
    try:
        found = sorted(folder.iterdir())
        size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
    except FileNotFoundError:
        return Finding("set aside", Verdict.OK, "no outputs without a job")
    except OSError as error:
        return Finding("set aside", Verdict.NOTE, f"{folder} cannot be read: {error.strerror}")
    if not found:
        return Finding("set aside", Verdict.OK, "no outputs without a job")
    return Finding(
        "set aside",
        Verdict.NOTE,
        f"outputs of {len(found)} jobs that the store did not know, {size / 1e6:.1f} MB: {folder}",
        "Take what you need and remove the rest; set_aside_days says when the service does so by itself.",
    )


def tls(place: Place) -> Finding:
    """The certificate and its key, if HTTPS is asked for."""
    found = _known(place)
    if found is None or found.tls_cert is None or found.tls_key is None:
        return Finding("https", Verdict.OK, "not asked for")
    try:
        check_certificate(found.tls_cert, found.tls_key)
    except CertificateError as error:
        return Finding("https", Verdict.MISSING, str(error), "See docs/security.md.")
    return Finding("https", Verdict.OK, f"{found.tls_cert} and its key belong together")


def sources(place: Place) -> Finding:
    """Where engine versions come from can be reached; a node works without."""
    found = _known(place)
    if found is None:
        return Finding("sources", Verdict.OK, "none to be looked at")
    addresses = {name: url for name, url in found.engine_mirrors.items() if name in found.engine_sources}
    if "blender.org" in found.engine_sources:
        addresses["blender.org"] = RELEASE_URL
    if not addresses:
        return Finding("sources", Verdict.OK, "none to be looked at")
    troubles = [f"{name} ({trouble})" for name, address in addresses.items() if (trouble := _unreachable(address))]
    if troubles:
        return Finding(
            "sources",
            Verdict.NOTE,
            f"cannot be reached: {', '.join(troubles)}",
            "Engines that are installed work without them; name a mirror in engine_mirrors, or set engine_sources.",
        )
    return Finding("sources", Verdict.OK, f"{', '.join(addresses)} can be reached")


CHECKS: Final[Sequence[Callable[[Place], Finding]]] = (
    settings,
    user,
    open_files,
    file_system,
    shared_memory,
    time_order,
    other_service,
    leftovers,
    set_aside,
    tls,
    sources,
)


def _settings(place: Place) -> Settings:
    return load_settings(data_dir=place.data_dir)


def _known(place: Place) -> Settings | None:
    try:
        return _settings(place)
    except SettingsError:  # a check of its own tells it
        return None


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.resolve()


def _file_system_of(folder: Path) -> str:
    """The kind of file system that a folder is on, lower case; empty if the system does not tell."""
    best, kind = -1, ""
    for partition in psutil.disk_partitions(all=True):
        mount = Path(partition.mountpoint)
        if folder.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), partition.fstype.lower()
    return kind


def _holder(lock: Path) -> str | None:
    """The process that has the lock of a data folder; None if nobody has it."""
    if sys.platform == "win32":
        return None
    import fcntl  # there is none on Windows

    try:
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(32).decode("ascii", "replace").strip() or "?"
    except OSError:  # there is none yet, or it is another user's: other checks tell
        return None
    return None


def _unreachable(address: str) -> str:
    """Why an address cannot be reached; empty if it can."""
    try:
        answer = httpx.head(address, timeout=_ASK_SECONDS, follow_redirects=True)
    except httpx.HTTPError as error:
        return type(error).__name__
    return f"HTTP {answer.status_code}" if answer.status_code >= 500 else ""
