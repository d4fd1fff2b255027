"""Versions of an engine are fetched, stopped and removed by clicks, from a release folder of this machine."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from app.cli.own_service import own_service
from client.models import InstallState
from tests.support.release_server import ReleaseFolder, serving
from tests.support.running_service import Service
from tests.web.conftest import exactly, go, visitor

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_a_version_is_fetched_with_a_bar_stopped_fetched_again_and_removed(
    browser: Browser, built_page: None, tmp_path: Path
) -> None:
    folder = ReleaseFolder("4.5.2", "4.5.3", renders=True)
    archive = folder.path("4.5.3", "blender-4.5.3-linux-x64.tar.xz")
    whole = folder.files[archive]
    # Half of it comes bit by bit, and then nothing until whoever asked has gone.
    folder.files[archive] = replace(whole, cut=len(whole.body) // 2, hold=True, pace=0.3)
    data = tmp_path / "data"
    async with serving(folder) as (_, mirror):
        settings = {
            "ZORDON_ENGINE_MIRRORS": json.dumps({"studio": mirror}),
            "ZORDON_ENGINE_SOURCES": '["studio"]',
            "ZORDON_MIN_FREE_BYTES": "0",
        }
        async with own_service(data, settings) as node:
            own = Service(node.connection.port, (data / "token").read_text().strip(), data)
            async with visitor(browser, own) as page:
                await go(page, "/engines")
                card = page.get_by_role("article", name="Blender")
                copies = card.get_by_role("listitem").filter(has=page.get_by_role("button", name="Remove"))
                await expect(copies).to_have_count(0)
                fetch = card.get_by_role("button", name="Install Blender 4.5.3")
                await fetch.click()
                bar = card.get_by_role("progressbar", name="blender 4.5.3")
                await expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[1-9][0-9]?$"))
                await expect(card.get_by_text("Downloading")).to_be_visible()
                await expect(fetch).to_be_disabled()

                await card.get_by_role("button", name="Stop").click()
                await expect(bar).to_have_count(0)
                [stopped] = await node.get_installs()
                assert stopped.state is InstallState.CANCELLED

                folder.files[archive] = whole
                await fetch.click()
                # What is there already is offered no more.
                await expect(fetch).to_have_count(0)
                await expect(card.get_by_role("button", name="Install Blender 4.5.2")).to_be_visible()
                await expect(copies).to_have_count(1)
                await expect(copies).to_contain_text("4.5.3")
                await expect(copies).to_contain_text("managed")
                program = data / "engines" / "blender" / "4.5.3" / "blender"
                assert await asyncio.to_thread(program.is_file)

                await copies.get_by_role("button", name="Remove").click()
                question = page.get_by_role("alertdialog")
                await expect(question).to_contain_text("Remove Blender 4.5.3?")
                await question.get_by_role("button", name=exactly("Keep")).click()
                await expect(copies).to_have_count(1)
                await copies.get_by_role("button", name="Remove").click()
                await question.get_by_role("button", name=exactly("Remove")).click()
                await expect(copies).to_have_count(0)
                await expect(fetch).to_be_visible()
                assert not await asyncio.to_thread(program.exists)
