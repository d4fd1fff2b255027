"""Before the store is opened: is it the one that belongs to this data folder?

A missing or empty file would be taken for that of a new data folder. Then no job would be known, and everything that
was rendered would be swept away as a leftover. So that is refused while there is anything to lose.
"""

from __future__ import annotations

from pathlib import Path

from app.jobs.folders import DataFolder
from app.jobs.store import StoreError


def check_store(folders: DataFolder) -> None:
    """See the module. For a thread.

    Raises:
        StoreError: the store is gone, and there are jobs in the data folder.
    """
    if _is_there(folders.database):
        return
    jobs = sum(1 for _ in folders.jobs.iterdir())
    if jobs:
        raise StoreError(
            f"the store {folders.database} is missing or empty, but {folders.jobs} has the outputs of {jobs} jobs. "
            "Nothing was changed. Put the file back from a backup; or, to begin anew, move the folders jobs and "
            "projects to another place first"
        )


def _is_there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0
