"""Verification: a file counts as an output only if it is a regular file, complete, decodes and has the right size."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from app.outputs.files import NotAFile, hash_bytes, hash_file, open_regular, read_all
from app.outputs.names import NameRefused, check_name
from app.outputs.png import SIGNATURE, BadPicture, check_png
from engines.contract import ExpectedOutput, FailureCause, FileCheck, PictureCheck, VideoCheck

QUICK_BYTES = 64 << 20
"""A PNG up to this size, in bytes, is verified in a thread; anything else in a worker process."""


class VerificationError(Exception):
    """A file is not what was expected. ``cause`` tells what a retry could mend, ``message`` is for a person."""

    def __init__(self, cause: FailureCause, message: str) -> None:
        super().__init__(cause, message)  # both, so that it survives the way back from a worker process
        self.cause = cause
        self.message = message

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Verified:
    """A file that was verified. Sizes of the picture in pixels; None where it has none."""

    name: str
    size: int  # bytes
    sha256: str  # hexadecimal
    crc32: int  # CRC-32 of the whole file, as in a zip
    width: int | None
    height: int | None
    mtime_ns: int
    frame: int | None = None


def verify(folder: Path, expected: ExpectedOutput) -> Verified:
    """Verify one file of a chunk's folder. Blocks; for a thread or a worker process (see :func:`is_quick`).

    Raises:
        VerificationError: MISSING_FRAME if there is no such file, BAD_FRAME if it is not what was expected, DISK if it
            cannot be read.
    """
    try:
        check_name(expected.name)
        descriptor = open_regular(folder, expected.name)
    except NameRefused as error:
        raise VerificationError(FailureCause.BAD_FRAME, f"no output can have this name: {error}") from error
    except FileNotFoundError as error:
        raise VerificationError(FailureCause.MISSING_FRAME, f"{expected.name} was not written") from error
    except NotAFile as error:
        raise VerificationError(FailureCause.BAD_FRAME, f"{expected.name} is not a regular file") from error
    except OSError as error:
        raise VerificationError(FailureCause.DISK, f"{expected.name} cannot be opened: {error}") from error
    try:
        return _verify_open(descriptor, folder, expected)
    except BadPicture as error:
        raise VerificationError(FailureCause.BAD_FRAME, f"{expected.name} is damaged: {error}") from error
    except OSError as error:
        raise VerificationError(FailureCause.DISK, f"{expected.name} cannot be read: {error}") from error
    finally:
        os.close(descriptor)


def is_quick(folder: Path, expected: ExpectedOutput) -> bool:
    """Whether :func:`verify` takes milliseconds and loads no library: then a thread is cheaper than a worker."""
    if isinstance(expected.check, VideoCheck):
        return False
    if isinstance(expected.check, PictureCheck) and not expected.name.lower().endswith(".png"):
        return False
    try:
        return (folder / expected.name).lstat().st_size <= QUICK_BYTES
    except (OSError, ValueError):
        return True  # there is nothing to decode


def _verify_open(descriptor: int, folder: Path, expected: ExpectedOutput) -> Verified:
    before = os.fstat(descriptor)
    check = expected.check
    minimum = check.minimum_bytes if isinstance(check, FileCheck) else 1
    if before.st_size < minimum:
        raise BadPicture(f"it has {before.st_size} bytes, at least {minimum} were expected")
    width: int | None = None
    height: int | None = None
    if isinstance(check, PictureCheck):
        beginning = os.read(descriptor, 16)
        os.lseek(descriptor, 0, os.SEEK_SET)
        if beginning.startswith(SIGNATURE):
            data = read_all(descriptor, before.st_size)
            hashes = hash_bytes(data)
            width, height = check_png(data)
        else:
            from app.outputs.pictures import check_picture

            hashes = hash_file(descriptor)
            width, height = check_picture(folder / expected.name, beginning)
        _compare(check, width, height)
    else:
        hashes = hash_file(descriptor)
        if isinstance(check, VideoCheck):
            from app.outputs.videos import check_video

            found = check_video(folder / expected.name, check)
            width, height = found.width, found.height
    after = os.fstat(descriptor)
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or hashes.size != before.st_size:
        raise BadPicture("it was changed while it was read")
    return Verified(
        expected.name, hashes.size, hashes.sha256, hashes.crc32, width, height, before.st_mtime_ns, expected.frame
    )


def _compare(check: PictureCheck, width: int, height: int) -> None:
    wanted = (check.width or width, check.height or height)
    if (width, height) != wanted:
        raise BadPicture(f"it is {width}x{height} pixels, not {wanted[0]}x{wanted[1]}")
