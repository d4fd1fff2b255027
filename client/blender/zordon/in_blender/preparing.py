"""From the open file to a submission that can be started: choices, report, the saved copy."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import bpy

from ..choices import Choices, document_of
from ..errors import AddonError
from ..packing import Project, missing_of
from ..report import Weight, report, stops
from ..submission import Submission
from .facts import facts_of
from .gather import dependencies
from .preferences import service_of
from .properties import AS_IS


def choices_of(told, scene):
    """The choices in a group of properties.

    Args:
        told: asked for a property by its name.
        scene: what is rendered; named to the service if there are several.
    """
    denoise = told("denoise")
    return Choices(
        frames=told("frames"),
        name=told("name"),
        notes=told("notes"),
        priority=told("priority"),
        engine_version=told("engine_version"),
        output_format="" if told("output_format") == AS_IS else told("output_format"),
        scene=scene.name if len(bpy.data.scenes) > 1 else "",
        view_layer=told("view_layer"),
        camera=told("camera"),
        render_engine="" if told("render_engine") == AS_IS else told("render_engine"),
        samples=told("samples") or None,
        resolution_percentage=told("resolution_percentage") or None,
        denoise=None if denoise == AS_IS else denoise == "ON",
    )


def findings_of(scene, choices, allow_missing):
    """The report about the open file, and what it needs.

    Raises:
        AddonError: a folder of the project cannot be read.
    """
    facts = facts_of(scene)
    needed = dependencies() if facts.is_saved else []
    return report(facts, choices, missing_of(needed), allow_missing=allow_missing), needed


def show_findings(context, findings):
    """Keep them for the panel."""
    kept = context.window_manager.zordon.findings
    kept.clear()
    for finding in findings:
        one = kept.add()
        one.weight, one.text = finding.weight.value, finding.text


def prepare(context, scene, choices, allow_missing):
    """A submission of the open file as it is now, saved or not. Blender stands still for as long as saving takes.

    Raises:
        AddonError: something speaks against it, or the file cannot be saved.
    """
    service = service_of(context)
    findings, needed = findings_of(scene, choices, allow_missing)
    show_findings(context, findings)
    if stops(findings):
        raise AddonError("; ".join(one.text for one in findings if one.weight is Weight.ERROR))
    path = Path(bpy.data.filepath)
    document = document_of(choices, path.name)
    folder = Path(tempfile.mkdtemp(prefix="zordon-", dir=bpy.app.tempdir or None))
    try:
        saved = folder / "saved.blend"
        with _without_thumbnail(context.preferences):
            bpy.ops.wm.save_as_mainfile(filepath=str(saved), copy=True, compress=False, relative_remap=False)
    except RuntimeError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise AddonError(f"a copy of the file cannot be saved in {folder}: {error}") from error
    return Submission(service, Project(path, saved, tuple(needed)), document, tuple(bpy.app.version[:2]), folder)


@contextmanager
def _without_thumbnail(preferences):
    """Drawing one for the copy can take longer than saving it."""
    paths, was_changed = preferences.filepaths, preferences.is_dirty
    kind, paths.file_preview_type = paths.file_preview_type, "NONE"
    try:
        yield
    finally:
        paths.file_preview_type = kind
        preferences.is_dirty = was_changed
