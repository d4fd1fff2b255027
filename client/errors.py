"""Everything a call can raise. A message is the server's own sentence wherever the server said one.

ZordonError
├── ConnectionFailed        nothing answered, or the connection broke
├── Timeout                 no answer in time
├── ProtocolError           the answer is not one of a Zordon node of our API version
├── TransferFailed          a file did not get across whole
└── RequestRefused          the node answered with an error status (``status``, ``title``, ``field``)
    ├── BadRequest          400, 422: ``field`` names what to mend
    ├── Unauthorized        401: no token, or a wrong one
    ├── Forbidden           403: this host, origin or path is not allowed
    ├── NotFound            404
    │   └── JobNotFound     400 on the wire: no such job
    ├── Conflict            409
    ├── TooLarge            413
    └── ServerError         5xx
        └── Unavailable     503: not now; the message says why
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

JOB_NOT_FOUND_TITLE: Final = "Job not found"
"""The problem title by which an unknown job differs from every other 400."""


class ZordonError(Exception):
    """Base of everything this package raises on purpose."""


class ConnectionFailed(ZordonError):
    """Nothing answered at the address, or the connection broke before the answer was complete."""


class Timeout(ZordonError):
    """The node did not answer in time."""


class ProtocolError(ZordonError):
    """The answer is not what a Zordon node of this API version sends."""


class TransferFailed(ZordonError):
    """A file did not get across whole: it changed meanwhile, or the connection broke too often."""


class RequestRefused(ZordonError):
    """The node answered with an error.

    Attributes:
        status: HTTP status.
        title: what kind of problem it is, as the node names it; empty if it did not.
        field: the request field that was wrong, if there is one.
    """

    def __init__(self, message: str, *, status: int, title: str = "", field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.title = title
        self.field = field


class BadRequest(RequestRefused):
    """What was asked for is wrong; ``field`` says which part."""


class Unauthorized(RequestRefused):
    """The node asks for a token, or for another one."""


class Forbidden(RequestRefused):
    """The node does not do this for this client."""


class NotFound(RequestRefused):
    """There is no such thing on the node."""


class JobNotFound(NotFound):
    """There is no job of this id on the node."""


class Conflict(RequestRefused):
    """It contradicts something that is there or under way."""


class TooLarge(RequestRefused):
    """The upload is larger than the node's limit or its disk."""


class ServerError(RequestRefused):
    """The node failed."""


class Unavailable(ServerError):
    """The node cannot do this now."""


_BY_STATUS: Final[Mapping[int, type[RequestRefused]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: BadRequest,
    503: Unavailable,
}


def refusal(status: int, message: str, title: str = "", field: str | None = None) -> RequestRefused:
    """The error that stands for an answer with an error status."""
    if status == 400 and title == JOB_NOT_FOUND_TITLE:
        kind: type[RequestRefused] = JobNotFound
    else:
        kind = _BY_STATUS.get(status, ServerError if status >= 500 else RequestRefused)
    return kind(message, status=status, title=title, field=field)
