"""Operators that wait for the network: in a thread while Blender goes on, or on the spot if a script calls them."""

from concurrent.futures import ThreadPoolExecutor

from ..errors import AddonError

INTERVAL = 0.1
"""How often a modal operator looks, in seconds."""


def redraw(context):
    """Have the panel and the preferences drawn anew."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"PROPERTIES", "PREFERENCES"}:
                area.tag_redraw()


class Waiting:
    """A mixin. ``work()`` says what to do in the thread, which must not touch Blender; ``done()`` gets its value.

    What raises :class:`AddonError` in either is an error of the operator.
    """

    _timer = None

    def execute(self, context):
        try:
            value = self.work(context)()
        except AddonError as error:
            return self.failed(context, error)
        return self.done(context, value)

    def invoke(self, context, event):
        try:
            work = self.work(context)
        except AddonError as error:
            return self.failed(context, error)
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(work)
        self._pool.shutdown(wait=False)
        self._timer = context.window_manager.event_timer_add(INTERVAL, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type != "TIMER" or not self._future.done():
            return {"PASS_THROUGH"}
        context.window_manager.event_timer_remove(self._timer)
        redraw(context)
        try:
            value = self._future.result()
        except AddonError as error:
            return self.failed(context, error)
        return self.done(context, value)

    def failed(self, context, error):
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}
