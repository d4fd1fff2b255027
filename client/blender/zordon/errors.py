"""What can go wrong between Blender and the farm; every message is for the artist."""

from __future__ import annotations


class AddonError(Exception):
    """The base of all of them."""


class Unreachable(AddonError):
    """Nothing answers at the address, or the connection broke."""


class Refused(AddonError):
    """The service said no; the message is its own sentence.

    Attributes:
        status: of the answer.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class PackingFailed(AddonError):
    """The project cannot be put into an archive."""


class Cancelled(AddonError):
    """The artist does not want it any more."""
