"""What it means when Blender ends: its exit codes lie, its last lines say more."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from engines.blender.commands import EXIT_EXCEPTION, EXIT_LISTENER_GONE, EXIT_REPORTED
from engines.contract import EngineFailed, FailureCause

_CRASHES = {
    "SIGSEGV": "it reached for memory that is not its own",
    "SIGABRT": "it gave up by itself",
    "SIGBUS": "it reached for memory that is not there",
    "SIGFPE": "an arithmetic error",
    "SIGILL": "it needs a newer processor than this machine has",
    "SIGTRAP": "it stopped at a check of its own",
}
_WINDOWS_CRASHES = {0xC0000005: "SIGSEGV", 0xC000001D: "SIGILL", 0xC0000409: "SIGABRT", 0x80000003: "SIGABRT"}

# What Blender or the loader prints, in lower case; first match wins.
_SIGNS = (
    ("no module named 'bpy'", FailureCause.MACHINE, "the module bpy is not in its folder"),
    ("error while loading shared libraries", FailureCause.MACHINE, "a system library that Blender needs is missing"),
    ("cannot open shared object file", FailureCause.MACHINE, "a system library that Blender needs is missing"),
    ("not a blend file", FailureCause.ERROR, "Blender does not recognise the project as a .blend file"),
    ("cannot read file", FailureCause.ERROR, "Blender cannot read the project"),
    ("failed to read blend file", FailureCause.ERROR, "Blender cannot read the project"),
    ("incomplete", FailureCause.ERROR, "the project's file is not complete"),
    ("out of memory", FailureCause.OUT_OF_MEMORY, "Blender ran out of memory"),
    ("bad_alloc", FailureCause.OUT_OF_MEMORY, "Blender ran out of memory"),
    ("no space left", FailureCause.DISK, "the disk is full"),
)


def explain(code: int, tail: Sequence[str]) -> EngineFailed | None:
    """See :meth:`engines.contract.Engine.explain_exit`. None for 0 and where the events have said it already."""
    if code in (0, EXIT_REPORTED):
        return None
    if code == EXIT_LISTENER_GONE:
        return EngineFailed("Blender ended because nobody was listening to it any more", FailureCause.MACHINE)
    name = _signal_name(code)
    if name in _CRASHES:
        said = next((line.strip() for line in reversed(tail) if line.strip()), "")
        last = f"; its last words: {said[:200]}" if said else ""
        return EngineFailed(f"Blender crashed ({name}: {_CRASHES[name]}){last}", FailureCause.CRASH)
    if name == "SIGKILL":
        return EngineFailed(
            "Blender was killed (SIGKILL); if nobody did, this machine ran out of memory", FailureCause.OUT_OF_MEMORY
        )
    if name is not None:
        return EngineFailed(f"Blender was ended by {name}", FailureCause.MACHINE)
    for line in reversed(tail):
        for sign, cause, meaning in _SIGNS:
            if sign in line.lower():
                return EngineFailed(f"{meaning}: {line.strip()[:300]}", cause)
    if code == EXIT_EXCEPTION:
        said = next((line.strip() for line in reversed(tail) if "Error" in line), "a Python script failed")
        return EngineFailed(f"the script inside Blender failed: {said[:300]}", FailureCause.ERROR)
    if code in (126, 127):
        return EngineFailed("Blender could not be started", FailureCause.MACHINE)
    return None


def _signal_name(code: int) -> str | None:
    """The signal that ended the process: a negative code, or 128 and more where a shell stood in between."""
    if code in _WINDOWS_CRASHES:
        return _WINDOWS_CRASHES[code]
    number = -code if code < 0 else code - 128
    if number <= 0:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return None
