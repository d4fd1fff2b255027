"""Where the node is, for a client on the same machine: address and token, found without typing.

The environment comes first (``ZORDON_HOST``, ``ZORDON_PORT``, ``ZORDON_TOKEN``, ``ZORDON_DATA_DIR``), then what the
service left in its data folder, then the defaults.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from .connection import DEFAULT_PORT
from .errors import ZordonError

TOKEN_FILE: Final = "token"
ADDRESS_FILE: Final = "address"
_WILDCARDS: Final = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Target:
    """A node to talk to. ``token_file`` is where the token was read, if it was."""

    host: str
    port: int
    token: str | None
    token_file: Path | None = None


def default_data_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """The data folder of this user's service."""
    named = environment.get("ZORDON_DATA_DIR")
    return Path(named).expanduser() if named else Path(platformdirs.user_data_dir("zordon", appauthor=False))


def find_target(
    host: str | None = None,
    port: int | None = None,
    token: str | None = None,
    data_dir: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Target:
    """The node meant by these arguments; None: look for it.

    What is in the data folder belongs to the service of this machine. Where that listens is asked only if no port was
    named, and nothing but this machine; its token is never sent to another one.

    Raises:
        ZordonError: ``ZORDON_PORT`` is no port, or a file of the service cannot be read.
    """
    named = host if host is not None else environment.get("ZORDON_HOST", "")
    # A service told to listen on every address is reached on this one.
    place = "127.0.0.1" if named in _WILDCARDS else named
    number = port if port is not None else _port(environment.get("ZORDON_PORT"))
    folder = data_dir or default_data_dir(environment)
    own = _is_loopback(place)
    if own and number is None and (left := _left_address(folder / ADDRESS_FILE)) is not None:
        # It may listen on one address of this machine alone; a host that was named stays as it was named.
        place, number = (left[0] if named in _WILDCARDS else place), left[1]
    number = DEFAULT_PORT if number is None else number
    secret = token or environment.get("ZORDON_TOKEN") or None
    if secret is None and own:
        secret = _read(folder / TOKEN_FILE)
        return Target(place, number, secret, folder / TOKEN_FILE if secret else None)
    return Target(place, number, secret)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ZordonError(f"the {path.name} file {path} cannot be read: {error}") from error


def _left_address(path: Path) -> tuple[str, int] | None:
    """Where the service of this data folder says that it listens; None if none runs."""
    text = _read(path)
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ZordonError(f"the address file {path} is damaged: restart the service, which writes it anew")
    return host.strip("[]"), int(port)


def _port(text: str | None) -> int | None:
    if not text or text == "0":
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ZordonError(f"ZORDON_PORT is {text!r}: a port is a number from 1 to 65535")
    return int(text)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
