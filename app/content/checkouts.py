"""Projects of the content store as jobs use them: one folder a tree, made when it is first asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.content.checkout import checkout
from app.content.store import ContentGone, ContentStore
from app.jobs.folders import DataFolder


class Checkouts:
    """See the module. One for the whole service; for the event loop."""

    def __init__(self, folders: DataFolder, store: ContentStore) -> None:
        self._folders = folders
        self._store = store
        self._making: dict[str, asyncio.Lock] = {}

    async def of(self, tree_id: str) -> Path | None:
        """What the engine opens of a tree, in its folder below ``projects/``; None if it is not complete here.

        Raises:
            OSError: the folder cannot be written.
        """
        async with self._making.setdefault(tree_id, asyncio.Lock()):
            return await asyncio.to_thread(self._of, tree_id)

    def _of(self, tree_id: str) -> Path | None:
        with self._store.hold(tree_id):
            tree = self._store.tree(tree_id)
            if tree is None:
                return None
            try:
                return checkout(tree, self._store, self._folders).joinpath(*tree.main.split("/"))
            except ContentGone:
                self._store.forget(tree_id)
                return None
