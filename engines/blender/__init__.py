"""Blender: .blend projects rendered frame by frame, by the program ``blender`` or by PyPI's module ``bpy``."""

from engines.blender.engine import BlenderEngine
from engines.blender.options import BlenderOptions

__all__ = ["BlenderEngine", "BlenderOptions"]
