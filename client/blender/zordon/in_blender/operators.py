"""What can be done: look the file over, submit it, stop that, open the job's page."""

import bpy
from bpy.props import StringProperty

from ..errors import AddonError
from ..report import Weight, version_findings
from ..submission import Step, installed
from .preferences import preferences, service_of
from .preparing import choices_of, findings_of, prepare, show_findings
from .properties import with_choices
from .waiting import INTERVAL, Waiting, redraw

running = None
"""The submission under way, if there is one: Blender has one window manager, and an artist one farm."""


class _Choosing:
    """A mixin of operators that take the choices of a submit; what they are not told is as the panel has it."""

    scene: StringProperty(name="Scene", description="What is rendered. Empty: the active scene")

    def told(self, context):
        """The scene, the choices, and whether files may be missing.

        Raises:
            AddonError: there is no such scene.
        """
        scene = bpy.data.scenes.get(self.scene) if self.scene else context.scene
        if scene is None:
            names = ", ".join(repr(one.name) for one in bpy.data.scenes)
            raise AddonError(f"there is no scene {self.scene!r}; there is {names}")
        kept = scene.zordon

        def value(name):
            return getattr(self.properties if self.properties.is_property_set(name) else kept, name)

        return scene, choices_of(value, scene), value("allow_missing")


@with_choices
class Report(_Choosing, Waiting, bpy.types.Operator):
    """Look for what speaks against rendering this file on the farm"""

    bl_idname = "zordon.report"
    bl_label = "Check File"

    scene: StringProperty(name="Scene", options={"SKIP_SAVE"})

    def work(self, context):
        scene, choices, allow_missing = self.told(context)
        self._findings, _ = findings_of(scene, choices, allow_missing)
        show_findings(context, self._findings)
        service, saved_by = service_of(context), tuple(bpy.app.version[:2])
        return lambda: version_findings(saved_by, choices.engine_version, installed(service))

    def done(self, context, found):
        self._findings = [*found, *self._findings]
        show_findings(context, self._findings)
        for finding in self._findings:
            print(f"Zordon: {finding.weight.value.lower()}: {finding.text}")
        count = sum(finding.weight is not Weight.INFO for finding in self._findings)
        self.report({"INFO"}, f"Findings: {count}" if count else "Nothing speaks against it")
        return {"FINISHED"}


@with_choices
class Submit(_Choosing, bpy.types.Operator):
    """Send the open file with all that it needs to the farm, as it is now"""

    bl_idname = "zordon.submit"
    bl_label = "Submit to Zordon"

    scene: StringProperty(name="Scene", options={"SKIP_SAVE"})
    _timer = None

    @classmethod
    def poll(cls, context):
        return running is None

    def execute(self, context):
        """For scripts: waits until the job is there; ``context.window_manager.zordon.job_id`` has its id."""
        global running
        try:
            running = self._begin(context)
            running.start()
            running.wait()
            return self._ended(context, running)
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        finally:
            running = None

    def invoke(self, context, event):
        global running
        try:
            running = self._begin(context)
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        running.start()
        self._timer = context.window_manager.event_timer_add(INTERVAL, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        global running
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        state = running.state
        progress = context.window_manager.zordon
        progress.progress, progress.message = 100 * state.factor, state.text
        redraw(context)
        if not state.step.ended:
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        ended, running = running, None
        result = self._ended(context, ended)
        if result == {"FINISHED"} and preferences(context).open_page:
            bpy.ops.zordon.open_job()
        return result

    def _begin(self, context):
        progress = context.window_manager.zordon
        progress.job_id = progress.job_page = progress.message = ""
        progress.progress = 0.0
        submission = prepare(context, *self.told(context))
        progress.is_running = True
        return submission

    def _ended(self, context, submission):
        state, progress = submission.state, context.window_manager.zordon
        progress.is_running = False
        progress.message, progress.progress = state.text, 100 * state.factor
        for warning in state.warnings:
            self.report({"WARNING"}, warning)
            print(f"Zordon: warning: {warning}")
        if state.step is Step.DONE:
            progress.job_id = state.job_id
            progress.job_page = submission.service.job_page(state.job_id)
            self.report({"INFO"}, state.text)
            print(f"Zordon: job {state.job_id}")
            return {"FINISHED"}
        self.report({"INFO" if state.step is Step.CANCELLED else "ERROR"}, state.text)
        return {"CANCELLED"}


class Cancel(bpy.types.Operator):
    """Stop sending; no job is made"""

    bl_idname = "zordon.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context):
        return running is not None

    def execute(self, context):
        running.cancel()
        return {"FINISHED"}


class OpenJob(bpy.types.Operator):
    """Show the page of the job that was submitted last"""

    bl_idname = "zordon.open_job"
    bl_label = "Open Job in Browser"

    @classmethod
    def poll(cls, context):
        return bool(context.window_manager.zordon.job_page)

    def execute(self, context):
        return bpy.ops.wm.url_open(url=context.window_manager.zordon.job_page)


def stop_running():
    """The add-on is switched off, or Blender ends."""
    if running is not None:
        running.cancel()
        running.wait()
