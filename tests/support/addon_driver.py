"""Runs inside Blender: installs the add-on's zip as a user does, takes steps, writes what came of each.

blender -b --factory-startup --python addon_driver.py -- ADDON.zip STEPS.json ANSWERS.json
"""

import json
import sys
import threading
from pathlib import Path

import bpy


def install(archive):
    """Install and switch on; the name by which this Blender knows the add-on."""
    if bpy.app.version >= (4, 2):
        bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
        return "bl_ext.user_default.zordon"
    bpy.ops.preferences.addon_install(filepath=archive)
    bpy.ops.preferences.addon_enable(module="zordon")
    return "zordon"


def progress():
    return bpy.context.window_manager.zordon


def called(operator, options):
    """Call an operator; the error that a script would get."""
    try:
        return {"result": sorted(operator(**options))}
    except RuntimeError as error:
        return {"error": str(error).strip()}


class Steps:
    """Each method is a step; what it returns is its answer."""

    def __init__(self, module):
        self._module = module

    def about(self):
        there = bpy.context.preferences.addons
        kinds = ("RENDER_PT_zordon", "RENDER_PT_zordon_overrides", "RENDER_PT_zordon_report")
        return {
            "version": list(bpy.app.version[:2]),
            "enabled": self._module in there,
            "panels": [kind for kind in kinds if hasattr(bpy.types, kind)],
        }

    def prefer(self, **values):
        """Set preferences."""
        chosen = bpy.context.preferences.addons[self._module].preferences
        for name, value in values.items():
            setattr(chosen, name, value)

    def check(self):
        return {**called(bpy.ops.zordon.check_connection, {}), "told": progress().connection}

    def open(self, file):
        bpy.ops.wm.open_mainfile(filepath=file)

    def new(self):
        bpy.ops.wm.read_homefile(use_factory_startup=True)

    def change(self):
        """A change that is not saved."""
        bpy.ops.mesh.primitive_cube_add()
        bpy.ops.ed.undo_push(message="Add")

    def run(self, code):
        exec(code, {"bpy": bpy})

    def report(self, **options):
        told = called(bpy.ops.zordon.report, options)
        return {**told, "findings": [[one.weight, one.text] for one in progress().findings]}

    def submit(self, **options):
        told = called(bpy.ops.zordon.submit, options)
        return {
            **told,
            "job_id": progress().job_id,
            "page": progress().job_page,
            "message": progress().message,
            "findings": [[one.weight, one.text] for one in progress().findings],
            "file": bpy.data.filepath,
            "left": sorted(path.name for path in Path(bpy.app.tempdir).glob("zordon-*")),
        }

    def submit_and_cancel(self, **options):
        """Cancel as soon as some of it was sent."""
        operators = sys.modules[f"{self._module}.in_blender.operators"]
        seen = []

        def watch():
            while not seen:
                submission = operators.running
                if submission is None:
                    continue
                state = submission.state
                if state.step.ended or (state.step.name == "UPLOADING" and state.done > 0):
                    seen.append([state.step.name, state.done, state.total])
                    submission.cancel()

        watcher = threading.Thread(target=watch)
        watcher.start()
        told = self.submit(**options)
        watcher.join()
        return {**told, "seen": seen[0]}

    def dependencies(self):
        gather = sys.modules[f"{self._module}.in_blender.gather"]
        layout = sys.modules[f"{self._module}.layout"]
        return sorted({str(file) for one in gather.dependencies() for file in layout.files_of(one)})

    def render(self, folder):
        """Render the open file here."""
        bpy.context.scene.render.filepath = folder
        bpy.ops.render.render(animation=True)

    def remove(self):
        bpy.ops.preferences.addon_disable(module=self._module)
        return hasattr(bpy.types, "RENDER_PT_zordon")


def main():
    archive, steps, answers = sys.argv[sys.argv.index("--") + 1 :]
    driven = Steps(install(archive))
    told = [getattr(driven, name)(**options) for name, options in json.loads(Path(steps).read_text())]
    Path(answers).write_text(json.dumps(told))


main()
