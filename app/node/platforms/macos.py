"""This machine under macOS."""

from __future__ import annotations

import ctypes
import ctypes.util
import platform


def cpu_brand() -> str:
    """See :mod:`app.node.platforms`. What ``sysctl -n machdep.cpu.brand_string`` prints, without starting it."""
    library = ctypes.util.find_library("c")
    if library is None:
        return platform.processor()
    libc = ctypes.CDLL(library)
    size = ctypes.c_size_t(256)
    brand = ctypes.create_string_buffer(size.value)
    if libc.sysctlbyname(b"machdep.cpu.brand_string", brand, ctypes.byref(size), None, ctypes.c_size_t(0)) != 0:
        return platform.processor()
    return brand.value.decode("utf-8", "replace")


def gpu_names() -> tuple[str, ...]:
    """See :mod:`app.node.platforms`. On Apple's own processors the graphics are a part of them."""
    brand = cpu_brand()
    return (brand,) if brand.startswith("Apple") else ()


def system_version() -> str:
    """See :mod:`app.node.platforms`."""
    return f"macOS {platform.mac_ver()[0]}"
