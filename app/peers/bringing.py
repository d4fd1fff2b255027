"""Brings what a job needs to another node before its share is given there: the tree of its project is made, and the
other node is asked to fetch it until it has it."""

from __future__ import annotations

import asyncio
from typing import Final

from pydantic import TypeAdapter

from app.content.projects import NotPacked, ProjectTrees
from app.jobs.record import JobRecord
from app.peers.peer import Peer
from app.peers.registry import Peers
from app.render.catalog import EngineCatalog
from client.connection import read, worth_repeating
from client.errors import TransferFailed, ZordonError
from client.models import Preparation, Prepare

PREPARE_PATH: Final = "/api/peers/prepare"
ASK_SECONDS: Final = 0.1
"""So long after the first time a node is asked again how far it is; then half as long again each time."""
TROUBLE_SECONDS: Final = 0.5
"""The time between two times if it does not answer."""
LONGEST_SECONDS: Final = 5.0
"""The longest between two times."""
_PREPARATION: Final = TypeAdapter(Preparation)


class Bringing:
    """See the module. One for the whole service; for the event loop."""

    def __init__(self, trees: ProjectTrees, catalog: EngineCatalog, peers: Peers) -> None:
        self._trees = trees
        self._catalog = catalog
        self._peers = peers

    async def __call__(self, record: JobRecord, peer: Peer) -> str | None:
        """Bring the project of a job and its engine version to a node; returns when both are there.

        Returns:
            The id of the project's tree; None if the job has no project.

        Raises:
            ZordonError: the node does not answer, or what it needs did not come; the message says why.
            LookupError: the engine is not known here.
        """
        spec = record.spec
        try:
            built = await self._trees.of(self._catalog.engine(spec.engine), spec)
        except NotPacked as error:
            raise TransferFailed(str(error)) from error
        tree = None if built is None else built.tree.id
        asked = Prepare(
            tree=tree,
            sources=[self._peers.me.id] if tree is None else self._who_has(tree, peer),
            engine=spec.engine,
            version=spec.engine_version,
        )
        body = asked.model_dump(mode="json", exclude_none=True)
        pause, failures = ASK_SECONDS, 0
        while True:
            try:
                told = read(_PREPARATION, await peer.client.post(PREPARE_PATH, body))
            except ZordonError as error:
                failures += 1
                if failures >= 3 or not worth_repeating(error) or not peer.usable:
                    raise
                await asyncio.sleep(TROUBLE_SECONDS)
                continue
            if told.ready:
                return tree
            if told.failed:
                raise TransferFailed(f"{peer.name}: {'; '.join(told.sentences)}")
            await asyncio.sleep(min(pause, max(0.05, told.eta_seconds or pause)))
            pause = min(LONGEST_SECONDS, pause * 1.5)

    def _who_has(self, tree_id: str, receiver: Peer) -> list[str]:
        """This node first, then the others that have it all."""
        others = [peer.id for peer in self._peers.usable() if tree_id in peer.brief.trees and peer is not receiver]
        return [self._peers.me.id, *others][:256]
