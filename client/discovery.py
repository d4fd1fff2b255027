"""Where the node is, for a client on the same machine: address and token, found without typing.

The environment comes first (``ZORDON_HOST``, ``ZORDON_PORT``, ``ZORDON_TOKEN``, ``ZORDON_CA``, ``ZORDON_DATA_DIR``),
then what the service left in its data folder, then the defaults.
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
CERTIFICATE_FILE: Final = "certificate"
_SCHEMES: Final = ("http", "https")
_WILDCARDS: Final = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Target:
    """A node to talk to.

    Attributes:
        token_file: where the token was read, if it was.
        ca: certificates that are believed besides those that the system knows; HTTPS only.
        pin: whether ``ca`` is the node's own certificate, and no other is believed.
    """

    host: str
    port: int
    token: str | None
    token_file: Path | None = None
    scheme: str = "http"
    ca: Path | None = None
    pin: bool = False


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
    *,
    ca: Path | None = None,
) -> Target:
    """The node meant by these arguments; None: look for it.

    What is in the data folder belongs to the service of this machine. Where that listens is asked only if no port was
    named, and nothing but this machine; its token is never sent to another one.

    Args:
        host: a name or an address, or with a scheme before it, such as ``https://render-3``.
        ca: PEM file of certificates that are believed besides those that the system knows.

    Raises:
        ZordonError: ``ZORDON_PORT`` is no port, the scheme is none, or a file of the service cannot be read.
    """
    scheme, named = _split(host if host is not None else environment.get("ZORDON_HOST", ""))
    # A service told to listen on every address is reached on this one.
    place = "127.0.0.1" if named in _WILDCARDS else named
    number = port if port is not None else _port(environment.get("ZORDON_PORT"))
    folder = data_dir or default_data_dir(environment)
    given = environment.get("ZORDON_CA")
    ca = ca if ca is not None else Path(given).expanduser() if given else None
    own, pin = _is_loopback(place), False
    if own and (left := _left_address(folder / ADDRESS_FILE)) is not None and number in (None, left.port):
        # It may listen on one address of this machine alone; a host that was named stays as it was named.
        place, number = (left.host if named in _WILDCARDS else place), left.port
        scheme = scheme or left.scheme
        if scheme == "https" and ca is None:
            ca, pin = folder / CERTIFICATE_FILE, True
    number = DEFAULT_PORT if number is None else number
    scheme = scheme or ("https" if ca is not None else "http")
    secret, file = token or environment.get("ZORDON_TOKEN") or None, None
    if secret is None and own and (secret := _read(folder / TOKEN_FILE)) is not None:
        file = folder / TOKEN_FILE
    return Target(place, number, secret, file, scheme, ca if scheme == "https" else None, pin)


def _split(named: str) -> tuple[str, str]:
    """Scheme and host of what was named; the scheme is empty if none was."""
    before, separator, after = named.partition("://")
    if not separator:
        return "", named
    if before.lower() not in _SCHEMES or not after.strip("/"):
        raise ZordonError(f"{named!r} is no host: write render-3, or https://render-3, and the port as --port")
    return before.lower(), after.rstrip("/")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ZordonError(f"the {path.name} file {path} cannot be read: {error}") from error


def _left_address(path: Path) -> Target | None:
    """Where the service of this data folder says that it listens; None if none runs."""
    text = _read(path)
    if text is None:
        return None
    before, separator, after = text.partition("://")
    scheme, place = (before, after) if separator else ("http", text)
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536 or scheme not in _SCHEMES:
        raise ZordonError(f"the address file {path} is damaged: restart the service, which writes it anew")
    return Target(host.strip("[]"), int(port), None, scheme=scheme)


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
