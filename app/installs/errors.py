"""Why an engine version cannot be fetched or deleted, as the API says it."""

from __future__ import annotations

import re
from typing import Final

VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,39}")


class InstallError(Exception):
    """What was asked for is not done. The message is a sentence for a person; ``field`` is the parameter to mend."""

    status = 400

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class NoSuchVersion(InstallError):
    """Nobody has this version, or this kind of machine; the message says what there is."""

    status = 404


class NoSource(InstallError):
    """No source could be asked; the message says which failed and why."""

    status = 503


class CopyNeeded(InstallError):
    """The copy is in use, or a job will need it."""

    status = 409


def checked_version(version: str) -> str:
    """A version as it came from outside, if it can be one.

    Raises:
        InstallError: it can be none, or would be a path.
    """
    if not VERSION.fullmatch(version) or ".." in version:
        raise InstallError(
            f"{version[:60]!r} is no version: letters, digits, dots, dashes, such as 4.5 or 4.5.3", "version"
        )
    return version
