"""HTTPS with real certificates: the service, the client on the same machine, clients elsewhere, and wrong files."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme

from app.access.certificate import CertificateError, check_certificate
from app.cli.exits import Exit
from app.cli.own_service import scrubbed
from app.settings import SettingsError, load_settings
from client import ConnectionFailed, RenderServerProxy, Unauthorized, ZordonError, find_target
from tests.support.running_service import Service, run_zordon, running_service


@dataclass(frozen=True)
class Files:
    """A studio's own authority, and a node's certificate of it."""

    authority: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Made for the name localhost, not for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    node = authority.issue_cert("localhost")
    found = Files(folder / "authority.pem", folder / "node.pem", folder / "node.key")
    authority.cert_pem.write_to_path(found.authority)
    found.certificate.write_bytes(b"".join(blob.bytes() for blob in node.cert_chain_pems))
    node.private_key_pem.write_to_path(found.key)
    found.key.chmod(0o600)
    return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[Service]:
    """A service that speaks HTTPS."""
    settings = {"ZORDON_TLS_CERT": str(files.certificate), "ZORDON_TLS_KEY": str(files.key)}
    with running_service(tmp_path_factory.mktemp("https"), **settings) as running:
        yield running


def test_commands_on_the_same_machine_follow(service: Service) -> None:
    assert (service.data_dir / "address").read_text() == f"https://127.0.0.1:{service.port}\n"
    assert service.zordon("jobs").code == Exit.OK
    by_itself = scrubbed(os.environ) | {"ZORDON_DATA_DIR": str(service.data_dir)}
    found = run_zordon("status", "--json", environment=by_itself).json
    assert isinstance(found, dict)
    assert found["port"] == service.port
    assert service.zordon("login").out.startswith(f"https://127.0.0.1:{service.port}/#code=")


async def test_the_client_that_found_it_believes_this_certificate_only(service: Service, tmp_path: Path) -> None:
    target = find_target(data_dir=service.data_dir, environment={})
    assert (target.scheme, target.pin) == ("https", True)
    async with RenderServerProxy.at(target) as node:
        assert (await node.whoami()).name == "first"
    trustme.CA().issue_cert("localhost").cert_chain_pems[0].write_to_path(tmp_path / "other.pem")
    other = RenderServerProxy(
        target.host, target.port, target.token, scheme="https", ca=tmp_path / "other.pem", pin=True
    )
    async with other as node:
        with pytest.raises(ConnectionFailed, match="not believed"):
            await node.whoami()


@pytest.mark.slow
def test_elsewhere_the_authority_is_named(service: Service, files: Files, tmp_path: Path) -> None:
    there = scrubbed(os.environ) | {"ZORDON_TOKEN": service.token, "ZORDON_DATA_DIR": str(tmp_path)}
    options = ("--host", "https://localhost", "--port", str(service.port))
    assert run_zordon(*options, "--ca", files.authority, "jobs", environment=there).code == Exit.OK
    assert run_zordon(*options, "jobs", environment=there | {"ZORDON_CA": str(files.authority)}).code == Exit.OK
    unknown = run_zordon(*options, "jobs", environment=there)
    assert unknown.code == Exit.UNREACHABLE
    assert "--ca" in unknown.err
    wrong_name = run_zordon(
        *("--host", "https://127.0.0.1", "--port", str(service.port), "--ca", files.authority, "jobs"),
        environment=there,
    )
    assert wrong_name.code == Exit.UNREACHABLE
    assert "127.0.0.1" in wrong_name.err
    assert run_zordon(*options, "--ca", tmp_path / "none.pem", "jobs", environment=there).code != Exit.OK
    plain = run_zordon("--host", "localhost", "--port", str(service.port), "jobs", environment=there)
    assert plain.code == Exit.UNREACHABLE


async def test_who_asks_without_a_token_is_refused_here_too(service: Service, files: Files) -> None:
    async with RenderServerProxy("localhost", service.port, scheme="https", ca=files.authority) as node:
        assert await node.check_connection()
        with pytest.raises(Unauthorized):
            await node.get_jobs()


def test_a_browser_is_let_in_with_a_cookie_for_https_only(service: Service, files: Files) -> None:
    code = service.zordon("login").out.strip().partition("#code=")[2]
    url = f"https://localhost:{service.port}"
    with httpx.Client(base_url=url, verify=ssl.create_default_context(cafile=files.authority), timeout=60) as browser:
        foreign = browser.post("/api/login", json={"code": code}, headers={"Origin": url.replace("https", "http")})
        assert foreign.status_code == 403
        answer = browser.post("/api/login", json={"code": code}, headers={"Origin": url})
        assert "secure" in answer.headers["Set-Cookie"].lower().split("; ")
        assert browser.get("/api/tokens").status_code == 200


def test_nothing_of_the_private_key_is_in_the_data_folder(service: Service, files: Files) -> None:
    secret = files.key.read_bytes().splitlines()[1]
    for path in service.data_dir.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path


# --- files that cannot be used ---------------------------------------------------------------------------------------


def test_what_is_in_the_file_beside_the_certificate_is_not_passed_on(files: Files, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(files.key.read_bytes() + files.certificate.read_bytes())
    own = check_certificate(both, both)
    assert own.count(b"BEGIN") == 1
    assert b"PRIVATE" not in own


def test_a_file_that_is_not_there(files: Files, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"tls_cert: there is no file .*none\.pem"):
        check_certificate(tmp_path / "none.pem", files.key)
    with pytest.raises(CertificateError, match="tls_key: there is no file"):
        check_certificate(files.certificate, tmp_path / "none.key")
    with pytest.raises(CertificateError, match=r"tls_key: .* cannot be read"):
        check_certificate(files.certificate, tmp_path)


def test_a_file_that_is_something_else(files: Files, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(CertificateError, match="there is no certificate in"):
        check_certificate(tmp_path / "text", files.key)
    with pytest.raises(CertificateError, match="PEM files are wanted"):
        check_certificate(files.certificate, tmp_path / "text")


def test_the_key_of_another_certificate(files: Files, tmp_path: Path) -> None:
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(tmp_path / "other.key")
    with pytest.raises(CertificateError, match="is not the key of the certificate"):
        check_certificate(files.certificate, tmp_path / "other.key")


def test_a_key_with_a_passphrase(files: Files, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"a passphrase"),
    )
    (tmp_path / "locked.key").write_bytes(locked)
    with pytest.raises(CertificateError, match="locked with a passphrase"):
        check_certificate(files.certificate, tmp_path / "locked.key")


def test_one_without_the_other(files: Files) -> None:
    with pytest.raises(SettingsError, match="tls_cert is set without tls_key"):
        load_settings(tls_cert=files.certificate)
    with pytest.raises(SettingsError, match="tls_key is set without tls_cert"):
        load_settings(tls_key=files.key)


def test_serve_says_what_is_wrong_and_ends(files: Files, tmp_path: Path) -> None:
    ran = run_zordon(
        *("serve", "--port", "0", "--data-dir", tmp_path / "data"),
        *("--tls-cert", files.certificate, "--tls-key", tmp_path / "none.key"),
        environment=scrubbed(os.environ),
    )
    assert ran.code == Exit.SERVER
    assert "tls_key: there is no file" in ran.err


def test_a_host_that_is_none() -> None:
    with pytest.raises(ZordonError, match="is no host"):
        find_target("ftp://render-3", environment={})
