"""Finds the copies of an engine on this machine and asks each for its version; says why one cannot be used."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from app.node.platforms import cpu_name, system_os
from app.render.probe import ProbeError, ask
from app.render.processes import RunAs
from engines.contract import Engine, EngineCandidate, EngineVersion, InstallKind, Refusal

log = structlog.get_logger(__name__)

_asked: dict[tuple[str, Path, int, int, RunAs | None], str] = {}
"""What copies said of their version, by engine and file: a file that has not changed is not started again."""


@dataclass(frozen=True, slots=True)
class UnusableCopy:
    """A copy that is there, or that the settings name, and cannot render."""

    engine: str
    path: Path
    kind: InstallKind
    reason: str  # a sentence
    name: str = ""  # of a custom build


@dataclass(frozen=True, slots=True)
class FoundCopies:
    """What there is of one engine."""

    versions: tuple[EngineVersion, ...] = ()  # newest first, custom builds behind them
    unusable: tuple[UnusableCopy, ...] = ()


def version_key(version: str) -> tuple[int, ...]:
    """Orders versions: ``4.10`` after ``4.9``, a name of a custom build before all of them."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.replace("-", ".").split("."))


async def find_copies(
    engine: Engine, managed: Path, further: Sequence[Path], custom: Mapping[str, Path], run_as: RunAs | None = None
) -> FoundCopies:
    """Every copy of an engine once.

    Args:
        engine: of which.
        managed: the folder of the copies that Zordon installed, one folder a version.
        further: executables and folders of the settings, listed under their versions.
        custom: builds of the settings, listed under their names.
        run_as: the user as whom they are asked for their version.
    """
    candidates = list(await asyncio.to_thread(engine.find_candidates, managed))
    candidates += await asyncio.to_thread(_named, engine, further)
    found = await asyncio.gather(
        *(_copy(engine, candidate, run_as) for candidate in candidates),
        *(_custom(engine, name, path, run_as) for name, path in custom.items()),
    )
    unique: dict[str, EngineVersion] = {}
    unusable: list[UnusableCopy] = []
    for copy in found:
        if isinstance(copy, EngineVersion):
            unique.setdefault(copy.version, copy)
        else:
            log.warning("an engine cannot be used", engine=engine.name, path=str(copy.path), reason=copy.reason)
            unusable.append(copy)
    versions = sorted(
        unique.values(),
        key=lambda copy: (copy.kind is not InstallKind.CUSTOM, version_key(copy.version)),
        reverse=True,
    )
    return FoundCopies(tuple(versions), tuple(unusable))


async def _copy(engine: Engine, candidate: EngineCandidate, run_as: RunAs | None) -> EngineVersion | UnusableCopy:
    number = candidate.version
    if number is None or run_as is not None:  # it may be where that user sees nothing
        try:
            said = await _ask_version(engine, candidate, run_as)
            number = number or said
        except (ProbeError, Refusal) as error:
            return UnusableCopy(engine.name, candidate.path, candidate.kind, str(error))
    return EngineVersion(
        engine.name, number, candidate.path, candidate.kind, system_os(), cpu_name(), candidate.flavour
    )


async def _custom(engine: Engine, name: str, path: Path, run_as: RunAs | None) -> EngineVersion | UnusableCopy:
    """A custom build. It is always asked: its maker's word for its version is not to be relied on."""

    def unusable(reason: str) -> UnusableCopy:
        return UnusableCopy(engine.name, path, InstallKind.CUSTOM, reason, name)

    if not await asyncio.to_thread(path.exists):
        return unusable(f"{path} does not exist")
    candidates = await asyncio.to_thread(_named, engine, [path])
    if not candidates:
        return unusable(f"there is no {engine.title} in {path}")
    copy = await _copy(engine, replace(candidates[0], kind=InstallKind.CUSTOM, version=None), run_as)
    if isinstance(copy, UnusableCopy):
        return replace(copy, path=path, name=name)
    return replace(copy, version=name, base=copy.version)


async def _ask_version(engine: Engine, candidate: EngineCandidate, run_as: RunAs | None) -> str:
    """What a copy says of its version.

    Raises:
        ProbeError: it does not start, or it is something else.
        Refusal: something that it needs to start is not there.
    """
    try:
        found = await asyncio.to_thread(candidate.path.stat)
    except OSError as error:
        raise ProbeError(f"{candidate.path} cannot be read: {error.strerror}") from error
    key = (engine.name, candidate.path, found.st_mtime_ns, found.st_size, run_as)
    if key not in _asked:
        code, printed = await ask(engine.version_argv(candidate), run_as=run_as)
        version = engine.parse_version(printed)
        if version is None:
            last = next((line.strip() for line in reversed(printed.splitlines()) if line.strip()), "")
            said = f"; it printed {last[:200]!r}" if last else ""
            raise ProbeError(f"{candidate.path} does not say that it is {engine.title} (exit code {code}){said}")
        _asked[key] = version
    return _asked[key]


def _named(engine: Engine, paths: Sequence[Path]) -> list[EngineCandidate]:
    """Copies that the settings name. The engine itself knows what a folder holds; nothing there is ours to delete."""
    found: list[EngineCandidate] = []
    for path in paths:
        if path.is_dir():
            inside = (item for item in engine.find_candidates(path) if item.path.is_relative_to(path))
            found += [replace(item, kind=InstallKind.SYSTEM) for item in inside]
        else:
            found.append(EngineCandidate(path, InstallKind.SYSTEM))
    return found
