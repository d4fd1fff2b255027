"""What differs between operating systems about this machine: each system in its own file, behind the same names.

Every one of them has:

- ``cpu_brand() -> str``: the processor as its maker calls it, or ``""``; quick, starts no process.
- ``gpu_names() -> tuple[str, ...]``: graphics processors as their makers call them, as far as the system
  says it without starting anything; empty: nothing is known.
- ``system_version() -> str``: the operating system and its version, for people.
- ``try_lock(descriptor) -> bool``: lock an open file for this process alone; False if another one has it. The system
  lets go of the lock when the process ends, however it ends.
- ``runs_as_root() -> bool``: whether this process may do anything on this machine (root; an elevated administrator).
"""

import platform
import sys

if sys.platform == "win32":
    from app.node.platforms.windows import cpu_brand, gpu_names, runs_as_root, system_version, try_lock
elif sys.platform == "darwin":
    from app.node.platforms.macos import cpu_brand, gpu_names, system_version
    from app.node.platforms.posix import runs_as_root, try_lock
else:
    from app.node.platforms.linux import cpu_brand, gpu_names, system_version
    from app.node.platforms.posix import runs_as_root, try_lock

__all__ = ["cpu_brand", "cpu_name", "gpu_names", "runs_as_root", "system_os", "system_version", "try_lock"]


def system_os() -> str:
    """``linux``, ``macos`` or ``windows``."""
    return {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")


def cpu_name() -> str:
    """``x64`` or ``arm64``; any other architecture under its own name."""
    machine = platform.machine().lower()
    return {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(machine, machine)
