"""The outputs of several jobs under one roof: what the subjobs of a parent rendered, each file under a name of its own.

A file keeps its name where it can. Where another job in the collection may have one of the same name, the number of the
job is put behind the stem, ``shot_0001 (2).png``: a plain file name, as everywhere on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.outputs.manifest import Entry, Manifest
from app.outputs.names import natural_key


@dataclass(frozen=True, slots=True)
class Output:
    """One output under the name by which clients know it. ``entry.name`` is the name of its file in ``folder``."""

    name: str
    folder: Path
    entry: Entry


@dataclass(frozen=True, slots=True)
class Share:
    """The outputs of one job of a collection.

    ``number`` tells it from the others, counted from 1; ``marked`` says that all its names need that number, so that
    they do not depend on which job is through first.
    """

    manifest: Manifest
    folder: Path
    number: int
    marked: bool = False


def outputs_in(entries: Iterable[Entry], folder: Path) -> list[Output]:
    """The outputs of one job as they are."""
    return [Output(entry.name, folder, entry) for entry in entries]


def names_by_file(outputs: Iterable[Output]) -> dict[tuple[Path, str], str]:
    """The names of outputs by folder and name of their files."""
    return {(output.folder, output.entry.name): output.name for output in outputs}


def collect(shares: Sequence[Share]) -> list[Output]:
    """All outputs, no two of whose names are the same in one case, sorted by name as a person does."""
    taken: dict[str, Output] = {}
    for share in shares:
        for entry in share.manifest.entries():
            name = numbered(entry.name, share.number) if share.marked else entry.name
            while name.casefold() in taken:
                name = numbered(name, share.number)
            taken[name.casefold()] = Output(name, share.folder, entry)
    return sorted(taken.values(), key=lambda output: natural_key(output.name))


def find_output(outputs: Iterable[Output], name: str) -> Output | None:
    """The output of this name, upper and lower case being the same, in what :func:`collect` gave."""
    folded = name.casefold()
    return next((output for output in outputs if output.name.casefold() == folded), None)


def numbered(name: str, number: int) -> str:
    """The name with a number behind its stem.

    >>> numbered("shot_0001.png", 2)
    'shot_0001 (2).png'
    """
    stem, dot, suffix = name.rpartition(".")
    return f"{stem} ({number}){dot}{suffix}" if stem else f"{name} ({number})"
