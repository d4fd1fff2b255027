"""Everything outside the open file that Blender reads for it, by walking what Blender has loaded."""

import os
from pathlib import Path

import bpy

from ..layout import Dependency, absolute, is_below, same

_PLAIN = (("sounds", "sound"), ("fonts", "font"))
_BUILT_IN = {"", "<builtin>"}


def dependencies():
    """What the open file needs, each once, in an order that is always the same."""
    found = {}
    passed_over = set()
    for one in _known(passed_over):
        found.setdefault(same(one.path), one)
    own = [Path(bpy.utils.resource_path(kind)) for kind in ("LOCAL", "SYSTEM") if bpy.utils.resource_path(kind)]
    # Whatever Blender itself thinks of besides. Names of its own brushes and assets are among that.
    for text in bpy.utils.blend_paths(absolute=True, packed=False, local=False):
        path = Path(os.path.normpath(text))
        if same(path) in passed_over or any(is_below(path, folder) for folder in own):
            continue
        found.setdefault(same(path), Dependency("file", path))
    found.pop(same(Path(bpy.data.filepath)), None)
    return sorted(found.values(), key=lambda one: str(one.path))


def _known(passed_over):
    """The dependencies of which we know what they are. What nobody uses is not saved, and goes to ``passed_over``."""
    for library in bpy.data.libraries:
        if getattr(library, "packed_file", None) is None:
            # Blender keeps their paths relative to the open file, whoever links them.
            yield Dependency("linked file", _meant(library.filepath, None), user=_parent(library))
    for image in bpy.data.images:
        if image.packed_file is not None or image.source not in {"FILE", "SEQUENCE", "MOVIE", "TILED"}:
            continue
        yield from _of(image, "texture", passed_over, image.source == "SEQUENCE")
    for clip in bpy.data.movieclips:
        yield from _of(clip, "movie clip", passed_over, clip.source == "SEQUENCE")
    for collection, kind in _PLAIN:
        for thing in getattr(bpy.data, collection):
            if thing.packed_file is None:
                yield from _of(thing, kind, passed_over, False)
    for volume in bpy.data.volumes:
        if volume.packed_file is None:
            yield from _of(volume, "volume", passed_over, volume.is_sequence)
    for cache in bpy.data.cache_files:
        yield from _of(cache, "cache", passed_over, cache.is_sequence)
    yield from _strips()
    yield from _caches()


def _of(thing, kind, passed_over, series):
    if thing.filepath in _BUILT_IN:
        return
    path = _meant(thing.filepath, thing.library)
    if thing.users == 0:
        passed_over.add(same(path))
    else:
        yield Dependency(kind, path, series, thing.name)


def _strips():
    """Image strips, whose folder is written apart from the names; the folder is what may be written anew."""
    for scene in bpy.data.scenes:
        editor = scene.sequence_editor
        if editor is None:
            continue
        strips = editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all
        for strip in strips:
            if strip.type == "IMAGE":
                folder = _meant(strip.directory, scene.library)
                for element in strip.elements:
                    yield Dependency("strip", folder / element.filename, user=strip.name, parted=True)
            elif strip.type == "MOVIE":
                yield Dependency("strip", _meant(strip.filepath, scene.library), user=strip.name, parted=True)


def _caches():
    """Baked simulations. Those in Blender's own folder beside a file go with it as a whole."""
    for path in {Path(bpy.data.filepath), *(_meant(one.filepath, None) for one in bpy.data.libraries)}:
        folder = path.parent / f"blendcache_{path.stem}"
        if folder.is_dir():
            yield Dependency("cache", folder)
    for thing in bpy.data.objects:
        for modifier in thing.modifiers:
            if modifier.type == "FLUID" and modifier.fluid_type == "DOMAIN":
                folder = _meant(modifier.domain_settings.cache_directory, thing.library)
                if folder.is_dir():
                    yield Dependency("cache", folder, user=thing.name)
        for cache in point_caches(thing):
            if cache.use_external and cache.filepath:
                yield Dependency("cache", _meant(cache.filepath, thing.library), user=thing.name)


def point_caches(thing):
    """The caches of the simulations of an object."""
    for modifier in thing.modifiers:
        cache = getattr(modifier, "point_cache", None)
        if cache is not None:
            yield cache
    for system in thing.particle_systems:
        if system.settings.type == "EMITTER" or system.use_hair_dynamics:
            yield system.point_cache


def _meant(path, library):
    """The absolute path that one in a data-block means; those of linked ones count from the file they are in."""
    base = bpy.data.filepath if library is None else _meant(library.filepath, None)
    return absolute(path, Path(base).parent)


def _parent(library):
    return library.parent.name if library.parent is not None else ""
