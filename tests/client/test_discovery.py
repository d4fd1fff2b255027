"""Where a client on the same machine finds the node and its token, and where the token must not go."""

from __future__ import annotations

from pathlib import Path

import pytest

from client import Target, ZordonError, find_target


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data folder as a service leaves it."""
    (tmp_path / "token").write_text("token-of-this-machine\n")
    return tmp_path


def test_on_this_machine_the_token_is_read(data_dir: Path) -> None:
    found = find_target(environment={"ZORDON_DATA_DIR": str(data_dir)})
    assert found == Target("127.0.0.1", 8080, "token-of-this-machine", data_dir / "token")


@pytest.mark.parametrize("host", ["192.0.2.7", "render-3", "2001:db8::1"])
def test_another_machine_is_never_told_the_token_of_this_one(data_dir: Path, host: str) -> None:
    assert find_target(host, data_dir=data_dir, environment={}).token is None
    assert find_target(environment={"ZORDON_HOST": host, "ZORDON_DATA_DIR": str(data_dir)}).token is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.1.2.3"])
def test_loopback_has_many_names(data_dir: Path, host: str) -> None:
    assert find_target(host, data_dir=data_dir, environment={}).token == "token-of-this-machine"


def test_a_service_on_every_address_is_reached_on_this_one(data_dir: Path) -> None:
    assert find_target(environment={"ZORDON_HOST": "0.0.0.0"}, data_dir=data_dir).host == "127.0.0.1"


def test_arguments_go_before_the_environment(data_dir: Path) -> None:
    environment = {"ZORDON_HOST": "a", "ZORDON_PORT": "1", "ZORDON_TOKEN": "t", "ZORDON_DATA_DIR": str(data_dir)}
    assert find_target(environment=environment) == Target("a", 1, "t")
    assert find_target("b", 2, "u", environment=environment) == Target("b", 2, "u")


def test_without_a_service_there_is_no_token(tmp_path: Path) -> None:
    assert find_target(data_dir=tmp_path, environment={}).token is None


@pytest.mark.parametrize("port", ["eighty", "-1", "70000"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(ZordonError, match="ZORDON_PORT"):
        find_target(environment={"ZORDON_PORT": port})


def test_a_token_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()
    with pytest.raises(ZordonError, match="token"):
        find_target(data_dir=tmp_path, environment={})


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:8123", "127.0.0.1", 8123), ("[::1]:9000", "::1", 9000), ("192.0.2.7:80", "192.0.2.7", 80)],
)
def test_the_address_that_the_service_left_is_used(data_dir: Path, text: str, host: str, port: int) -> None:
    (data_dir / "address").write_text(f"{text}\n")
    found = find_target(data_dir=data_dir, environment={})
    assert found == Target(host, port, "token-of-this-machine", data_dir / "token")


def test_what_is_named_goes_before_the_address_that_was_left(data_dir: Path) -> None:
    (data_dir / "address").write_text("[::1]:8123\n")
    assert find_target(port=1, data_dir=data_dir, environment={}).port == 1
    assert find_target(data_dir=data_dir, environment={"ZORDON_PORT": "2"}).port == 2
    assert find_target("localhost", data_dir=data_dir, environment={}).host == "localhost"
    assert find_target("192.0.2.7", data_dir=data_dir, environment={}) == Target("192.0.2.7", 8080, None)


@pytest.mark.parametrize("text", ["8080", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:0", ":80"])
def test_an_address_that_is_none_is_named(data_dir: Path, text: str) -> None:
    (data_dir / "address").write_text(text)
    with pytest.raises(ZordonError, match="address"):
        find_target(data_dir=data_dir, environment={})
