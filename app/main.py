"""Builds the service: every part in order, taken down in reverse.

``create_app(settings)`` gives the ASGI application, ``serve(settings)`` runs it under uvicorn until it is told to
stop. Nothing is opened before the application's lifespan begins, and everything is closed when it has ended.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import psutil
import structlog
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from app.access.access import Access
from app.access.audit import Audit
from app.access.certificate import fingerprint_of
from app.access.codes import LoginCodes
from app.access.tokens import Tokens
from app.access.tries import FailedTries
from app.api import build_api
from app.api.front import Front
from app.api.parts import Parts
from app.api.request_log import RequestLog
from app.content.checkouts import Checkouts
from app.content.projects import ProjectTrees
from app.content.store import ContentStore
from app.installs.copies import ManagedCopies
from app.installs.demand import Demand
from app.installs.giving import CopyArchives
from app.installs.installs import Installs
from app.installs.offers import Offers
from app.installs.proof import Prover
from app.installs.sources.configured import configured_sources
from app.jobs import queries
from app.jobs.arriving import Arriving
from app.jobs.feed import Feed
from app.jobs.folders import DataFolder
from app.jobs.inspecting import Inspecting
from app.jobs.intake import Intake
from app.jobs.service import JobService
from app.jobs.store import Store, StoreError
from app.jobs.store_check import check_store
from app.node.benchmarks import Benchmarks
from app.node.duty import Duty
from app.node.instance import InstanceError, InstanceLock, load_node_id, load_token
from app.node.load import LoadRing
from app.node.metrics import NodeMetrics
from app.node.node import Node
from app.node.open_files import OpenFiles
from app.node.pulse import Pulse
from app.node.readiness import Readiness
from app.node.status import NodeStatusReader
from app.outputs.frame_previews import FramePreviews
from app.outputs.manifest import Manifests
from app.outputs.previews import Previews
from app.outputs.worker import WorkerUser
from app.outputs.workers import Workers
from app.peers.building import House, find_peers, join_farm
from app.peers.greeting import Me
from app.peers.registry import Peers
from app.peers.secret import FarmSecret
from app.render.awaiting import check_engines
from app.render.catalog import EngineCatalog
from app.render.confinement import Confinement
from app.render.delivery import Delivery
from app.render.explaining import Explaining
from app.render.frame_reading import FrameReader
from app.render.previewing import JobPreviews
from app.render.processes import adopt_orphans
from app.render.recovery import end_survivors, reconcile
from app.render.supervisor import Supervisor
from app.settings import Settings, SettingsError
from app.version import APP_VERSION
from engines.contract import Engine, EngineVersion, Packing, ProjectInfo

log = structlog.get_logger(__name__)


class Application:
    """ASGI: the lifespan builds the parts, every request goes to the front.

    ``token`` is what requests must carry, ``port`` where the service listens; both are known once it runs.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.token = ""
        self.port = settings.port
        self.api = build_api(settings, self._lifespan)
        self._front: Front | RequestLog | None = None
        self._feed: Feed | None = None
        self._peers: Peers | None = None
        self._trouble = ""  # why it did not start, where a person can mend it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan."""
        if scope["type"] != "lifespan":
            starting = PlainTextResponse("the service is starting or stopping; ask again soon", 503)
            await (self._front or starting)(scope, receive, send)
            return

        async def in_a_sentence(message: Message) -> None:
            # Starlette would have the server print its traceback.
            if message["type"] == "lifespan.startup.failed" and self._trouble:
                message = {**message, "message": self._trouble}
            await send(message)

        await self.api(scope, receive, in_a_sentence)

    def release(self) -> None:
        """The service stops soon: let go of everyone who waits."""
        if self._feed is not None:
            self._feed.close()
        if self._peers is not None:
            self._peers.leave_soon()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Parts]:
        """The service with all its parts, without a server in front of it (tests talk to it through ASGI).

        Raises:
            InstanceError: the data folder cannot be used, or another service has it.
            SettingsError: a setting names an engine that there is not, or asks it for what it cannot do.
            StoreError: the store cannot be opened.
        """
        settings, folders = self.settings, DataFolder(self.settings.data_dir, self.settings.set_aside_days)
        async with AsyncExitStack() as stack:
            lock = InstanceLock(settings.data_dir)
            await asyncio.to_thread(lock.acquire)
            stack.callback(lock.release)
            await asyncio.to_thread(folders.prepare)
            confinement = await asyncio.to_thread(Confinement, settings, folders)
            self.token = await asyncio.to_thread(load_token, settings, folders)
            node_id = await asyncio.to_thread(load_node_id, folders)
            duty = Duty(settings.data_dir, psutil.virtual_memory().total)
            await duty.load()
            farm = FarmSecret(settings.data_dir, settings.farm_secret)
            await asyncio.to_thread(farm.load)
            fingerprint = await asyncio.to_thread(fingerprint_of, settings.tls_cert) if settings.tls_cert else ""
            me = Me(node_id, settings.name, secrets.token_hex(8), fingerprint)
            adopt_orphans()
            await asyncio.to_thread(check_store, folders)
            content = ContentStore(
                folders.content,
                settings.content_budget_bytes,
                forgotten=lambda tree: folders.throw_away(folders.projects / tree),
            )
            await asyncio.to_thread(content.open)
            store = Store(folders.database)
            await store.open()
            stack.push_async_callback(store.close)
            feed = self._feed = Feed(store.store_id, store.epoch)
            stack.callback(feed.close)
            workers = Workers(video_threads=settings.engine_threads)
            stack.push_async_callback(workers.close)
            readers, lend = workers, None
            if (user := confinement.run_as) is not None:
                whom = WorkerUser(user.uid, user.gid, user.groups)
                readers = Workers(user=whom, video_threads=settings.engine_threads)
                lend = confinement.lend_attempt
                stack.push_async_callback(readers.close)
            previews, frame_previews = Previews(workers), FramePreviews(workers)
            stack.push_async_callback(previews.close)
            stack.push_async_callback(frame_previews.close)
            tokens = Tokens(store, self.token)
            await tokens.load()
            audit = Audit(folders.root, settings.max_audit_bytes)
            audit.open()
            stack.push_async_callback(audit.close)
            cookie = f"zordon_{node_id[:8]}"
            access = Access(tokens, LoginCodes(), FailedTries(settings.max_failed_tries), audit, cookie)
            jobs = JobService(
                store,
                feed,
                folders,
                progress_interval=settings.progress_interval,
                max_live_per_token=settings.max_live_jobs_per_token,
                max_jobs=settings.max_jobs,
            )
            stack.push_async_callback(jobs.close)
            jobs.hold_back_with(duty.held_back)
            catalog = EngineCatalog(settings, folders.engines, confinement.run_as)
            catalog.remember_uses(await store.read(queries.load_installs))

            def used(copy: EngineVersion, at: float) -> None:
                jobs.note(queries.use_install(copy.engine, copy.version, str(copy.path), at))

            catalog.on_used(used)
            _, unfinished = await asyncio.gather(catalog.refresh(), jobs.load())
            manifests = Manifests()
            delivery = Delivery(folders, readers, manifests, settings.name, lend)
            await end_survivors(store, jobs)
            kept = [row.attempt for row in await store.read(queries.load_subjobs) if not row.loose]
            await reconcile(unfinished, jobs, delivery, folders, kept)
            job_previews = JobPreviews(previews, jobs, catalog, folders, manifests, frame_previews)
            stack.push_async_callback(job_previews.close)
            supervisor = Supervisor(settings, jobs, catalog, folders, delivery, confinement, store.store_id)
            stack.push_async_callback(supervisor.close)
            supervisor.on_frames = job_previews.on_frames
            jobs.on_effect(job_previews.on_effect)
            jobs.forget_with(job_previews.forget)
            supervisor.queue.hold_back_with(duty.resting, duty.held_back)
            duty.on_change(supervisor.queue.look_again)
            duty.on_change(jobs.show_again)
            stack.callback(duty.close)
            asking = await stack.enter_async_context(httpx.AsyncClient(headers={"User-Agent": f"Zordon/{APP_VERSION}"}))
            offers = Offers(configured_sources(settings, asking, lambda: self._peers.usable() if self._peers else ()))
            installs = Installs(folders, store, catalog, offers, Prover(readers, confinement).prove)
            stack.push_async_callback(installs.close)
            demand = Demand(settings, jobs, catalog, installs, feed)
            stack.push_async_callback(demand.close)
            copies = ManagedCopies(settings, folders, store, jobs, catalog, installs)
            stack.push_async_callback(copies.close)

            def coming() -> dict[str, int]:
                return Counter(one.state.value for one in installs.all())

            def engines_here() -> dict[str, bool]:
                return {
                    engine.title: bool(catalog.versions(name))
                    for name, engine in catalog.engines.items()
                    if engine.extensions
                }

            pulse = Pulse()
            stack.callback(pulse.close)
            metrics = NodeMetrics(jobs, folders, pulse, sessions=supervisor.sessions, installs=coming)
            readiness = Readiness(
                settings, store, feed, folders, pulse, engines=engines_here, dead_slots=supervisor.dead_slots
            )
            stack.push_async_callback(readiness.close)
            pulse.start()
            load = LoadRing()
            stack.callback(load.close)
            load.start()
            duty.start()
            open_files = OpenFiles()
            stack.callback(open_files.close)
            open_files.start()
            check_engines(jobs, catalog)
            jobs.resume()
            supervisor.start()
            await installs.start()
            demand.start()
            copies.start()

            async def inspect(engine: Engine, project: Path) -> ProjectInfo:
                await asyncio.to_thread(confinement.make, (), project)
                return await readers.run_within(settings.inspect_seconds, engine.inspect, project)

            async def pack(
                engine: Engine, project: Path, root: Path | None, work: Path, around: Path | None
            ) -> Packing:
                await asyncio.to_thread(confinement.make, (), project)
                await asyncio.to_thread(confinement.lend_work, work)
                return await readers.run(engine.pack, project, root, work, around)

            trees = ProjectTrees(folders, content, pack, settings.local_roots)
            stack.push_async_callback(trees.close)

            checkouts = Checkouts(folders, content)
            arriving = Arriving(settings, folders)
            await arriving.load()
            stack.push_async_callback(arriving.close)
            arriving.start()
            intake = Intake(
                settings,
                folders,
                jobs,
                catalog,
                inspect,
                demand.offered,
                helpers=lambda engine: self._peers.helpers(engine) if self._peers else 0,
                arriving=arriving,
                check_out=checkouts.of,
            )
            stack.push_async_callback(intake.close)

            house = House(
                settings=settings,
                store=store,
                jobs=jobs,
                catalog=catalog,
                supervisor=supervisor,
                installs=installs,
                offers=offers,
                content=content,
                trees=trees,
                duty=duty,
                port=lambda: self.port,
            )
            peers = self._peers = find_peers(stack, house, farm, me)

            def slots() -> dict[str, int]:
                return {name: catalog.slots(name) for name in catalog.engines}

            reader = NodeStatusReader(
                settings, folders, jobs.counts, slots, duty, node_id=node_id, port=lambda: self.port
            )

            others = await join_farm(stack, house, peers, farm, me)
            yield Parts(
                settings=settings,
                folders=folders,
                access=access,
                store=store,
                feed=feed,
                jobs=jobs,
                catalog=catalog,
                intake=intake,
                arriving=arriving,
                inspecting=Inspecting(arriving, intake.finder, catalog),
                manifests=manifests,
                previews=job_previews,
                node=Node(reader, Benchmarks(settings, folders), readiness, metrics, duty, load),
                installs=installs,
                demand=demand,
                copies=copies,
                supervisor=supervisor,
                frames=FrameReader(jobs, feed, folders, manifests, supervisor.of_attempt),
                explaining=Explaining(
                    jobs, feed, store, catalog, folders, supervisor.space, duty.held_back, others.lanes.told
                ),
                peers=peers,
                lanes=others.lanes,
                content=content,
                trees=trees,
                fetching=others.fetching,
                preparing=others.preparing,
                giving=CopyArchives(),
                trust=others.trust,
                discovery=others.discovery,
                neighbours=others.neighbours,
                pairing=others.pairing,
                joining=others.joining,
            )

    @asynccontextmanager
    async def _lifespan(self, api: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                parts = await stack.enter_async_context(self.running())
            except (InstanceError, SettingsError, StoreError) as error:
                self._trouble = str(error)
                raise
            api.state.parts = parts
            front = Front(api, self.settings, parts.access, parts.trust)
            self._front = RequestLog(front) if self.settings.request_log else front
            try:
                yield
            finally:
                self._front = None


def create_app(settings: Settings) -> Application:
    """The ASGI application of one node."""
    return Application(settings)


def serve(settings: Settings) -> None:
    """Run the service until SIGINT or SIGTERM; see :mod:`app.server`."""
    from app.server import run

    run(create_app(settings))
