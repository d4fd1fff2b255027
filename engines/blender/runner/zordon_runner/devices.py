"""Chooses what Cycles computes on. Blender keeps that in the user's preferences, which a farm must not depend on."""

from __future__ import annotations

import bpy

from zordon_runner.events import Events, Fatal

# Where the project says GPU and the job says nothing: the quickest kind that is there.
BEST_FIRST = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")


def devices_of(kind: str) -> list[bpy.types.PropertyGroup]:
    """The GPUs of one kind that Cycles sees; empty if this build does not know the kind."""
    preferences = bpy.context.preferences.addons["cycles"].preferences
    known = {item[0] for item in preferences.get_device_types(bpy.context)}
    if kind not in known:
        return []
    return [device for device in preferences.get_devices_for_type(kind) if device.type == kind]


def use_device(scene: bpy.types.Scene, wanted: str, events: Events) -> None:
    """Render ``scene`` on CPU, on a kind of GPU, or (AUTO) on what the project asks for if it is there.

    Raises:
        Fatal: a GPU is asked for that this machine does not have.
    """
    if wanted == "CPU" or (wanted == "AUTO" and scene.cycles.device != "GPU"):
        scene.cycles.device = "CPU"
        return
    kinds = BEST_FIRST if wanted == "AUTO" else (wanted,)
    for kind in kinds:
        found = devices_of(kind)
        if not found:
            continue
        preferences = bpy.context.preferences.addons["cycles"].preferences
        preferences.compute_device_type = kind
        for device in preferences.devices:
            device.use = device.type == kind
        scene.cycles.device = "GPU"
        return
    if wanted != "AUTO":
        raise Fatal(f"this machine has no {wanted} device that Blender can use; choose another device", "bad_option")
    scene.cycles.device = "CPU"
    events.warning("the project asks for a GPU and this machine has none that Blender can use: rendered on the CPU")
