"""How a version is chosen: what all engines have in common.

An installed copy that fits comes before everything else. What is offered is only looked at where none does, so that a
job which can render at once never waits for a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Final

from engines.contract import EngineVersion, Fetchable, FoundVersion, MissingVersion, Refusal, VersionChoice, VersionWish
from engines.installs.release import Release

MAX_VERSION: Final = 40
"""The longest version that is looked at, in characters."""
MAX_NAMED: Final = 20
"""How many versions a sentence names."""

_VERSION: Final = re.compile(rf"[0-9A-Za-z.+_-]{{1,{MAX_VERSION}}}\Z")


def is_version(text: str) -> bool:
    """Whether a text may be a version at all. Whatever comes from outside is looked at here before anything else: a
    version becomes the name of a folder.

    >>> is_version("4.5.3"), is_version("studio-4.5+cycles"), is_version("../4.5"), is_version("4..5")
    (True, True, False, False)
    """
    return _VERSION.match(text) is not None and ".." not in text and text != "."


def numbers(version: str) -> tuple[int, ...]:
    """``"4.5.15 LTS"`` as ``(4, 5, 15)``; what is no number ends it, and a build with a name of its own has none."""
    return tuple(int(part) for part in takewhile(str.isdecimal, re.split(r"[.\s+_-]", version.strip())))


def series(version: str) -> str:
    """What a version has in common with its corrections: ``"4.5.3"`` is of ``"4.5"``; a name stays as it is."""
    return ".".join(str(part) for part in numbers(version)[:2]) or version


def fits(version: str, asked: str) -> bool:
    """Whether a version is the one that was asked for by all of it or its beginning: 4.5.3 is 4.5, 4.51 is not."""
    if version == asked:
        return True
    wanted = numbers(asked)
    whole = ".".join(str(part) for part in wanted) == asked
    return bool(wanted) and whole and numbers(version)[: len(wanted)] == wanted


def listed(versions: Iterable[str]) -> str:
    """Versions in a sentence, each once."""
    unique = list(dict.fromkeys(versions))
    more = f" and {len(unique) - MAX_NAMED} more" if len(unique) > MAX_NAMED else ""
    return (", ".join(unique[:MAX_NAMED]) or "none") + more


def missing(
    name: str, title: str, need: str, wanted: str, release: Release | None, fetchable: Fetchable | None
) -> MissingVersion:
    """A job without its version, and what becomes of it.

    Args:
        name: of the engine, as the command line takes it.
        title: of the engine, for people.
        need: what the job needs and that it is not here, the beginning of the sentence.
        wanted: what would do, where nothing is fetched.
        release: what is offered and does best, if anything.
        fetchable: see :meth:`engines.contract.Engine.choose`.
    """
    if fetchable is None:
        return MissingVersion(wanted, False, need)
    if release is not None and fetchable.allowed:
        return MissingVersion(release.version, True, f"{need}, so {title} {release.version} is fetched")
    if not fetchable.allowed:
        command = f"zordon engines install {name} {wanted}".rstrip()
        return MissingVersion(
            wanted, False, f"{need}, and engines are not installed by themselves (auto_install is off): {command}"
        )
    if fetchable.troubles:
        told = "; ".join(f"{source}: {why}" for source, why in fetchable.troubles.items())
        return MissingVersion(wanted, False, f"{need}, and not every source could be asked ({told})")
    return MissingVersion(wanted, False, f"{need}, and no source offers one for this machine")


def asked_for(
    name: str,
    title: str,
    asked: str,
    installed: Sequence[EngineVersion],
    releases: Sequence[Release],
    fetchable: Fetchable | None,
    here: Iterable[str] | None = None,
) -> VersionChoice:
    """The version that a user asked for.

    Args:
        name, title: of the engine.
        asked: a version or its beginning.
        installed: the copies that can render the job, best first.
        releases: what is offered and can render it, best first.
        fetchable: see :meth:`engines.contract.Engine.choose`.
        here: all versions that are installed, if that is more than ``installed``; for the sentence of a refusal.

    Raises:
        Refusal: there is no such version, here or elsewhere.
    """
    for version in installed:
        if fits(version.version, asked):
            return FoundVersion(version, f"{title} {asked} was asked for.")
    release = next((release for release in releases if fits(release.version, asked)), None)
    if release is None and fetchable is not None and _is_known(fetchable):
        names = listed(here if here is not None else (version.version for version in installed))
        offered = listed(release.version for release in releases)
        raise Refusal("engine_version", f"there is no {title} {asked}; installed: {names}; offered: {offered}")
    need = f"{title} {asked} was asked for and is not installed here"
    return missing(name, title, need, asked, release, fetchable)


def _is_known(fetchable: Fetchable) -> bool:
    """Whether what is not among the releases is offered nowhere, as far as anybody can tell."""
    return not fetchable.troubles and (fetchable.allowed or bool(fetchable.releases))


def choose_newest(
    name: str,
    title: str,
    wish: VersionWish,
    installed: Sequence[EngineVersion],
    fetchable: Fetchable | None,
    need: str = "",
) -> VersionChoice:
    """The version asked for, else the first of the installed copies, else the newest that is offered.

    It is all that most engines need for :meth:`engines.contract.Engine.choose`.

    Args:
        name, title: of the engine.
        wish, fetchable: as there.
        installed: the copies that can render the job, best first.
        need: what is needed and not here, if that is more than any version at all.

    Raises:
        Refusal: the version asked for is neither here nor offered.
    """
    releases = fetchable.releases if fetchable is not None else ()
    if wish.asked is not None:
        return asked_for(name, title, wish.asked, installed, releases, fetchable)
    if installed:
        version = installed[0]
        return FoundVersion(version, f"{title} {version.version} is the newest one on this node.")
    need = need or f"{title} is not installed here"
    return missing(name, title, need, "", releases[0] if releases else None, fetchable)
