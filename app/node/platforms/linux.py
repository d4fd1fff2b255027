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


def system_version() -> str:
    """See :mod:`app.node.platforms`."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        name = "Linux"
    return f"{name}, kernel {platform.release()}"
