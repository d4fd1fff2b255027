"""The lines of Blender releases that are known when this is written. Newer ones are learnt from whoever offers them."""

from __future__ import annotations

from typing import Final

LONG_TERM: Final = ((2, 83), (2, 93), (3, 3), (3, 6), (4, 2), (4, 5), (5, 2))
"""Supported for two years (LTS)."""
NEWEST_KNOWN: Final = (5, 2)
