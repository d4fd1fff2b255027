"""Where the farm is, who we are to it, and a check of both."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from ..connection import Service
from ..discovery import find_target
from ..errors import AddonError
from .waiting import Waiting

ADDON = __package__.rpartition(".in_blender")[0]
"""Name of the add-on as this Blender knows it."""


class ZordonPreferences(bpy.types.AddonPreferences):
    """The preferences; what is left empty is looked for as the command line does."""

    bl_idname = ADDON

    address: StringProperty(
        name="Address",
        description="Of the service, such as render-3:8080 or https://render-3. Empty: the service of this machine",
    )
    token: StringProperty(
        name="Token",
        description="Made by 'zordon token add NAME --role submit'. Empty: that of the service of this machine",
        subtype="PASSWORD",
    )
    ca: StringProperty(
        name="Certificate",
        description="PEM file of the studio's authority, for HTTPS. Empty: those that the system knows",
        subtype="FILE_PATH",
    )
    open_page: BoolProperty(
        name="Open Job in Browser", description="Show the page of a job when it is submitted", default=True
    )

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "address")
        layout.prop(self, "token")
        layout.prop(self, "ca")
        layout.prop(self, "open_page")
        layout.operator(CheckConnection.bl_idname)
        if context.window_manager.zordon.connection:
            layout.label(text=context.window_manager.zordon.connection, translate=False)


def preferences(context):
    """The add-on's preferences."""
    return context.preferences.addons[ADDON].preferences


def service_of(context):
    """The service that the preferences mean.

    Raises:
        AddonError: they mean none, or Blender shall not use the network.
    """
    chosen = preferences(context)
    ca = str(Path(bpy.path.abspath(chosen.ca))) if chosen.ca else ""
    target = find_target(chosen.address, chosen.token, ca)
    if not target.is_this_machine and not getattr(bpy.app, "online_access", True):
        raise AddonError(
            "Blender is not to use the network: switch on Allow Online Access in Preferences > System to reach "
            f"{target.url}"
        )
    return Service(target)


class CheckConnection(Waiting, bpy.types.Operator):
    """Ask the service who we are to it"""

    bl_idname = "zordon.check_connection"
    bl_label = "Check Connection"

    def work(self, context):
        return service_of(context).check

    def done(self, context, told):
        context.window_manager.zordon.connection = told
        self.report({"INFO"}, told)
        return {"FINISHED"}

    def failed(self, context, error):
        context.window_manager.zordon.connection = str(error)
        return super().failed(context, error)
