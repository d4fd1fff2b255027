"""Blender's version numbers: how they are written, which copy opens a file, what an engine is called in which.

A .blend is only opened by a Blender of its own major.minor or a later one: an older one may render something else,
refuse, or crash (3.4 ends with a segmentation fault on a file of 4.5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from engines.contract import EngineVersion, Refusal

_PRINTED = re.compile(r"^(?:Blender|bpy) (\d+\.\d+(?:\.\d+)?)", re.MULTILINE)


def numbers(version: str) -> tuple[int, ...]:
    """``"4.5.15 LTS"`` as ``(4, 5, 15)``; what is no number ends it."""
    parts = re.split(r"[.\s-]", version.strip())
    return tuple(int(part) for part in takewhile(str.isdecimal, parts))


def printed_version(text: str) -> str | None:
    """The version in what ``blender --version`` printed; None if that was something else."""
    match = _PRINTED.search(text)
    return match[1] if match else None


def written(version: Sequence[int]) -> str:
    """A file's version as people write it: 2.93, 4.5."""
    if tuple(version)[:1] == (2,) and len(version) > 1:
        return f"2.{version[1]:02d}"
    return ".".join(str(part) for part in version)


def engine_id(name: str, version: str) -> str:
    """Blender's id of a render engine in a version; EEVEE was called differently from 4.2 to 4.5."""
    if name in ("EEVEE", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT"):
        return "BLENDER_EEVEE_NEXT" if (4, 2) <= numbers(version)[:2] < (5, 0) else "BLENDER_EEVEE"
    return "BLENDER_WORKBENCH" if name == "WORKBENCH" else name


def choose(
    installed: Sequence[EngineVersion], asked: str | None, file_version: tuple[int, ...] | None
) -> tuple[EngineVersion, str]:
    """The copy that renders, and why, as a sentence.

    Raises:
        Refusal: none can, or not the one asked for.
    """
    if not installed:
        raise Refusal("engine_version", "no Blender is installed on this node: install one, then submit again")
    newest_first = sorted(installed, key=lambda one: numbers(one.version), reverse=True)
    names = ", ".join(dict.fromkeys(one.version for one in newest_first))
    needed = file_version[:2] if file_version else None
    able = [one for one in newest_first if needed is None or numbers(one.version)[:2] >= needed]
    if asked is not None:
        wanted = numbers(asked)
        matching = [one for one in newest_first if wanted and numbers(one.version)[: len(wanted)] == wanted]
        if not matching:
            raise Refusal("engine_version", f"Blender {asked} is not installed; installed: {names}")
        fitting = [one for one in matching if one in able]
        if not fitting and needed is not None:
            raise Refusal(
                "engine_version",
                f"the project was saved by Blender {written(needed)}, which Blender {matching[0].version} cannot open: "
                f"ask for {written(needed)} or later; installed: {names}",
            )
        return fitting[0], f"Blender {fitting[0].version} was asked for."
    if needed is None:
        return newest_first[0], f"The newest installed Blender is {newest_first[0].version}."
    if not able:
        raise Refusal(
            "engine_version",
            f"the project was saved by Blender {written(needed)} and needs that version or a later one; "
            f"installed: {names}",
        )
    same = [one for one in able if numbers(one.version)[:2] == needed]
    if same:
        return same[0], f"The project was saved by Blender {written(needed)}, and {same[0].version} is installed."
    return able[0], (
        f"The project was saved by Blender {written(needed)}, which is not installed; "
        f"{able[0].version} is the newest installed."
    )
