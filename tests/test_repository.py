"""What a stranger reads first says the same as the program: commands, links, settings, options."""

from __future__ import annotations

import os
import re
import subprocess
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from app.cli.application import application
from app.settings import Settings
from engines.contract import Engine
from engines.ffmpeg.presets import load_presets

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "client" / "README.md"])
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def read(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def rows(page: str) -> set[str]:
    """The words that begin a row of a table on a page."""
    return set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


def section(page: str, title: str) -> str:
    """A chapter of a page: from its heading to the next of the same rank."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"there is no chapter {title!r}"
    return found[1]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual Markdown viewers make them."""
    texts = HEADING.findall(CODE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}


def engine(name: str) -> type[Engine]:
    [point] = entry_points(group="zordon.engines", name=name)
    found: type[Engine] = point.load()
    return found


@pytest.mark.parametrize("command", ["scripts/demo", "scripts/test"])
def test_the_commands_of_the_readme_can_be_run(command: str) -> None:
    assert re.search(rf"^{command}\b", read("README.md"), re.MULTILINE)
    assert os.access(ROOT / command, os.X_OK)
    checked = subprocess.run(["bash", "-n", ROOT / command], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_readme_leads_to_every_page_of_the_guide() -> None:
    linked = set(LINK.findall(read("README.md")))
    guide = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert len(guide) >= 9
    assert guide - linked == set()


def test_every_setting_is_described() -> None:
    page = read("docs", "settings.md")
    table, _, _ = page.partition("## What is in the data folder")
    assert rows(table) == set(Settings.model_fields)


def test_every_command_is_described() -> None:
    page = read("docs", "cli.md")
    names = [command.name for command in application.registered_commands]
    assert [name for name in names if not re.search(rf"\bzordon {name}\b", page)] == []


@pytest.mark.parametrize(
    ("name", "title"), [("blender", "Blender"), ("ffmpeg", "FFmpeg"), ("testpattern", "Test pattern")]
)
def test_every_option_of_an_engine_is_described(name: str, title: str) -> None:
    chapter, _, _ = section(read("docs", "engines.md"), title).partition("### ")
    assert rows(chapter) == set(engine(name).options_model.model_fields)


def test_every_preset_is_described() -> None:
    _, _, presets = section(read("docs", "engines.md"), "FFmpeg").partition("### Presets")
    assert rows(presets) == set(load_presets())


def test_the_nodes_of_compose_have_data_of_their_own_and_are_closed() -> None:
    services = yaml.safe_load(read("compose.yaml"))["services"]
    nodes = {name: service for name, service in services.items() if name.startswith("node-")}
    assert len(nodes) == 2
    data = {volume for node in nodes.values() for volume in node["volumes"] if volume.endswith(":/data")}
    assert len(data) == 2
    assert all(port.startswith("127.0.0.1:") for node in nodes.values() for port in node["ports"])


def test_the_image_does_not_run_as_root() -> None:
    users = re.findall(r"^USER (\S+)$", read("Dockerfile"), re.MULTILINE)
    assert users
    assert users[-1] not in ("root", "0")
