"""What can be wrong when tokens are made or revoked."""

from __future__ import annotations


class AccessError(Exception):
    """It cannot be done; the message says why, and what can.

    Args:
        status: the HTTP status it is answered with.
        field: the wire field to mend, if there is one.
    """

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
