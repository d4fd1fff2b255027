"""Which FFmpeg renders: a job may ask for one, otherwise the copy that comes with the service is as good as any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engines.choosing import choose_newest, fits, listed, numbers
from engines.contract import EngineVersion, Fetchable, FoundVersion, InstallKind, Refusal, VersionChoice, VersionWish

OLDEST = (5, 1)
"""The oldest release that works: the first with -fps_mode and with crf for SVT-AV1."""

_WRITTEN = ".".join(str(number) for number in OLDEST)


def choose(wish: VersionWish, installed: Sequence[EngineVersion], fetchable: Fetchable | None) -> VersionChoice:
    """See :meth:`engines.contract.Engine.choose`.

    Raises:
        Refusal: the version asked for is too old, or neither here nor offered.
    """
    usable = [version for version in installed if _works(version.number)]
    if wish.asked is None:
        embedded = next((version for version in usable if version.kind is InstallKind.EMBEDDED), None)
        if embedded is not None:
            return FoundVersion(embedded, f"FFmpeg {embedded.version} comes with the service.")
    elif _fitting(installed, wish.asked) and not _fitting(usable, wish.asked):
        raise Refusal("engine_version", f"FFmpeg {wish.asked} is too old: {_WRITTEN} or newer is needed")
    if fetchable is not None:
        fetchable = replace(fetchable, releases=[one for one in fetchable.releases if _works(one.version)])
    here = f"only {listed(version.version for version in installed)}" if installed else "none"
    need = f"an FFmpeg of {_WRITTEN} or newer is needed; this node has {here}"
    return choose_newest("ffmpeg", "FFmpeg", wish, usable, fetchable, need)


def _fitting(versions: Sequence[EngineVersion], asked: str) -> bool:
    return any(fits(version.version, asked) for version in versions)


def _works(version: str) -> bool:
    return numbers(version) >= OLDEST
