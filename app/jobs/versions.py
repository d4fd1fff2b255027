"""Which engine version a job gets at submit. An installed one that fits comes first; only where there is none are the
sources asked what could be fetched, so that no other submit waits for a network.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from app.jobs.errors import RequestError
from app.jobs.record import JobSpec
from engines.choosing import MAX_VERSION, is_version
from engines.contract import Engine, EngineVersion, Fetchable, MissingVersion, Refusal, VersionChoice, VersionWish

Offered = Callable[[str], Awaitable[Fetchable]]
"""Says what could be fetched of the engine of this name for this machine. May ask the network, for some seconds at
most; what goes wrong there is in the answer."""


def check_version(asked: str | None) -> None:
    """Refuse what can be no version, before anything else is made of it.

    Raises:
        RequestError: it is none.
    """
    if asked is not None and not is_version(asked):
        raise RequestError(
            f"{asked[:MAX_VERSION]!r} is no version: one has at most {MAX_VERSION} letters, digits, dots and + _ -, "
            "such as 4.5.3",
            "engine_version",
        )


def choose_version(
    engine: Engine, wish: VersionWish, installed: Sequence[EngineVersion], fetchable: Fetchable | None
) -> VersionChoice:
    """The engine version of a job, or the one that it has to wait for. See :meth:`engines.contract.Engine.choose`.

    Raises:
        RequestError: nothing that there is or could be had would do.
    """
    try:
        return engine.choose(wish, installed, fetchable)
    except Refusal as refusal:
        raise RequestError(refusal.message, refusal.field) from refusal


def version_of(choice: VersionChoice) -> str:
    """The version as the job names it."""
    return choice.version if isinstance(choice, MissingVersion) else choice.version.version


def missing_of(choice: VersionChoice) -> MissingVersion | None:
    """What the job has to wait for, if it has to."""
    return choice if isinstance(choice, MissingVersion) else None


def with_choice(spec: JobSpec, choice: VersionChoice) -> JobSpec:
    """The spec with this engine version."""
    return replace(
        spec, engine_version=version_of(choice), engine_version_reason=choice.reason, missing=missing_of(choice)
    )
