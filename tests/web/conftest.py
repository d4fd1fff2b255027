"""A real service with the built page, and a real Chromium that looks at it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    async_playwright,
    expect,
)

from client import RenderServerProxy
from client.models import AddJob, Job
from tests.support.running_service import Service, running_service

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "client" / "web"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000
"""Milliseconds that a busy machine may take for what is waited for."""
WIDE = (1440, 900)
PHONE = (390, 844)

expect.set_options(timeout=PATIENCE)


def _build_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("zordon_page_build", WEB / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = _build_module()


@pytest.fixture(scope="session")
def built_page() -> None:
    """The page as the sources are now."""
    try:
        build.build()
    except build.BuildError as error:
        pytest.skip(f"the page cannot be built here: {error}")


@pytest.fixture(scope="session")
def node_for_tests() -> Path:
    """Node, with everything in ``node_modules`` that the tests of the page need."""
    node: Path | None = build.find_node()
    if node is None:
        pytest.skip("there is no Node here, and PyPI's is not installed either")
    try:
        build.install_packages(node, for_tests=True)
    except build.BuildError as error:
        pytest.skip(f"npm's packages cannot be had here: {error}")
    return node


@pytest.fixture(scope="module")
def service(built_page: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has done nothing yet, for the tests of a module."""
    with running_service(tmp_path_factory.mktemp("service") / "data") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    found = os.environ.get("ZORDON_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("there is no Chromium here (Debian, Ubuntu: apt-get install chromium)")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=found, args=FLAGS)
        try:
            yield launched
        finally:
            await launched.close()


@pytest_asyncio.fixture(loop_scope="module")
async def node(service: Service) -> AsyncIterator[RenderServerProxy]:
    """A client of the service, beside the page."""
    async with service.proxy() as proxy:
        yield proxy


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, service: Service) -> AsyncIterator[Page]:
    """A page that is let in, on a wide screen, in the dark."""
    async with visitor(browser, service) as let_in:
        yield let_in


@asynccontextmanager
async def visitor(
    browser: Browser, service: Service, size: tuple[int, int] = WIDE, scheme: str = "dark", *, let_in: bool = True
) -> AsyncIterator[Page]:
    """A browser of one's own; afterwards nothing may have gone wrong in it, and nobody else was asked for anything."""
    context: BrowserContext = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="light" if scheme == "light" else "dark",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    troubles: list[str] = []
    here = f"http://127.0.0.1:{service.port}"

    def on_console(message: ConsoleMessage) -> None:
        # What the service refuses is told by the page itself; the browser notes it as well.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            troubles.append(message.text)

    def on_request(request: Request) -> None:
        if not request.url.startswith((f"{here}/", f"blob:{here}/")):
            troubles.append(f"asked {request.url}")

    try:
        page = await context.new_page()
        page.on("console", on_console)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", on_request)
        if let_in:
            async with service.proxy() as node:
                nothing_yet = not sum((await node.get_status()).job_counts.values())
            await page.goto(f"{here}/#code={await login_code(service)}")
            await page.get_by_role("navigation", name="Main").wait_for()
            if nothing_yet:  # where the page goes by itself, as soon as it knows: not after it was sent elsewhere
                await page.wait_for_url("**/#/start")
        yield page
    finally:
        await context.close()
    assert troubles == []


async def login_code(service: Service) -> str:
    """What ``zordon login`` makes."""
    headers = {"Authorization": f"Bearer {service.token}"}
    async with httpx.AsyncClient(headers=headers, timeout=PATIENCE / 1000) as client:
        made = await client.post(f"http://127.0.0.1:{service.port}/api/login_code")
    code: str = made.json()["code"]
    return code


async def go(page: Page, place: str) -> None:
    """Go to another screen, as a link does."""
    await page.evaluate("place => { location.hash = '#' + place }", place)


@asynccontextmanager
async def held(node: RenderServerProxy) -> AsyncIterator[None]:
    """The node begins nothing while the context lasts: what comes before can be looked at for as long as it takes."""
    await node.pause_node("until the page is there")
    try:
        yield
    finally:
        await node.resume_node()


async def submit(node: RenderServerProxy, name: str, frames: str = "1-4", **args: float | str) -> Job:
    """A job of the test pattern."""
    [job] = await node.create_job(
        AddJob(renderer="testpattern", name=name, frames=frames, args={"width": 64, "height": 36, **args})
    )
    return job


async def ended(node: RenderServerProxy, job_id: str) -> Job:
    """Wait until a job has ended."""
    token = None
    while True:
        job = await node.get_job(job_id)
        if job.status.ended:
            return job
        listed = await node.get_jobs() if token is None else await node.long_poll(token)
        token = listed.token if listed is not None else token


def told(page: Page, text: str) -> Locator:
    """A message at the edge of the page; screen readers are told it in a place of their own."""
    return page.locator(".toast").get_by_text(text)


def exactly(text: str) -> re.Pattern[str]:
    """A text and nothing around it."""
    return re.compile(f"^{re.escape(text)}$")
