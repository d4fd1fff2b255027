"""What can be wrong with a request for jobs, each with the HTTP status it is answered with.

::

    RequestError 400          something in it is wrong; ``field`` says what
      ├─ Forbidden 403        it is not for this client
      ├─ NoUpload 404         there is no such upload
      ├─ UploadBusy 409       the upload is not where the request takes it to be
      ├─ TooLarge 413         it is more than the settings allow
      ├─ TooMany 429          its token, or the node, has as many jobs as it may have
      └─ NoSpace 507          the disk of the data folder has no room for it
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from pydantic import ValidationError

MAX_REPORTED = 5
"""How many of the faults of one request are named."""


class RequestError(ValueError):
    """The request cannot be done. Nothing of it was kept.

    Args:
        message: a sentence for a person: what was wrong and what would be right.
        field: path of the wire field to mend, such as ``[2].args.samples``; None if it is not about one field.
    """

    status: ClassVar[int] = 400

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message if field is None else f"{field}: {message}")
        self.message = str(self)
        self.field = field
        self._bare = message

    def within(self, place: str) -> RequestError:
        """The same error, seen from further out: ``priority`` within ``[2]`` is ``[2].priority``."""
        return type(self)(self._bare, place if self.field is None else f"{place}.{self.field}")


class Forbidden(RequestError):
    """It exists, but not for this client."""

    status = 403


class NoUpload(RequestError):
    """There is no such upload, or it is somebody else's, or a job has taken it."""

    status = 404


class UploadBusy(RequestError):
    """The upload has another offset, or somebody works with it just now."""

    status = 409


class TooLarge(RequestError):
    """It is more than the settings allow."""

    status = 413


class TooMany(RequestError):
    """The token has as many jobs that have not ended as one may have, or the node as many as it may keep."""

    status = 429


class NoSpace(RequestError):
    """The disk of the data folder has no room for it."""

    status = 507


@contextmanager
def at(place: str) -> Iterator[None]:
    """Put ``place`` before the field of every error that comes from inside; nothing if it is empty."""
    try:
        yield
    except RequestError as error:
        if not place:
            raise
        raise error.within(place) from error


def from_validation(error: ValidationError, known: Sequence[str], prefix: str = "") -> RequestError:
    """Pydantic's findings as one sentence that names the fields.

    Args:
        error: what Pydantic found.
        known: the fields there are, told to whoever wrote another one at the top level.
        prefix: put before every field's name, such as ``args.``.
    """
    faults: list[tuple[str, str]] = []
    findings = error.errors(include_url=False, include_input=False)
    for finding in findings[:MAX_REPORTED]:
        place = _place(finding["loc"])
        if finding["type"] == "extra_forbidden":
            text = "there is no such field" if not prefix else "there is no such option"
            if len(finding["loc"]) == 1:
                text += f"; known are {', '.join(known)}" if known else "; there are none"
        else:
            text = finding["msg"].removeprefix("Value error, ")
            text = text[:1].lower() + text[1:]
        faults.append((f"{prefix}{place}"[:200] if place else prefix.rstrip("."), text))
    field, first = faults[0]
    rest = "".join(f"; {place}: {text}" if place else f"; {text}" for place, text in faults[1:])
    if len(findings) > MAX_REPORTED:
        rest += f"; and {len(findings) - MAX_REPORTED} more"
    return RequestError(first + rest, field or None)


def _place(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
