"""The environment that engines get: what rendering needs, and nothing that belongs to the service or its user."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PASSED = frozenset(
    {
        "PATH", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DISPLAY", "XAUTHORITY",
        "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT",
        "NUMBER_OF_PROCESSORS", "PROCESSOR_ARCHITECTURE", "PROGRAMFILES", "PROGRAMFILES(X86)", "PROGRAMDATA",
    }
)  # fmt: skip
PASSED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "HIP_", "ROCR_", "HSA_", "ONEAPI_", "VK_", "__GL")

ATTEMPT_COOKIE = "ZORDON_ATTEMPT"
"""Names the session (the attempt that started it) in the environment of its whole process tree."""
STORE_COOKIE = "ZORDON_STORE"
"""Names the store in the same way, so that leftovers of a crash are known as ours."""


@cache
def _passed() -> Mapping[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper() in PASSED or name.upper().startswith(PASSED_PREFIXES)
    }


def engine_environment(scratch: Path | None = None, added: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for an engine process.

    Args:
        scratch: a folder of ours that becomes its home and temporary folder; None leaves them out.
        added: the engine's own variables; they win.
    """
    environment = dict(_passed())
    if scratch is not None:
        folder = str(scratch)
        for name in ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            environment[name] = folder
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    environment.update(added or {})
    return environment
