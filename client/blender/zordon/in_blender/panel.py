"""The panel in the render properties."""

import bpy

from .operators import Cancel, OpenJob, Report, Submit
from .preferences import CheckConnection

_ICONS = {"ERROR": "CANCEL", "WARNING": "ERROR", "INFO": "INFO"}


class _Panel:
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "render"


class MainPanel(_Panel, bpy.types.Panel):
    """Submit the file, and see how that goes."""

    bl_idname = "RENDER_PT_zordon"
    bl_label = "Zordon"

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        chosen, progress = context.scene.zordon, context.window_manager.zordon
        for name in ("frames", "name", "priority", "engine_version", "output_format", "notes"):
            layout.prop(chosen, name)
        row = layout.row(align=True)
        row.operator(Report.bl_idname, icon="VIEWZOOM")
        row.operator(CheckConnection.bl_idname, icon="LINKED")
        if progress.is_running:
            self._draw_bar(layout, progress)
        else:
            layout.operator(Submit.bl_idname, icon="RENDER_ANIMATION")
            if progress.message:
                layout.label(text=progress.message, translate=False)
            if progress.job_page:
                layout.operator(OpenJob.bl_idname, icon="URL")

    def _draw_bar(self, layout, progress):
        row = layout.row(align=True)
        if hasattr(row, "progress"):
            row.progress(factor=progress.progress / 100, text=progress.message)
        else:
            row.prop(progress, "progress", text=progress.message, slider=True)
        row.operator(Cancel.bl_idname, text="", icon="X")


class OverridesPanel(_Panel, bpy.types.Panel):
    """What is rendered otherwise than the scene says."""

    bl_idname = "RENDER_PT_zordon_overrides"
    bl_parent_id = MainPanel.bl_idname
    bl_label = "Overrides"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - how Blender wants it

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        chosen = context.scene.zordon
        for name in ("render_engine", "samples", "denoise", "resolution_percentage"):
            layout.prop(chosen, name)
        layout.prop_search(chosen, "camera", context.scene, "objects", icon="CAMERA_DATA")
        layout.prop_search(chosen, "view_layer", context.scene, "view_layers", icon="RENDERLAYERS")


class ReportPanel(_Panel, bpy.types.Panel):
    """What was found when the file was looked over."""

    bl_idname = "RENDER_PT_zordon_report"
    bl_parent_id = MainPanel.bl_idname
    bl_label = "Report"

    @classmethod
    def poll(cls, context):
        return len(context.window_manager.zordon.findings) > 0

    def draw(self, context):
        column = self.layout.column(align=True)
        for finding in context.window_manager.zordon.findings:
            column.label(text=finding.text, icon=_ICONS.get(finding.weight, "INFO"), translate=False)
        self.layout.prop(context.scene.zordon, "allow_missing")
