"""The colours in which a job's pictures are shown, where the engine said others than the plan.

They are kept in the job's folder, because previews are made again long after the engine has ended.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path


def read_colours(path: Path) -> dict[str, str] | None:
    """What was written; None if nothing was, or it cannot be understood: then the plan's hold.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        said = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        return None
    return said


def write_colours(path: Path, colours: Mapping[str, str]) -> None:
    """Write them down for good.

    Raises:
        FileNotFoundError: the folder is gone.
        OSError: it cannot be written.
    """
    temporary = path.with_suffix(".part")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(dict(colours), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
