"""This machine under Linux."""

from __future__ import annotations

import platform
from pathlib import Path

_NAMES = ("model name", "Model", "Hardware", "cpu model")  # x86, Raspberry Pi and its like, others


def cpu_brand() -> str:
    """See :mod:`app.node.platforms`."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor()
    facts: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    return next((facts[name] for name in _NAMES if facts.get(name)), platform.processor())


def gpu_names() -> tuple[str, ...]:
    """See :mod:`app.node.platforms`. Of NVIDIA's driver alone, which renderers care for; others say no names there."""
    names: list[str] = []
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        try:
            lines = file.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return tuple(names)


def system_version() -> str:
    """See :mod:`app.node.platforms`."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        name = "Linux"
    return f"{name}, kernel {platform.release()}"
