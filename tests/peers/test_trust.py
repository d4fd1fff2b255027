"""Signatures: what is let in, and everything that is not."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import httpx
import pytest

from app.peers.greeting import Me
from app.peers.pairing_code import ExchangeFailed, make_code, read_code
from app.peers.pake import Side
from app.peers.secret import FarmSecret, farm_of
from app.peers.signing import EMPTY_BODY, Nonces, Signature, is_right, read_signature, sign
from app.peers.trust import CLOCKS_DIFFER, SAY_HELLO, Distrust, Trust, Trusted
from client.models import AccessKind, Role
from tests.peers.served import served

KEY = b"k" * 32
ME = Me("a" * 32, "me", "1" * 16)
OTHER = f"{'b' * 32}/{'2' * 16}"
NOW = 1_800_000_000.0


def trust_of(folder: Path, key: bytes | None = KEY, now: float = NOW) -> Trust:
    secret = FarmSecret(folder)
    secret.farm = None if key is None else farm_of(key)
    return Trust(secret, ME, lambda: now)


def signed(
    method: str = "POST", target: bytes = b"/api/x?y=1", *, to: str = ME.who, at: float = NOW, nonce: str = "0" * 32
) -> Signature:
    return sign(KEY, method, target, node=OTHER, to=to, time=at, nonce=nonce, body=EMPTY_BODY)


def raw(signature: Signature) -> dict[bytes, bytes]:
    return {name.lower().encode(): value.encode() for name, value in signature.headers().items()}


def test_a_right_signature_is_a_node_with_the_role_peer(tmp_path: Path) -> None:
    found = trust_of(tmp_path).check("POST", b"/api/x?y=1", raw(signed()))
    assert isinstance(found, Trusted)
    assert found.who.id == f"node:{'b' * 32}"
    assert found.who.role is Role.PEER
    assert found.who.kind is AccessKind.NODE
    assert found.instance == "2" * 16
    assert found.body == EMPTY_BODY


@pytest.mark.parametrize("changed", ["method", "target", "node", "to", "time", "nonce", "body", "mac"])
def test_whatever_is_changed_makes_it_wrong(tmp_path: Path, changed: str) -> None:
    method, target = "POST", b"/api/x?y=1"
    headers = raw(signed())
    if changed == "method":
        method = "DELETE"
    elif changed == "target":
        target = b"/api/x?y=2"
    else:
        name = "signature" if changed == "mac" else changed
        key = f"x-zordon-{name}".encode()
        value = headers[key]
        headers[key] = (b"7" if value[:1] != b"7" else b"8") + value[1:]
    found = trust_of(tmp_path).check(method, target, headers)
    assert isinstance(found, Distrust)
    assert found.guessed
    assert "wrong" in found.message


def test_of_another_farm_and_in_none(tmp_path: Path) -> None:
    found = trust_of(tmp_path, b"x" * 32).check("POST", b"/api/x?y=1", raw(signed()))
    assert isinstance(found, Distrust)
    assert found.guessed
    nowhere = trust_of(tmp_path, None).check("POST", b"/api/x?y=1", raw(signed()))
    assert isinstance(nowhere, Distrust)
    assert "in no farm" in nowhere.message


def test_a_second_time(tmp_path: Path) -> None:
    trust = trust_of(tmp_path)
    assert isinstance(trust.check("POST", b"/api/x?y=1", raw(signed())), Trusted)
    again = trust.check("POST", b"/api/x?y=1", raw(signed()))
    assert isinstance(again, Distrust)
    assert "came before" in again.message


@pytest.mark.parametrize(("away", "words"), [(-75.0, "75 seconds ago"), (75.0, "75 seconds in the future")])
def test_too_old_or_too_new(tmp_path: Path, away: float, words: str) -> None:
    found = trust_of(tmp_path).check("POST", b"/api/x?y=1", raw(signed(at=NOW + away)))
    assert isinstance(found, Distrust)
    assert found.title == CLOCKS_DIFFER
    assert words in found.message
    assert not found.guessed


@pytest.mark.parametrize(
    ("to", "words"), [(f"{'a' * 32}/{'9' * 16}", "started anew"), (f"{'c' * 32}/{'1' * 16}", "another node")]
)
def test_for_somebody_else(tmp_path: Path, to: str, words: str) -> None:
    found = trust_of(tmp_path).check("POST", b"/api/x?y=1", raw(signed(to=to)))
    assert isinstance(found, Distrust)
    assert found.title == SAY_HELLO
    assert words in found.message


@pytest.mark.parametrize("name", ["To", "Time", "Nonce", "Body", "Signature"])
def test_a_header_that_is_missing_or_malformed_is_named(name: str) -> None:
    headers = raw(signed())
    key = f"x-zordon-{name.lower()}".encode()
    assert name in str(read_signature({**headers, key: b"\xff nonsense"}))
    del headers[key]
    assert f"X-Zordon-{name} is missing" in str(read_signature(headers))


def test_two_requests_never_have_the_same_text() -> None:
    one = sign(KEY, "GET", b"/a\n1", node=OTHER, to=ME.who, time=NOW, nonce="0" * 32, body=EMPTY_BODY)
    assert is_right(one, KEY, "GET", b"/a\n1")
    assert not is_right(one, KEY, "GET\n/a", b"1")


def test_nonces_are_remembered_as_long_as_they_count_and_no_longer() -> None:
    nonces = Nonces(100)
    assert nonces.take("n", "1", 0)
    assert not nonces.take("n", "1", 99)
    assert nonces.take("m", "1", 99)
    assert not nonces.take("n", "1", 150)
    for moment in range(0, 100_000, 10):
        nonces.take("n", str(moment + 2), float(moment + 200))
    assert len(nonces) <= 21


def test_the_farms_id_says_nothing_of_its_key_and_a_passphrase_is_stretched(tmp_path: Path) -> None:
    farms = []
    for given in ("the same words here", "the same words here", "other words, longer"):
        secret = FarmSecret(tmp_path, given)
        secret.load()
        farms.append(secret.farm)
    assert farms[0] == farms[1] != farms[2]
    assert farms[0] is not None
    assert farms[0].key.hex() not in repr(farms[0])
    assert farms[0].key != hashlib.sha256(b"the same words here").digest()


async def test_the_secret_is_kept_for_this_user_only(tmp_path: Path) -> None:
    secret = FarmSecret(tmp_path)
    secret.load()
    assert secret.farm is None
    made = await secret.create("studio")
    assert secret.path.stat().st_mode & 0o777 == 0o600
    secret.path.chmod(0o644)
    again = FarmSecret(tmp_path)
    again.load()
    assert again.farm == made
    assert secret.path.stat().st_mode & 0o777 == 0o600


# --- pairing codes ---------------------------------------------------------------------------------------------------


def test_both_sides_with_one_code_have_one_key() -> None:
    code = read_code(make_code())
    joins, pairs = Side(code, joins=True), Side(code, joins=False)
    one, two = joins.message(), pairs.message()
    theirs, ours = joins.finish(two, "s"), pairs.finish(one, "s")
    assert ours.is_proof(theirs.proof())
    assert theirs.open(ours.seal(KEY, "studio")) == (KEY, "studio")
    assert KEY.hex() not in ours.seal(KEY, "studio")


def test_with_another_code_there_is_no_common_key() -> None:
    joins, pairs = Side("000000", joins=True), Side("000001", joins=False)
    one, two = joins.message(), pairs.message()
    theirs, ours = joins.finish(two, "s"), pairs.finish(one, "s")
    assert not ours.is_proof(theirs.proof())
    with pytest.raises(ExchangeFailed):
        theirs.open(ours.seal(KEY, "studio"))


@pytest.mark.parametrize("message", ["", "00", "42" + "00" * 32, "42" + "ff" * 32, "41" + "01" * 32])
def test_nonsense_is_no_message(message: str) -> None:
    side = Side("000000", joins=True)
    side.message()
    with pytest.raises(ExchangeFailed):
        side.finish(message, "s")


def test_a_code_is_read_however_it_is_typed() -> None:
    assert read_code("7k4-93f") == read_code(" 7K4 93F ") == "7K493F"
    assert read_code("o1l-iol") == "011101"
    for wrong in ("", "7K4-93", "7K4-93FF", "7K4-93U"):
        with pytest.raises(ValueError, match="no pairing code"):
            read_code(wrong)


# --- over a real socket ----------------------------------------------------------------------------------------------


async def test_a_body_that_is_not_the_one_that_was_signed(tmp_path: Path) -> None:
    async with (
        served(tmp_path, "ada") as ada,
        httpx.AsyncClient(base_url=f"http://{ada.address}", timeout=60) as anyone,
    ):
        farm = ada.parts.peers.secret.farm
        assert farm is not None
        headers = sign(
            farm.key,
            "POST",
            b"/api/add_job",
            node=OTHER,
            to=ada.parts.peers.me.who,
            time=time.time(),
            nonce="0" * 32,
            body=hashlib.sha256(b"{}").hexdigest(),
        ).headers()
        body = b'{"renderer": "testpattern", "frames": "1-2"}'
        answer = await anyone.post(
            "/api/add_job", content=body, headers={**headers, "Content-Type": "application/json"}
        )
        assert answer.status_code == 401
        assert "not the one that was signed" in answer.text
        assert (await ada.proxy.get_jobs()).jobs == []
