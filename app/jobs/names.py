"""File names that came from outside, made harmless or refused.

A name from a client is never joined to a path before it went through here. What Windows cannot store is refused there
only: a texture called ``12:30.png`` is a good name on the machine it came from.
"""

from __future__ import annotations

import os
import re
import unicodedata

MAX_NAME_BYTES = 200
"""The longest name that we give to an uploaded file, in bytes of UTF-8."""
MAX_PART_BYTES = 255
"""The longest name of a file or folder in an archive, in bytes of UTF-8: what file systems store."""
MAX_PATH_BYTES = 1024
"""The longest path in an archive, in bytes of UTF-8."""
MAX_DEPTH = 64
"""The most folders inside each other in an archive."""
MAX_STEM = 80
"""The longest stem of an output's file name, in characters."""

_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\.|\Z)", re.IGNORECASE)
_WINDOWS_BAD = re.compile(r'[<>:"|?*]')
_DRIVE = re.compile(r"[A-Za-z]:")
_NOT_SAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


class BadName(ValueError):
    """The name cannot be used; the message says why."""


def safe_stem(name: str) -> str:
    """A stem for output files made from a display name.

    ASCII letters, digits, ``.``, ``_``, ``-`` only; 1 to :data:`MAX_STEM` characters; begins with a letter or digit;
    does not end with a dot; no name that Windows reserves.
    """
    if len(name) <= MAX_STEM and _SAFE.match(name) and not _RESERVED.match(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    stem = _NOT_SAFE.sub("_", plain).lstrip("._-")
    if not stem or _RESERVED.match(stem):
        stem = f"output_{stem}"
    return stem[:MAX_STEM].rstrip("._-")


def upload_name(given: str, *, windows: bool = os.name == "nt") -> str:
    """The plain file name under which an upload is kept.

    Raises:
        BadName: it has folders or a NUL in it, is too long, or nothing usable is left.
    """
    if "\0" in given:
        raise BadName("the file's name has a NUL character in it")
    if "/" in given or "\\" in given:
        raise BadName(f"{given[:60]!r} has folders in it; send the plain name of the file")
    name = given.strip()
    name = "".join("_" if _is_control(character) else character for character in name)
    if windows:
        name = _WINDOWS_BAD.sub("_", name).rstrip(". ")
    if name.strip(".") == "":
        raise BadName(f"{given[:60]!r} is no file name")
    size = len(_encoded(name))
    if size > MAX_NAME_BYTES:
        raise BadName(f"the file's name has {size} bytes; at most {MAX_NAME_BYTES} are allowed")
    return f"_{name}" if windows and _RESERVED.match(name) else name


def member_parts(given: str, *, windows: bool = os.name == "nt") -> tuple[str, ...]:
    """Where a member of an archive belongs: its folders and its name. Empty for the archive's root itself.

    Raises:
        BadName: it leads out of the archive or cannot be stored.
    """
    shown = repr(given[:100])
    if "\0" in given:
        raise BadName(f"{shown} has a NUL character in it")
    path = given.replace("\\", "/")
    if path.startswith("/") or _DRIVE.match(path):
        raise BadName(f"{shown} is an absolute path")
    if len(_encoded(path)) > MAX_PATH_BYTES:
        raise BadName(f"{shown}… is longer than {MAX_PATH_BYTES} bytes")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if len(parts) > MAX_DEPTH:
        raise BadName(f"{shown}… is more than {MAX_DEPTH} folders deep")
    for part in parts:
        if part == "..":
            raise BadName(f"{shown} leads out of the archive")
        if any(_is_control(character) for character in part):
            raise BadName(f"{shown} has a control character in it")
        if len(_encoded(part)) > MAX_PART_BYTES:
            raise BadName(f"{shown}… has a part of more than {MAX_PART_BYTES} bytes")
        if windows and (_WINDOWS_BAD.search(part) or _RESERVED.match(part) or part != part.rstrip(". ")):
            raise BadName(f"{shown} is no name that Windows can store")
    return parts


def collision_key(parts: tuple[str, ...]) -> str:
    """Equal for paths that some file system takes for the same file (letter case, Unicode composition)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", "/".join(parts)).casefold())


class MemberNames:
    """The names of one archive so far, so that none of them can take the place of another or lie below a file."""

    def __init__(self) -> None:
        self._kinds: dict[str, bool] = {}  # collision key: whether it is a folder

    def add(self, parts: tuple[str, ...], *, folder: bool, shown: str) -> None:
        """Note one more; a folder may come again. Whatever is no folder (a file, a link) has nothing below it.

        Args:
            parts: as :func:`member_parts` returns them.
            folder: whether it is a folder.
            shown: the name as errors call it.

        Raises:
            BadName: it cannot be unpacked beside the others.
        """
        for depth in range(1, len(parts)):
            if not self._kinds.setdefault(collision_key(parts[:depth]), True):
                raise BadName(f"{shown} lies below a file")
        key = collision_key(parts)
        if (key in self._kinds and not folder) or self._kinds.get(key) is False:
            raise BadName(f"{shown} is in it twice (upper and lower case count as one)")
        self._kinds[key] = folder


def has_control_characters(text: str) -> bool:
    """Whether there is a character in it that no display name should have."""
    return not text.isprintable() and any(_is_control(character) for character in text)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadName(f"{text[:60]!r} is no valid Unicode") from None
