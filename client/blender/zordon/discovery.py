"""Where the service is: what the preferences say, else the environment, else what the service of this machine has left
in its data folder. The same rule as the command line's, which is not at hand inside Blender.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import AddonError

DEFAULT_PORT = 8080
TOKEN_FILE = "token"
ADDRESS_FILE = "address"
CERTIFICATE_FILE = "certificate"
_SCHEMES = ("http", "https")
_WILDCARDS = ("", "0.0.0.0", "::")


@dataclass(frozen=True)
class Target:
    """A service to talk to.

    Attributes:
        ca: PEM file of certificates that are believed besides those that the system knows; HTTPS only.
        pin: whether ``ca`` is the service's own certificate, and no other is believed.
    """

    host: str
    port: int
    token: str | None
    scheme: str = "http"
    ca: Path | None = None
    pin: bool = False

    @property
    def url(self) -> str:
        """``http://render-3:8080``, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_this_machine(self) -> bool:
        """Whether it is reached without any network."""
        return _is_loopback(self.host)


def default_data_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """The data folder of this user's service."""
    named = environment.get("ZORDON_DATA_DIR")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "zordon"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "zordon"
    shared = environment.get("XDG_DATA_HOME", "").strip()
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "zordon"


def find_target(
    address: str = "", token: str = "", ca: str = "", environment: Mapping[str, str] = os.environ
) -> Target:
    """The service meant by the preferences; what is empty there is looked for.

    The token of the service of this machine is never sent to another one.

    Args:
        address: ``render-3``, ``render-3:8080`` or ``https://render-3``.
        token: as somebody typed it.
        ca: path of a PEM file.

    Raises:
        AddonError: the address is none, or a file of the service cannot be read.
    """
    scheme, named, number = _split(address.strip() or environment.get("ZORDON_HOST", ""))
    if number is None and not address.strip():
        number = _port(environment.get("ZORDON_PORT", ""))
    # A service told to listen on every address is reached on this one.
    place = "127.0.0.1" if named in _WILDCARDS else named
    folder = default_data_dir(environment)
    given = ca.strip() or environment.get("ZORDON_CA", "")
    trusted = Path(given).expanduser() if given else None
    own, pin = _is_loopback(place), False
    left = _left_address(folder / ADDRESS_FILE) if own else None
    if left is not None and number in (None, left.port):
        place, number = (left.host if named in _WILDCARDS else place), left.port
        scheme = scheme or left.scheme
        if scheme == "https" and trusted is None:
            trusted, pin = folder / CERTIFICATE_FILE, True
    scheme = scheme or ("https" if trusted is not None else "http")
    secret = token.strip() or environment.get("ZORDON_TOKEN") or (_read(folder / TOKEN_FILE) if own else None)
    port = DEFAULT_PORT if number is None else number
    return Target(place, port, secret or None, scheme, trusted if scheme == "https" else None, pin)


def _split(text: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address; empty, empty and None where it does not say."""
    before, separator, after = text.partition("://")
    scheme, rest = (before.lower(), after.rstrip("/")) if separator else ("", text.rstrip("/"))
    if separator and (scheme not in _SCHEMES or not rest):
        raise AddonError(f"{text!r} is no address: write render-3:8080, or https://render-3:8080")
    if any(letter in "/?#@ " for letter in rest):
        raise AddonError(f"{text!r} is no address: only a name and a port belong into it, such as render-3:8080")
    if rest.count(":") > 1 and not rest.startswith("["):
        return scheme, rest, None  # an IPv6 address alone
    host, colon, port = rest.rpartition(":")
    if not colon or rest.endswith("]"):
        return scheme, rest.strip("[]"), None
    return scheme, host.strip("[]"), _port(port, text)


def _port(text: str, address: str = "") -> int | None:
    if not address and text in ("", "0"):
        return None
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 65536:
        where = f"in {address!r}" if address else "ZORDON_PORT"
        raise AddonError(f"the port {where} is {text!r}: a port is a number from 1 to 65535")
    return int(text)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise AddonError(f"the {path.name} file {path} cannot be read: {error}") from error


def _left_address(path: Path) -> Target | None:
    """Where the service of this data folder says that it listens; None if none runs."""
    text = _read(path)
    if text is None:
        return None
    before, separator, after = text.partition("://")
    scheme, place = (before, after) if separator else ("http", text)
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536 or scheme not in _SCHEMES:
        raise AddonError(f"the address file {path} is damaged: restart the service, which writes it anew")
    return Target(host.strip("[]"), int(port), None, scheme)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
