"""Blender's version numbers: how they are written, which copy opens a file, what an engine is called in which.

A .blend is only opened by a Blender of its own major.minor or a later one: an older one may render something else,
refuse, or crash (3.4 ends with a segmentation fault on a file of 4.5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from engines.blender.series import LONG_TERM, NEWEST_KNOWN
from engines.choosing import asked_for, listed, missing, numbers
from engines.contract import EngineVersion, Fetchable, FoundVersion, Refusal, VersionChoice, VersionWish
from engines.installs.release import Release

T = TypeVar("T")

_PRINTED = re.compile(r"^(?:Blender|bpy) (\d+\.\d+(?:\.\d+)?)", re.MULTILINE)


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


def choose(wish: VersionWish, installed: Sequence[EngineVersion], fetchable: Fetchable | None) -> VersionChoice:
    """The version that renders a .blend: its own major.minor, else the newest long-term release (LTS) that can open
    it, else the newest that can; of what is installed, and only if that has none, of what is offered. See
    :meth:`engines.contract.Engine.choose`.

    A build with a name of its own is taken only where somebody asks for it, and for what its real version can open.

    Raises:
        Refusal: nothing that there is or could be had would do.
    """
    needed = wish.saved_by[:2] if wish.saved_by else None
    offered = fetchable.releases if fetchable is not None else ()
    newest_first = sorted(installed, key=lambda one: numbers(one.version), reverse=True)
    able = [one for one in newest_first if _opens(one.version, needed)]
    releases = [release for release in offered if _opens(release.version, needed)]
    if wish.asked is not None:
        named = [one for one in newest_first if one.version == wish.asked and not numbers(one.version)]
        _check_asked(named[0].number if named else wish.asked, needed, newest_first, wish.asked)
        here = [one.version for one in newest_first]
        return asked_for("blender", "Blender", wish.asked, [*named, *able], releases, fetchable, here)
    if able:
        best, why = _best(able, lambda one: one.version, needed)
        return FoundVersion(best, _reason(best.version, why, needed))
    _check_known(needed, newest_first, fetchable)
    best_release = _best(releases, lambda release: release.version, needed)[0] if releases else None
    if needed is None:
        return missing("blender", "Blender", "no Blender is installed here", "", best_release, fetchable)
    need = f"it needs Blender {written(needed)} or later; none is installed here"
    return missing("blender", "Blender", need, written(needed), best_release, fetchable)


def _opens(version: str, needed: Sequence[int] | None) -> bool:
    own = numbers(version)[:2]
    return bool(own) and (needed is None or own >= tuple(needed))


def _best(able: Sequence[T], version_of: Callable[[T], str], needed: Sequence[int] | None) -> tuple[T, str]:
    """Of versions that can open the file, newest first: the one to take, and by which rule."""
    if needed is not None:
        for one in able:
            if numbers(version_of(one))[:2] == tuple(needed):
                return one, "same"
        for one in able:
            if numbers(version_of(one))[:2] in LONG_TERM:
                return one, "lts"
    return able[0], "newest"


def _reason(version: str, why: str, needed: Sequence[int] | None) -> str:
    if needed is None:
        return f"The newest installed Blender is {version}."
    if why == "same":
        return f"The project was saved by Blender {written(needed)}, and {version} is installed."
    kind = "newest installed long-term release (LTS)" if why == "lts" else "newest installed"
    return f"The project was saved by Blender {written(needed)}, which is not installed; {version} is the {kind}."


def _check_asked(version: str, needed: Sequence[int] | None, installed: Sequence[EngineVersion], asked: str) -> None:
    """Refuse a version that cannot open the file, whether or not it is here. It was asked for as ``asked``."""
    wanted = numbers(version)
    if needed is None or not wanted or wanted[:2] >= tuple(needed)[: len(wanted)]:
        return
    named = f"{asked} (Blender {version})" if asked != version else f"Blender {version}"
    raise Refusal(
        "engine_version",
        f"the project was saved by Blender {written(needed)}, which {named} cannot open: "
        f"ask for {written(needed)} or later; installed: {listed(one.version for one in installed)}",
    )


def _check_known(needed: Sequence[int] | None, installed: Sequence[EngineVersion], fetchable: Fetchable | None) -> None:
    """Refuse a file of a Blender of which nobody has heard."""
    if needed is None or fetchable is None or tuple(needed) <= NEWEST_KNOWN:
        return
    releases: Sequence[Release] = fetchable.releases
    if any(numbers(release.version)[:2] >= tuple(needed) for release in releases):
        return
    here = listed(one.version for one in installed)
    raise Refusal(
        "engine_version",
        f"the project was saved by Blender {written(needed)} and needs that version or a later one; "
        f"installed: {here}; the newest that is known: {written(NEWEST_KNOWN)}",
    )
