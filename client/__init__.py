"""The async client of a Zordon node: a proxy over httpx, the wire models, the errors. Usable alone, as the wheel
``zordon-client``; the service takes its wire models from here and adds nothing to them."""

from .cache import JobCache
from .connection import API_VERSION
from .discovery import Target, find_target
from .errors import (
    BadRequest,
    Conflict,
    ConnectionFailed,
    Forbidden,
    JobNotFound,
    NotFound,
    ProtocolError,
    RequestRefused,
    ServerError,
    Timeout,
    TooLarge,
    TransferFailed,
    Unauthorized,
    Unavailable,
    ZordonError,
)
from .proxy import RenderServerProxy
from .upload import Progress

__all__ = [
    "API_VERSION",
    "BadRequest",
    "Conflict",
    "ConnectionFailed",
    "Forbidden",
    "JobCache",
    "JobNotFound",
    "NotFound",
    "Progress",
    "ProtocolError",
    "RenderServerProxy",
    "RequestRefused",
    "ServerError",
    "Target",
    "Timeout",
    "TooLarge",
    "TransferFailed",
    "Unauthorized",
    "Unavailable",
    "ZordonError",
    "find_target",
]
