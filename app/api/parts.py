"""What the routes work with: the parts of the service that ``app.main`` builds, in one typed place.

``app.main`` sets ``app.state.parts`` before the first request; a route asks for them as ``parts: PartsOf``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, FastAPI, Request

from app.access.access import Access
from app.content.projects import ProjectTrees
from app.content.store import ContentStore
from app.installs.copies import ManagedCopies
from app.installs.demand import Demand
from app.installs.giving import CopyArchives
from app.installs.installs import Installs
from app.jobs.arriving import Arriving
from app.jobs.feed import Feed
from app.jobs.folders import DataFolder
from app.jobs.inspecting import Inspecting
from app.jobs.intake import Intake
from app.jobs.service import JobService
from app.jobs.store import Store
from app.node.node import Node
from app.outputs.manifest import Manifests
from app.peers.discovery import Discovery
from app.peers.fetching import Fetching
from app.peers.joining import Joining
from app.peers.lanes import Lanes
from app.peers.neighbours import Neighbours
from app.peers.pairing import PairingDesk
from app.peers.preparing import Preparing
from app.peers.registry import Peers
from app.peers.trust import Trust
from app.render.catalog import EngineCatalog
from app.render.explaining import Explaining
from app.render.frame_reading import FrameReader
from app.render.previewing import JobPreviews
from app.render.supervisor import Supervisor
from app.settings import Settings

if TYPE_CHECKING:
    from app.api.hot import HotPaths


@dataclass
class Parts:
    """The parts of one node."""

    settings: Settings
    folders: DataFolder
    access: Access
    store: Store
    feed: Feed
    jobs: JobService
    catalog: EngineCatalog
    intake: Intake
    arriving: Arriving
    inspecting: Inspecting
    manifests: Manifests
    previews: JobPreviews
    node: Node
    installs: Installs
    demand: Demand
    copies: ManagedCopies
    supervisor: Supervisor
    explaining: Explaining
    frames: FrameReader
    peers: Peers
    lanes: Lanes
    content: ContentStore
    trees: ProjectTrees
    preparing: Preparing
    fetching: Fetching
    giving: CopyArchives
    trust: Trust
    discovery: Discovery
    neighbours: Neighbours
    pairing: PairingDesk
    joining: Joining

    @cached_property
    def hot(self) -> HotPaths:
        """The fast paths over these parts."""
        from app.api.hot import HotPaths

        return HotPaths(self)


def parts_of(app: FastAPI) -> Parts:
    """The parts that the lifespan has built."""
    return cast(Parts, app.state.parts)


def _parts(request: Request) -> Parts:
    return parts_of(cast(FastAPI, request.app))


PartsOf = Annotated[Parts, Depends(_parts)]
"""A route's parameter that is given the parts."""
