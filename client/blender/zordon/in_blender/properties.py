"""What Blender keeps for us: the choices with the scene, how a submit goes with the window manager."""

import inspect

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..choices import FORMATS

AS_IS = "PROJECT"
"""Item of a choice that leaves things as the scene has them."""
_AS_IS = (AS_IS, "As in Scene", "What the scene says")


def choice_properties():
    """The properties of a submit, by name: for the scene, and for the operator, which may be told otherwise."""
    return {
        "frames": StringProperty(
            name="Frames", description="1-100, 1-100x2 or 1-10,20,30-40. Empty: the range of the scene"
        ),
        "name": StringProperty(name="Job Name", description="Empty: the name of the file", maxlen=200),
        "notes": StringProperty(name="Notes", description="Free text, kept with the job", maxlen=10_000),
        "priority": IntProperty(
            name="Priority", description="The higher one renders first", default=50, min=0, max=100
        ),
        "engine_version": StringProperty(
            name="Blender Version",
            description="Such as 4.5 or 4.5.3. Empty: the one that suits the file best",
            maxlen=100,
        ),
        "output_format": EnumProperty(
            name="File Format",
            description="Format of the frames",
            items=[_AS_IS, *((name, name.replace("_", " ").title(), "") for name in FORMATS)],
        ),
        "view_layer": StringProperty(name="View Layer", description="Render this one only. Empty: those of the scene"),
        "camera": StringProperty(name="Camera", description="Render from this one. Empty: that of the scene"),
        "render_engine": EnumProperty(
            name="Render Engine",
            items=[_AS_IS, ("CYCLES", "Cycles", ""), ("EEVEE", "EEVEE", ""), ("WORKBENCH", "Workbench", "")],
        ),
        "samples": IntProperty(
            name="Samples",
            description="A pixel, for Cycles and EEVEE. 0: as in the scene",
            default=0,
            min=0,
            max=1_000_000,
        ),
        "resolution_percentage": IntProperty(
            name="Resolution %", description="0: as in the scene", default=0, min=0, max=1000
        ),
        "denoise": EnumProperty(
            name="Denoise", description="For Cycles", items=[_AS_IS, ("ON", "On", ""), ("OFF", "Off", "")]
        ),
        "allow_missing": BoolProperty(
            name="Submit with Files Missing", description="Blender renders missing textures pink", default=False
        ),
    }


def with_choices(kind):
    """A decorator: give a class of Blender's the properties of a submit."""
    kind.__annotations__ = {**inspect.get_annotations(kind), **choice_properties()}
    return kind


@with_choices
class ZordonChoices(bpy.types.PropertyGroup):
    """What the panel shows, kept in the file with the scene."""


class ZordonFinding(bpy.types.PropertyGroup):
    """One sentence of the report."""

    weight: StringProperty()
    text: StringProperty()


class ZordonProgress(bpy.types.PropertyGroup):
    """How things are; for this session of Blender only."""

    connection: StringProperty()
    is_running: BoolProperty()
    progress: FloatProperty(name="Progress", subtype="PERCENTAGE", min=0.0, max=100.0)
    message: StringProperty()
    job_id: StringProperty(description="The job that was submitted last")
    job_page: StringProperty(description="Its page in the browser")
    findings: CollectionProperty(type=ZordonFinding)


CLASSES = (ZordonChoices, ZordonFinding, ZordonProgress)


def add_pointers():
    """Once the classes are known to Blender."""
    bpy.types.Scene.zordon = PointerProperty(type=ZordonChoices)
    bpy.types.WindowManager.zordon = PointerProperty(type=ZordonProgress, options={"SKIP_SAVE"})


def remove_pointers():
    """Before the classes go."""
    del bpy.types.WindowManager.zordon
    del bpy.types.Scene.zordon
