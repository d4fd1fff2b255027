"""The add-on finds the service as the command line does: the same rule, held against the other implementation."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.blender.zordon import discovery
from client.blender.zordon.errors import AddonError
from client.discovery import default_data_dir, find_target

ENVIRONMENTS = [
    {},
    {"ZORDON_HOST": "render-3", "ZORDON_TOKEN": "t"},
    {"ZORDON_HOST": "https://render-3/", "ZORDON_PORT": "9000"},
    {"ZORDON_HOST": "https://render-3", "ZORDON_CA": "/studio.pem"},
    {"ZORDON_HOST": "0.0.0.0"},
    {"ZORDON_HOST": "localhost"},
    {"ZORDON_PORT": "8123"},
    {"ZORDON_PORT": "0"},
    {"ZORDON_HOST": "::1"},
    {"ZORDON_TOKEN": "mine"},
]
LEFT = [None, "127.0.0.1:8123", "https://127.0.0.1:8123", "[::1]:8123", "https://192.0.2.7:8123"]


@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=str)
def test_both_find_the_same_service(tmp_path: Path, environment: dict[str, str], left: str | None) -> None:
    (tmp_path / "token").write_text("own-token\n")
    if left is not None:
        (tmp_path / "address").write_text(f"{left}\n")
    told = {**environment, "ZORDON_DATA_DIR": str(tmp_path)}
    theirs, ours = find_target(environment=told), discovery.find_target(environment=told)
    for name in ("host", "port", "token", "scheme", "ca", "pin"):
        assert getattr(ours, name) == getattr(theirs, name), name


def test_the_data_folder_is_where_the_service_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ZORDON_DATA_DIR", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert discovery.default_data_dir() == default_data_dir()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert discovery.default_data_dir() == default_data_dir()


def test_the_preferences_come_first_and_our_token_stays_here(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("own-token")
    (tmp_path / "address").write_text("127.0.0.1:8123")
    told = {"ZORDON_DATA_DIR": str(tmp_path), "ZORDON_HOST": "elsewhere", "ZORDON_PORT": "1"}
    found = discovery.find_target("render-3:9000", "theirs", environment=told)
    assert (found.url, found.token, found.is_this_machine) == ("http://render-3:9000", "theirs", False)
    assert discovery.find_target("render-3", environment=told).token is None
    assert discovery.find_target("render-3", environment=told).port == 8080
    own = discovery.find_target("localhost", environment=told)
    assert (own.url, own.token, own.is_this_machine) == ("http://localhost:8123", "own-token", True)
    assert discovery.find_target("[::1]:8123", environment=told).url == "http://[::1]:8123"
    assert discovery.find_target("2001:db8::7", environment=told).url == "http://[2001:db8::7]:8080"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("ftp://render-3", "is no address"),
        ("https://", "is no address"),
        ("http://render-3/jobs", "only a name and a port"),
        ("me@render-3", "only a name and a port"),
        ("render-3:http", "a port is a number"),
        ("render-3:70000", "a port is a number"),
    ],
)
def test_what_is_no_address_is_said(tmp_path: Path, address: str, says: str) -> None:
    with pytest.raises(AddonError, match=says):
        discovery.find_target(address, environment={"ZORDON_DATA_DIR": str(tmp_path)})


def test_a_damaged_address_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("nonsense")
    with pytest.raises(AddonError, match="restart the service"):
        discovery.find_target(environment={"ZORDON_DATA_DIR": str(tmp_path)})
