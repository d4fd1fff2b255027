"""This machine under Windows."""

from __future__ import annotations

import platform
import sys

if sys.platform == "win32":
    import ctypes
    import msvcrt
    import os
    import winreg

    _LOCKED_AT = 1 << 30  # far behind the text in the file: a locked byte cannot be read by others

    def cpu_brand() -> str:
        """See :mod:`app.node.platforms`."""
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:
                return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
        except OSError:
            return platform.processor()

    def gpu_names() -> tuple[str, ...]:
        """See :mod:`app.node.platforms`."""
        names: list[str] = []
        adapters = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"  # the display class
        for number in range(16):
            try:
                with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, f"{adapters}\\{number:04}") as key:
                    names.append(str(winreg.QueryValueEx(key, "DriverDesc")[0]).strip())
            except OSError:
                continue
        return tuple(names)

    def runs_as_root() -> bool:
        """See :mod:`app.node.platforms`."""
        return bool(ctypes.windll.shell32.IsUserAnAdmin())

    def try_lock(descriptor: int) -> bool:
        """See :mod:`app.node.platforms`."""
        os.lseek(descriptor, _LOCKED_AT, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True


def system_version() -> str:
    """See :mod:`app.node.platforms`."""
    return f"Windows {platform.release()} ({platform.version()})"
