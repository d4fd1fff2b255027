"""Which version of an engine renders a job, or has to come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engines.contract.copies import EngineVersion
from engines.installs.release import Release


@dataclass(frozen=True, slots=True)
class VersionWish:
    """What decides which version renders a job. Kept with the job: the choice is made again when versions come and go.

    ``asked`` has passed :func:`engines.choosing.is_version`.
    """

    asked: str | None = None  # by the user: a whole version ("4.2.3") or its beginning ("4.2")
    saved_by: tuple[int, ...] | None = None  # version of the program that wrote the project, e.g. (4, 5)


@dataclass(frozen=True, slots=True)
class Fetchable:
    """What could be fetched of one engine for this machine."""

    releases: Sequence[Release] = ()  # newest first; of one version the best source first
    allowed: bool = True  # whether engines are fetched without a person asking for it (the setting auto_install)
    troubles: Mapping[str, str] = field(default_factory=dict)  # sources that could not be asked: why


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """An installed copy renders the job."""

    version: EngineVersion
    reason: str  # why this copy: a sentence


@dataclass(frozen=True, slots=True)
class MissingVersion:
    """No installed copy renders the job; it waits."""

    version: str  # what it waits for: a whole version if ``fetch``, else what would do ("4.5"; "" for any)
    fetch: bool  # whether it is offered and to be fetched now
    reason: str  # what is missing, and why it does or does not come: a sentence


VersionChoice = FoundVersion | MissingVersion
