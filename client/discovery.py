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

    The token in the data folder belongs to the service of this machine: it is never sent to another one.

    Raises:
        ZordonError: ``ZORDON_PORT`` is no port, or the token file cannot be read.
    """
    named = host if host is not None else environment.get("ZORDON_HOST", "")
    # A service told to listen on every address is reached on this one.
    place = "127.0.0.1" if named in _WILDCARDS else named
    number = port if port is not None else _port(environment.get("ZORDON_PORT"))
    secret = token or environment.get("ZORDON_TOKEN") or None
    if secret is None and _is_loopback(place):
        path = (data_dir or default_data_dir(environment)) / TOKEN_FILE
        secret = _read(path)
        return Target(place, number, secret, path if secret else None)
    return Target(place, number, secret)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ZordonError(f"the token file {path} cannot be read: {error}") from error


def _port(text: str | None) -> int:
    if not text or text == "0":
        return DEFAULT_PORT
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ZordonError(f"ZORDON_PORT is {text!r}: a port is a number from 1 to 65535")
    return int(text)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
