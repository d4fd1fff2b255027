"""The FFmpeg engine. Importing it loads neither PyAV nor FFmpeg."""

from engines.ffmpeg.engine import FFmpegEngine
from engines.ffmpeg.presets import Preset, load_presets, presets_path

__all__ = ["FFmpegEngine", "Preset", "load_presets", "presets_path"]
