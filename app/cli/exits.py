"""What the command line exits with, said once: for the commands, for ``zordon --help`` and for the user guide."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from client import (
    BadRequest,
    ConnectionFailed,
    Forbidden,
    NotFound,
    ProtocolError,
    RequestRefused,
    ServerError,
    Timeout,
    Unauthorized,
    ZordonError,
)


class Exit(IntEnum):
    """Exit codes."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    NOT_FOUND = 5
    UNAUTHORIZED = 6
    SERVER = 7
    LOCAL = 8
    INTERRUPTED = 130


MEANINGS: Final[Mapping[Exit, str]] = {
    Exit.OK: "all is well",
    Exit.FAILED: "the job failed or was cancelled, or doctor found something that is needed and missing",
    Exit.USAGE: "the command was not understood",
    Exit.UNREACHABLE: "no service answers",
    Exit.REFUSED: "the service refused what was asked for",
    Exit.NOT_FOUND: "there is no such job, file or engine",
    Exit.UNAUTHORIZED: "the token is missing or wrong",
    Exit.SERVER: "the service failed, or a transfer broke",
    Exit.LOCAL: "a local file cannot be read or written",
    Exit.INTERRUPTED: "interrupted with Ctrl-C; jobs go on",
}

EPILOG: Final = "\n\n".join(["Exit codes:", *(f"{code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())])

_CODES: Final[tuple[tuple[type[ZordonError], Exit], ...]] = (
    (ConnectionFailed, Exit.UNREACHABLE),
    (Timeout, Exit.UNREACHABLE),
    (NotFound, Exit.NOT_FOUND),
    (Unauthorized, Exit.UNAUTHORIZED),
    (Forbidden, Exit.UNAUTHORIZED),
    (ServerError, Exit.SERVER),
    (BadRequest, Exit.REFUSED),
    (RequestRefused, Exit.REFUSED),
    (ProtocolError, Exit.SERVER),
)


def exit_for(error: ZordonError) -> Exit:
    """The exit code that stands for an error of the client."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.SERVER)
