"""Prints what a copy of Blender can do: its version for people, and one line of JSON for the service.

With the program:   blender -b --factory-startup --python facts.py
With the module:    python3.11 -I -S facts.py --bpy FOLDER
"""

from __future__ import annotations

import json
import os
import sys

MARK = "ZORDON_FACTS "


def devices() -> list[dict[str, str]]:
    """What Cycles can compute on: kind and name of each device."""
    import bpy

    preferences = bpy.context.preferences.addons["cycles"].preferences
    found = {("CPU", device.name) for device in preferences.get_devices_for_type("CPU") if device.type == "CPU"}
    for kind, *_ in preferences.get_device_types(bpy.context):
        if kind != "NONE":
            found |= {(kind, device.name) for device in preferences.get_devices_for_type(kind) if device.type == kind}
    return [{"type": kind, "name": name} for kind, name in sorted(found)]


def has_denoiser() -> bool:
    import _cycles  # comes with bpy, and is not there before

    return bool(getattr(_cycles, "with_openimagedenoise", False))


def main() -> None:
    as_module = "--bpy" in sys.argv
    if as_module:
        sys.path.insert(0, sys.argv[sys.argv.index("--bpy") + 1])
    import bpy

    print(f"Blender {bpy.app.version_string}")
    facts = {
        "version": bpy.app.version_string,
        "python": sys.version.split()[0],
        "build_date": bpy.app.build_date.decode(errors="replace"),
        "build_platform": bpy.app.build_platform.decode(errors="replace"),
        "denoiser": has_denoiser(),
        "devices": devices(),
    }
    print(MARK + json.dumps(facts), flush=True)
    if as_module:
        os._exit(0)


main()
