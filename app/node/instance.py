"""What makes this node one: it has its data folder for itself, a token and an id of its own, and says there where it
listens."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path
from types import TracebackType
from typing import Final

from app.jobs.folders import DataFolder
from app.node.platforms import try_lock
from app.settings import Settings

TOKEN_FILE: Final = "token"
NODE_FILE: Final = "node_id"
LOCK_FILE: Final = "lock"
ADDRESS_FILE: Final = "address"
CERTIFICATE_FILE: Final = "certificate"

_TOKEN: Final = re.compile(r"[\x21-\x7e]{16,512}")
_NODE: Final = re.compile(r"[0-9a-f]{32}")


class InstanceError(Exception):
    """The data folder cannot be used; the message says why and what to do."""


class InstanceLock:
    """Keeps a second service off the data folder for as long as this process lives, or until :meth:`release`.

    The system drops the lock with the process, so a crash leaves nothing to be cleaned up.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / LOCK_FILE
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            InstanceError: another service has it, or the folder cannot be written.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
            descriptor = os.open(self._path, flags, 0o600)
        except OSError as error:
            raise InstanceError(f"the data folder {self._folder} cannot be written: {error.strerror}") from error
        try:
            if not try_lock(descriptor):
                holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
                raise InstanceError(
                    f"the data folder {self._folder} is in use by another Zordon"
                    f"{f' (process {holder})' if holder else ''}: stop that one, or give this one a folder of its own "
                    "with --data-dir"
                )
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
        except OSError as error:
            os.close(descriptor)
            raise InstanceError(f"the data folder {self._folder} cannot be locked: {error.strerror}") from error
        except InstanceError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of it. The file stays: removing it would let two services lock two files of the same name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> InstanceLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def load_token(settings: Settings, folders: DataFolder) -> str:
    """The token that requests must carry: the setting, else the one in the data folder, made now if there is none.

    Call it with the :class:`InstanceLock` held. The file is for this user only.

    Raises:
        InstanceError: the file is damaged or cannot be read or written.
    """
    if settings.token is not None:
        return settings.token
    return _keep(folders.root / TOKEN_FILE, _TOKEN, secrets.token_urlsafe(32))


def load_node_id(folders: DataFolder) -> str:
    """This node's id, 32 hexadecimal digits, made at the first start. Call it with the :class:`InstanceLock` held.

    Raises:
        InstanceError: the file is damaged or cannot be read or written.
    """
    return _keep(folders.root / NODE_FILE, _NODE, secrets.token_hex(16))


def leave_address(folder: Path, host: str, port: int, certificate: bytes | None = None) -> None:
    """Write down where the service listens, for clients on this machine. Call it with the :class:`InstanceLock` held.

    Args:
        certificate: PEM of the service's own, by which they know it; None: it speaks plain HTTP.

    Raises:
        InstanceError: it cannot be written.
    """
    # Who listens on every address is reached on this one.
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    place = f"[{reached}]:{port}" if ":" in reached else f"{reached}:{port}"
    if certificate is not None:
        write_private(folder / CERTIFICATE_FILE, certificate.decode("ascii").strip())
        place = f"https://{place}"
    write_private(folder / ADDRESS_FILE, place)


def take_address_back(folder: Path) -> None:
    """The service listens no more. Call it with the :class:`InstanceLock` held: the file is still ours then."""
    (folder / ADDRESS_FILE).unlink(missing_ok=True)
    (folder / CERTIFICATE_FILE).unlink(missing_ok=True)


def _keep(path: Path, wanted: re.Pattern[str], fresh: str) -> str:
    """What is in the file; ``fresh``, written first, if there is no file."""
    try:
        text = path.read_text("ascii").strip()
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
    except FileNotFoundError:
        return write_private(path, fresh)
    except (OSError, UnicodeDecodeError) as error:
        raise InstanceError(f"{path} cannot be read: {error}") from error
    if wanted.fullmatch(text) is None:
        raise InstanceError(f"{path} is damaged: delete it, and the next start makes a new one")
    return text


def write_private(path: Path, text: str) -> str:
    """Put a small text into a file for this user only: all of it, or nothing is changed. Returns the text.

    Raises:
        InstanceError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, f"{text}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InstanceError(f"{path} cannot be written: {error.strerror}") from error
    return text
