"""Finds what the project refers to and this machine does not have. Blender renders on without a word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy

from zordon_runner.events import Events

MOST_NAMED = 20
"""So many missing files are named one by one; the rest is counted."""

_COLLECTIONS = (
    ("images", "texture"),
    ("movieclips", "movie clip"),
    ("sounds", "sound"),
    ("fonts", "font"),
    ("volumes", "volume"),
    ("cache_files", "cache"),
    ("libraries", "linked file"),
)


def warn_of_missing(events: Events) -> None:
    """One warning for each missing file, up to :data:`MOST_NAMED`."""
    missing = sorted(set(_missing()))
    for kind, path in missing[:MOST_NAMED]:
        events.warning(f"missing {kind}: {path}")
    if len(missing) > MOST_NAMED:
        events.warning(f"{len(missing) - MOST_NAMED} more files are missing")


def warn_of_unbaked(scene: bpy.types.Scene, events: Events) -> None:
    """A simulation that is not baked comes out differently wherever frames are not rendered in one go."""
    loose = sorted(
        {
            thing.name
            for thing in scene.objects
            for modifier in thing.modifiers
            if getattr(modifier, "point_cache", None) is not None and not modifier.point_cache.is_baked
        }
    )
    world = scene.rigidbody_world
    if world is not None and world.enabled and world.collection is not None and not world.point_cache.is_baked:
        loose.append("Rigid Body World")
    if loose:
        events.warning(f"not baked, so frames may differ from one long render: {', '.join(loose[:MOST_NAMED])}")


def _missing() -> Iterator[tuple[str, str]]:
    for collection, kind in _COLLECTIONS:
        for thing in getattr(bpy.data, collection, ()):
            if getattr(thing, "packed_file", None) is not None:
                continue
            if collection == "images" and thing.source not in {"FILE", "SEQUENCE", "MOVIE", "TILED"}:
                continue
            if collection != "libraries" and thing.users == 0:
                continue
            path = thing.filepath
            if path and path != "<builtin>" and not _there(thing, path):
                yield kind, path


def _there(thing: bpy.types.ID, path: str) -> bool:
    if getattr(thing, "source", "") == "TILED":
        return any(_exists(thing, path.replace("<UDIM>", str(tile.number))) for tile in thing.tiles)
    return _exists(thing, path)


def _exists(thing: bpy.types.ID, path: str) -> bool:
    return Path(bpy.path.abspath(path, library=thing.library)).exists()
