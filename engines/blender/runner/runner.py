"""The script that Blender runs: one session, from opening the project to the end of stdin.

With the program:   blender -b … FILE --python runner.py -- --project FILE --name NAME …
With the module:    python3.11 -I -S runner.py --bpy FOLDER --project FILE --name NAME …

Reads lines on stdin: ``{"chunk": "<attempt>", "frames": [1, 2], "folder": "/path"}`` renders, ``{"finish": true}`` or
the end of the stream ends. Writes events to the file descriptor named by ZORDON_EVENTS_FD (to stdout without it).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType

sys.path.insert(0, str(Path(__file__).resolve().parent))

from zordon_runner.events import Events, Fatal

EXIT_EXCEPTION = 70
"""The script itself failed; inside the program, --python-exit-code says the same."""

EXIT_REPORTED = 71
"""It failed, and the events say why."""


def arguments() -> argparse.Namespace:
    given = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(prog="runner.py", description="Renders frames that are given on stdin.")
    parser.add_argument("--bpy", help="folder that holds the module bpy; without it we are inside the program")
    parser.add_argument("--project", required=True, help="the .blend file")
    parser.add_argument("--name", required=True, help="stem of the frames' names")
    parser.add_argument("--format", required=True, help="Blender's word for the file format")
    parser.add_argument("--extension", required=True, help="ending of the frames' names, with the dot")
    parser.add_argument("--scene")
    parser.add_argument("--camera")
    parser.add_argument("--view-layer")
    parser.add_argument("--engine", help="Blender's id of the render engine")
    parser.add_argument("--samples", type=int)
    parser.add_argument("--denoise", choices=("on", "off"))
    parser.add_argument("--resolution-percentage", type=int)
    parser.add_argument("--device", default="AUTO")
    parser.add_argument("--persistent-data", choices=("on", "off"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--still", type=int, help="the frame whose picture the parts make; chunks are numbers of parts")
    parser.add_argument("--assemble", help="folder with the parts of a still image, which are put together")
    parser.add_argument("--parts", type=int, help="how many parts there are")
    parser.add_argument("--into", help="folder for the picture that the parts make")
    parser.add_argument("--autoexec", choices=("on", "off"), default="off", help="whether the project may run scripts")
    parser.add_argument("--scripts", help="folder of this session, for copies of add-ons")
    parser.add_argument("--addon", action="append", default=[], help="module or path of an add-on to enable")
    parser.add_argument("--startup-script", action="append", default=[], help="script to run before the first frame")
    return parser.parse_args(given)


def session(options: argparse.Namespace, events: Events) -> None:
    """Open, set, say ready, render chunk after chunk.

    Raises:
        Fatal: nothing can be rendered.
    """
    import bpy
    from zordon_runner import addons, assets, merging, opening, settings, sharing
    from zordon_runner.rendering import Renderer

    # In the order in which an artist's Blender does it: a project may need what its add-ons bring.
    addons.enable(options.addon, options.scripts)
    named = options.bpy is None and not options.addon
    opening.open_project(options.project, is_open=named, scripts=options.autoexec == "on", events=events)
    addons.run_scripts(options.startup_script)
    scene = opening.choose(options, events)
    settings.apply(scene, options, events)
    if options.assemble is not None:
        events.say("ready", version=bpy.app.version_string, colour=colour_of(scene))
        merging.assemble(scene, options, events)
        return
    assets.warn_of_missing(events)
    assets.warn_of_unbaked(scene, events)
    renderer: Renderer | sharing.PartRenderer
    if options.still is None:
        renderer = Renderer(scene, options.name, options.extension, events)
    else:
        renderer = sharing.PartRenderer(scene, options, events)
    events.say("ready", version=bpy.app.version_string, colour=colour_of(scene))
    while True:
        line = sys.stdin.buffer.readline()
        if not line:
            return
        order = json.loads(line)
        if order.get("finish"):
            return
        renderer.chunk(order["frames"], order["folder"])
        sys.stdout.flush()
        events.say("done", attempt=order["chunk"])


def colour_of(scene: object) -> dict[str, str]:
    """How the scene wants its linear pictures shown, in the words of its OpenColorIO config."""
    view = scene.view_settings
    facts = {
        "source": "scene_linear",
        "display": scene.display_settings.display_device,
        "view": view.view_transform,
        "look": "" if view.look == "None" else view.look,
        "exposure": "" if view.exposure == 0 else repr(view.exposure),
        "gamma": "" if view.gamma == 1 else repr(view.gamma),
    }
    return {name: value for name, value in facts.items() if value}


def main() -> int:
    options = arguments()
    if options.bpy is not None:
        sys.path.insert(0, options.bpy)
    try:
        with Events.open() as events:
            session(options, events)
    except Fatal as reason:
        print(f"Error: {reason.message}", file=sys.stderr, flush=True)
        return EXIT_REPORTED
    return 0


class Leaving:
    """Ends the process without tearing bpy down: 4.5 can wait for itself for ever there, with software OpenGL."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        code = 0
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else EXIT_EXCEPTION
        elif kind is not None and error is not None:
            sys.excepthook(kind, error, traceback)
            code = EXIT_EXCEPTION
        if "bpy" in sys.modules:
            shutil.rmtree(sys.modules["bpy"].app.tempdir, ignore_errors=True)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    with Leaving() if "--bpy" in sys.argv else nullcontext():
        result = main()
        if result:
            sys.exit(result)
