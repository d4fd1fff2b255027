# SPDX-License-Identifier: GPL-3.0-or-later
"""Submits the open file to a Zordon render farm.

Blender before 4.2 reads ``bl_info``, later ones ``blender_manifest.toml``; the rest is the same. What needs Blender is
in ``in_blender`` and is imported when the add-on is switched on, so that everything else can be tested without.
"""

from importlib import import_module

bl_info = {
    "name": "Zordon",
    "author": "The Zordon authors",
    "version": (0, 1, 0),
    "blender": (3, 1, 0),
    "location": "Properties > Render > Zordon",
    "description": "Render on a Zordon farm",
    "category": "Render",
}


def register() -> None:
    """The add-on is switched on."""
    import_module(".in_blender.registration", __package__).register()


def unregister() -> None:
    """The add-on is switched off."""
    import_module(".in_blender.registration", __package__).unregister()
