"""Everything that Blender has to know of, in the order in which it has to."""

import bpy

from . import operators, panel, preferences, properties

_CLASSES = (
    *properties.CLASSES,
    preferences.ZordonPreferences,
    preferences.CheckConnection,
    operators.Report,
    operators.Submit,
    operators.Cancel,
    operators.OpenJob,
    panel.MainPanel,
    panel.OverridesPanel,
    panel.ReportPanel,
)


def register():
    for kind in _CLASSES:
        bpy.utils.register_class(kind)
    properties.add_pointers()


def unregister():
    operators.stop_running()
    properties.remove_pointers()
    for kind in reversed(_CLASSES):
        bpy.utils.unregister_class(kind)
