"""Hatch's hook: the wheel carries the built page (``client/web/build.py``).

A machine without Node gets one from PyPI for the time of the build. Without npm's registry the build goes on without
the page: the service starts all the same, and ``/`` says how to build it.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path
from types import ModuleType

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_HAVE_NODE = {"x86_64", "amd64", "aarch64", "arm64"}
"""Processors that PyPI has a Node for."""


class PageHook(BuildHookInterface):  # type: ignore[type-arg]
    """Builds the page before the files are collected."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node, where the page is to be built and the machine has none."""
        page = _page(Path(self.root))
        if page.is_current() or page.find_node() is not None or platform.machine().lower() not in _HAVE_NODE:
            return []
        return [page.NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, object]) -> None:
        """Build it if it is not current."""
        page = _page(Path(self.root))
        try:
            page.build()
        except page.BuildError as error:
            self.app.display_warning(f"Zordon is built without its page: {error}")


def _page(root: Path) -> ModuleType:
    path = root / "client" / "web" / "build.py"
    spec = importlib.util.spec_from_file_location("zordon_page_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
