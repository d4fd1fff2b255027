"""Builds what makes this node one of a farm: in order, to be taken down in reverse with the stack that is given."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from app.content.projects import ProjectTrees
from app.content.store import ContentStore
from app.installs.installs import Installs
from app.installs.offers import Offers
from app.jobs.service import JobService
from app.jobs.store import Store
from app.node.duty import Duty
from app.peers.bringing import Bringing
from app.peers.discovery import Discovery
from app.peers.fetching import Fetching
from app.peers.greeting import Me
from app.peers.joining import Joining
from app.peers.known import KnownNodes
from app.peers.lanes import Lanes
from app.peers.neighbours import Neighbours
from app.peers.own import OwnBrief
from app.peers.pairing import PairingDesk
from app.peers.preparing import Preparing
from app.peers.registry import Peers
from app.peers.reporting import Reporting
from app.peers.secret import FarmSecret
from app.peers.trust import Trust
from app.render.catalog import EngineCatalog
from app.render.supervisor import Supervisor
from app.settings import Settings
from client.addresses import parse_address
from client.models.farm import MAX_TREES


@dataclass(frozen=True, slots=True)
class House:
    """What the rooms below have, as far as the farm needs it. ``port`` is where the service really listens."""

    settings: Settings
    store: Store
    jobs: JobService
    catalog: EngineCatalog
    supervisor: Supervisor
    installs: Installs
    offers: Offers
    content: ContentStore
    trees: ProjectTrees
    duty: Duty
    port: Callable[[], int]


@dataclass(frozen=True, slots=True)
class FarmParts:
    """The parts that are about other nodes."""

    peers: Peers
    lanes: Lanes
    trust: Trust
    discovery: Discovery
    neighbours: Neighbours
    pairing: PairingDesk
    joining: Joining
    fetching: Fetching
    preparing: Preparing


def find_peers(stack: AsyncExitStack, house: House, farm: FarmSecret, me: Me) -> Peers:
    """Who the other nodes are; not started yet."""
    settings, catalog = house.settings, house.catalog

    def slots() -> dict[str, int]:
        return {name: catalog.slots(name) for name in catalog.engines}

    def engine_versions() -> dict[str, list[str]]:
        return {name: [copy.version for copy in catalog.versions(name)] for name in catalog.engines}

    own = OwnBrief(
        me,
        house.duty,
        slots=slots,
        busy=house.supervisor.sessions,
        engines=engine_versions,
        port=house.port,
        public_address=settings.public_address,
    )
    own.trees = lambda: house.content.complete_trees()[:MAX_TREES]
    peers = Peers(
        farm,
        me,
        own,
        KnownNodes(settings.data_dir),
        interval=settings.beat_seconds,
        misses=settings.beat_misses,
        given=[parse_address(one) for one in settings.peers],
    )
    stack.push_async_callback(peers.close)
    peers.on_change(lambda change: house.offers.forget())
    return peers


async def join_farm(stack: AsyncExitStack, house: House, peers: Peers, farm: FarmSecret, me: Me) -> FarmParts:
    """Begin to look for other nodes, to give them work and to take it from them."""
    settings, content, jobs, trees = house.settings, house.content, house.jobs, house.trees
    lanes = Lanes(house.store, house.supervisor, peers)
    stack.push_async_callback(lanes.close)
    reporting = Reporting(house.store, jobs, peers)
    stack.push_async_callback(reporting.close)
    lanes.bring = Bringing(trees, house.catalog, peers)
    await lanes.load()
    lanes.start()
    await reporting.start()
    await peers.start()
    neighbours = Neighbours(peers)
    stack.push_async_callback(neighbours.close)
    discovery = Discovery(settings, me, peers, house.port)
    stack.push_async_callback(discovery.close)
    discovery.start()

    def trees_in_use() -> set[str]:
        own = (trees.known(record.spec) for record in jobs.live_records())
        return jobs.projects_in_use() | {built.tree.id for built in own if built is not None}

    fetching = Fetching(settings, content, trees_in_use)
    stack.push_async_callback(fetching.close)
    preparing = Preparing(settings, content, fetching, peers, house.catalog, house.installs)
    stack.push_async_callback(preparing.close)
    return FarmParts(
        peers=peers,
        lanes=lanes,
        trust=Trust(farm, me),
        discovery=discovery,
        neighbours=neighbours,
        pairing=PairingDesk(farm, me, settings),
        joining=Joining(peers, discovery, me, settings),
        fetching=fetching,
        preparing=preparing,
    )
