"""What a scene in a .blend says about its rendering, read with blender-asset-tracer.

Field names are those of Blender's DNA; old files lack the newer ones, so every field has a stand-in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from blender_asset_tracer.blendfile import BlendFile, BlendFileBlock

FieldPath = bytes | tuple[bytes, ...]

# Bits of RenderData.mode and RenderData.scemode (DNA_scene_types.h).
_BORDER, _CROP = 1 << 9, 1 << 11
_SEQUENCER, _COMPOSITOR, _MULTIVIEW = 1 << 0, 1 << 6, 1 << 21
_CAMERA_OBJECT = 11
_RENDER_LAYERS = 221  # CMP_NODE_R_LAYERS

# R_IMF_IMTYPE_* of DNA_scene_types.h, in the words of Blender's Python.
_FORMATS = {
    0: "TARGA",
    1: "IRIS",
    4: "JPEG",
    14: "TARGA_RAW",
    15: "AVI_RAW",
    16: "AVI_JPEG",
    17: "PNG",
    20: "BMP",
    21: "HDR",
    22: "TIFF",
    23: "OPEN_EXR",
    24: "FFMPEG",
    26: "CINEON",
    27: "DPX",
    28: "OPEN_EXR_MULTILAYER",
    30: "JPEG2000",
    31: "FFMPEG",
    32: "FFMPEG",
    33: "FFMPEG",
    35: "WEBP",
}
MOVIES = frozenset({"FFMPEG", "AVI_RAW", "AVI_JPEG"})


class SceneFacts(BaseModel):
    """One scene's settings. ``width`` and ``height`` in pixels, at 100 %; ``percentage`` scales them."""

    model_config = ConfigDict(frozen=True)

    name: str
    start: int = 1
    end: int = 250
    step: int = 1
    fps: float = 24.0
    width: int = 1920
    height: int = 1080
    percentage: int = 100
    engine: str = ""
    output_format: str = "PNG"
    camera: str | None = None  # the active one
    bound_cameras: bool = False  # markers switch cameras
    view_layers: tuple[str, ...] = ()
    needs_camera: bool = True  # False: pictures come from the sequencer or the compositor
    cropped: bool = False  # renders a part of the picture, of a size of its own
    multiview: bool = False
    colour: dict[str, str] = {}


def scenes_of(file: BlendFile) -> tuple[SceneFacts, ...]:
    """Every scene that is in the file itself, in its order."""
    return tuple(_facts(block) for block in file.find_blocks_from_code(b"SC"))


def cameras_of(file: BlendFile) -> tuple[str, ...]:
    """The names of the camera objects in the file itself, in its order."""
    return tuple(
        id_name(block)
        for block in file.find_blocks_from_code(b"OB")
        if _number(block, b"type", default=-1) == _CAMERA_OBJECT
    )


def active_scene(file: BlendFile) -> str | None:
    """The scene that was open when the file was saved, which is the one that Blender renders."""
    for glob in file.find_blocks_from_code(b"GLOB"):
        address = _number(glob, b"curscene", default=0)
        for scene in file.find_blocks_from_code(b"SC"):
            if scene.addr_old == address:
                return id_name(scene)
    return None


def id_name(block: BlendFileBlock) -> str:
    """A data-block's name without the two letters of its kind."""
    name = block.id_name
    return name[2:].decode(errors="replace") if name else ""


def _facts(block: BlendFileBlock) -> SceneFacts:
    mode = _number(block, b"r", b"mode", default=0)
    scemode = _number(block, b"r", b"scemode", default=0)
    base = _fraction(block, b"r", b"frs_sec_base", default=1.0)
    camera = _pointed(block, b"camera")
    imtype = _number(block, b"r", b"im_format", b"imtype", default=_number(block, b"r", b"imtype", default=17))
    return SceneFacts(
        name=id_name(block),
        start=_number(block, b"r", b"sfra", default=1),
        end=_number(block, b"r", b"efra", default=250),
        step=max(1, _number(block, b"r", b"frame_step", default=1)),
        fps=_number(block, b"r", b"frs_sec", default=24) / (base if base > 0 else 1.0),
        width=_number(block, b"r", b"xsch", default=1920),
        height=_number(block, b"r", b"ysch", default=1080),
        percentage=_number(block, b"r", b"size", default=100) or 100,
        engine=_text(block, b"r", b"engine"),
        output_format=_FORMATS.get(imtype, f"FORMAT_{imtype}"),
        camera=None if camera is None else id_name(camera),
        bound_cameras=any(_linked(marker, b"camera") for marker in _list(block, b"markers")),
        view_layers=tuple(_text(layer, b"name") for layer in _layers(block)),
        needs_camera=not (_has_strips(block, scemode) or _only_composited(block, scemode)),
        cropped=bool(mode & _BORDER and mode & _CROP),
        multiview=bool(scemode & _MULTIVIEW),
        colour=_colour(block),
    )


def _has_strips(block: BlendFileBlock, scemode: int) -> bool:
    """Whether the sequencer's strips are what is rendered."""
    editing = _pointed(block, b"ed")
    return bool(scemode & _SEQUENCER) and editing is not None and _number(editing, b"seqbase", b"first", default=0) != 0


def _only_composited(block: BlendFileBlock, scemode: int) -> bool:
    """Whether the compositor makes the pictures without any render layer."""
    if not scemode & _COMPOSITOR:
        return False
    tree = _pointed(block, b"compositing_node_group")
    if tree is None and _number(block, b"use_nodes", default=0):
        tree = _pointed(block, b"nodetree")
    if tree is None:
        return False
    return all(_number(node, b"type", default=_RENDER_LAYERS) != _RENDER_LAYERS for node in _list(tree, b"nodes"))


def _colour(block: BlendFileBlock) -> dict[str, str]:
    look = _text(block, b"view_settings", b"look")
    facts = {
        "source": "scene_linear",
        "display": _text(block, b"display_settings", b"display_device"),
        "view": _text(block, b"view_settings", b"view_transform"),
        "look": "" if look == "None" else look,
    }
    return {name: value for name, value in facts.items() if value}


def _layers(block: BlendFileBlock) -> Iterator[BlendFileBlock]:
    """View layers, or what was in their place before 2.80."""
    found = False
    for layer in _list(block, b"view_layers"):
        found = True
        yield layer
    if not found:
        yield from _list(block, (b"r", b"layers"))


def _list(block: BlendFileBlock, path: FieldPath) -> Iterator[BlendFileBlock]:
    """The members of a linked list; a chain that bites its tail ends there."""
    whole = (path, b"first") if isinstance(path, bytes) else (*path, b"first")
    seen: set[int] = set()
    member = _pointed(block, whole)
    while member is not None and member.addr_old not in seen:
        seen.add(member.addr_old)
        yield member
        member = _pointed(member, b"next")


def _pointed(block: BlendFileBlock, path: FieldPath) -> BlendFileBlock | None:
    from blender_asset_tracer.blendfile.exceptions import SegmentationFault

    try:
        return block.get_pointer(path, default=None)
    except (SegmentationFault, KeyError):
        return None


def _linked(block: BlendFileBlock, name: bytes) -> bool:
    return _number(block, name, default=0) != 0


def _number(block: BlendFileBlock, *path: bytes, default: int) -> int:
    value = block.get(path, default=default)
    return value if isinstance(value, int) else default


def _fraction(block: BlendFileBlock, *path: bytes, default: float) -> float:
    value = block.get(path, default=default)
    return float(value) if isinstance(value, int | float) else default


def _text(block: BlendFileBlock, *path: bytes) -> str:
    value = block.get(path, default=b"")
    return value.decode(errors="replace") if isinstance(value, bytes) else ""
