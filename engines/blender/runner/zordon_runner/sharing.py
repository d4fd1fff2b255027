"""Renders parts of one still image: each a share of the samples, as a linear picture with all its passes."""

from __future__ import annotations

import argparse
from pathlib import Path

import bpy

from zordon_runner.events import Events, Fatal
from zordon_runner.rendering import Renderer

PARTS = 12
"""How many parts there are; the service says the same (engines/blender/stills.py)."""


def share(samples: int, part: int, parts: int) -> tuple[int, int]:
    """Where the samples of a part begin, and how many there are; parts are counted from 1.

    >>> [share(10, part, 4) for part in (1, 2, 3, 4)]
    [(0, 2), (2, 3), (5, 2), (7, 3)]
    """
    begin, end = samples * (part - 1) // parts, samples * part // parts
    return begin, end - begin


class PartRenderer:
    """One scene at one frame, rendered in parts: ``<folder>/<name>_part_<number>.exr``."""

    def __init__(self, scene: bpy.types.Scene, options: argparse.Namespace, events: Events) -> None:
        self._scene = scene
        self._frame = options.still
        self._name = options.name
        self._events = events
        self._samples = scene.cycles.samples
        if self._samples < PARTS:
            raise Fatal(
                f"{self._samples} samples are too few for {PARTS} parts: take more, or set split to false", "bad_option"
            )
        prepare(scene)
        self._renderer = Renderer(scene, options.name, ".exr", events)

    def chunk(self, parts: list[int], folder: str) -> None:
        """Render these parts.

        Raises:
            Fatal: none can be rendered.
        """
        for part in parts:
            begin, count = share(self._samples, part, PARTS)
            take_samples(self._scene, self._samples, begin, count)
            path = Path(folder) / f"{self._name}_part_{part:04d}.exr"
            self._renderer.still(self._frame, part, path)


def prepare(scene: bpy.types.Scene) -> None:
    """Render what can be merged: linear, every pass, nothing done to the picture yet."""
    cycles, render = scene.cycles, scene.render
    wanted = cycles.use_denoising
    cycles.use_denoising = False
    for layer in scene.view_layers:
        if hasattr(layer.cycles, "denoising_store_passes"):
            layer.cycles.denoising_store_passes = wanted
        # Where Cycles stops early, the merge has to know how many samples each pixel has.
        if cycles.use_adaptive_sampling and hasattr(layer.cycles, "pass_debug_sample_count"):
            layer.cycles.pass_debug_sample_count = True
    # Noise falls with the root of the samples: a part may stop at more of it than the whole.
    cycles.adaptive_threshold = cycles.adaptive_threshold * PARTS**0.5
    render.use_compositing = render.use_sequencer = False
    render.dither_intensity = 0.0
    # The same frame again and again: what was made of the scene is kept.
    render.use_persistent_data = True
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.color_depth = "32"
    settings.exr_codec = "ZIP"


def take_samples(scene: bpy.types.Scene, samples: int, begin: int, count: int) -> None:
    """Have Cycles take ``count`` of all samples, from ``begin`` on."""
    cycles = scene.cycles
    if hasattr(cycles, "use_sample_subset"):  # from 4.5 on
        cycles.samples = samples
        cycles.use_sample_subset = True
        cycles.sample_offset, cycles.sample_subset_length = begin, count
    else:
        cycles.samples, cycles.sample_offset = count, begin
