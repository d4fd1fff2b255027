"""Farms of nodes in one process: meeting, moving, restarting, HTTPS, IPv6, pairing."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trustme

from app.peers.contact import Origin
from client import BadRequest, Conflict, Forbidden, NotFound, Unavailable
from client.addresses import parse_address
from client.models import AddJob, JobStatus, NodeState
from tests.peers.farm import nodes_until
from tests.peers.served import served


async def test_who_is_told_of_one_node_knows_all(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        ada = await stack.enter_async_context(served(tmp_path, "ada"))
        bob = await stack.enter_async_context(served(tmp_path, "bob", ada))
        cyd = await stack.enter_async_context(served(tmp_path, "cyd", ada))
        for one in (ada, bob, cyd):
            for other in (ada, bob, cyd):
                if one is not other:
                    await one.sees(other)
        names = [node.name for node in (await bob.proxy.get_nodes()).nodes]
        assert names == ["bob", "ada", "cyd"]


async def test_a_node_is_never_its_own_peer_and_has_many_addresses_but_one_place(tmp_path: Path) -> None:
    async with served(tmp_path, "ada") as ada:
        port = ada.application.port
        async with served(tmp_path, "bob", ada, f"localhost:{port}") as bob:
            await bob.sees(ada)
            ada.parts.peers.add(parse_address(ada.address), Origin.SETTING)
            ada.parts.peers.add(parse_address(f"localhost:{port}"), Origin.SETTING)
            await ada.sees(bob)
            for node, names in ((ada, {"ada", "bob"}), (bob, {"bob", "ada"})):
                # An address is listed as away for as long as it has not answered.
                await nodes_until(node.proxy, lambda seen, names=names: set(seen) == names)


async def test_a_node_that_was_started_anew_is_met_again(tmp_path: Path) -> None:
    async with served(tmp_path, "ada") as ada:
        async with served(tmp_path, "bob", ada) as bob:
            await ada.sees(bob)
            first = bob.id
        assert (peer := ada.parts.peers.get(first)) is not None
        assert peer.state is NodeState.LEFT
        async with served(tmp_path, "bob", ada) as bob:
            await ada.sees(bob)
            assert bob.id == first
            assert peer.address == bob.address
            assert (await peer.client.get("/api/status")).status_code == 200


async def test_known_nodes_are_kept_over_a_restart(tmp_path: Path) -> None:
    async with served(tmp_path, "ada") as ada:
        async with served(tmp_path, "bob", ada) as bob:
            await bob.sees(ada)
        async with served(tmp_path, "bob") as bob:
            await bob.sees(ada)
            await ada.sees(bob)


async def test_a_node_that_is_gone_is_listed_until_it_is_forgotten(tmp_path: Path) -> None:
    async with served(tmp_path, "ada") as ada:
        async with served(tmp_path, "bob", ada) as bob:
            await ada.sees(bob)
            gone = bob.id
        assert [one.name for one in (await ada.proxy.get_nodes()).nodes] == ["ada", "bob"]
        await ada.proxy.forget_node(gone)
        assert [one.name for one in (await ada.proxy.get_nodes()).nodes] == ["ada"]
        with pytest.raises(NotFound):
            await ada.proxy.forget_node(gone)


async def test_two_with_the_same_id_are_told_apart(tmp_path: Path) -> None:
    async with served(tmp_path, "ada") as ada, served(tmp_path, "bob", ada) as bob:
        await ada.sees(bob)
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy" / "node_id").write_text(bob.id)
        async with served(tmp_path, "copy", ada) as copy:
            await copy.sees(ada, "refused")
            seen = copy.parts.peers.get(ada.id)
            assert seen is not None
            assert "same id as bob" in seen.reason
            refused = [one for one in (await ada.proxy.get_nodes()).nodes if one.state is NodeState.REFUSED]
            assert [one.name for one in refused] == ["copy"]
            assert "copy of the other" in refused[0].reason
            assert (still := ada.parts.peers.get(bob.id)) is not None
            assert still.usable
            assert still.name == "bob"


async def test_nodes_with_https_of_their_own_making(tmp_path: Path) -> None:
    authority = trustme.CA()
    paths = {}
    for name in ("ada", "bob"):
        certificate = authority.issue_cert(f"{name}.studio.example")
        paths[name] = (tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(paths[name][0])
        certificate.private_key_pem.write_to_path(paths[name][1])
        paths[name][1].chmod(0o600)
    ada_tls = {"tls_cert": paths["ada"][0], "tls_key": paths["ada"][1]}
    bob_tls = {"tls_cert": paths["bob"][0], "tls_key": paths["bob"][1]}
    async with served(tmp_path, "ada", **ada_tls) as ada, served(tmp_path, "bob", ada, **bob_tls) as bob:
        await bob.sees(ada)
        await ada.sees(bob)
        peer = bob.parts.peers.get(ada.id)
        assert peer is not None
        assert peer.client.connection.url.startswith("https://")
        assert peer.brief.scheme == "https"


async def test_over_ipv6(tmp_path: Path) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"there is no IPv6 here: {error}")
    async with served(tmp_path, "ada", host="::1") as ada:
        place = f"[::1]:{ada.application.port}"
        async with served(tmp_path, "bob", place, host="::1") as bob:
            await bob.sees(ada)
            await ada.sees(bob)
            listed = {one.name: one.address for one in (await bob.proxy.get_nodes()).nodes}
            assert listed["ada"] == place


async def test_any_node_shows_the_status_and_jobs_of_all(tmp_path: Path) -> None:
    async with served(tmp_path, "ada") as ada:
        async with served(tmp_path, "bob", ada) as bob:
            await ada.sees(bob)
            await bob.proxy.create_job(
                AddJob.model_validate(
                    {"renderer": "testpattern", "frames": "1-2", "scheduled_start": "2035-01-01T00:00:00Z"}
                )
            )
            place = bob.address
            both = (await ada.proxy.get_full_status()).servers
            assert both[place].status.hostname == "bob"
            assert [job.status for job in both[place].jobs] == [JobStatus.SCHEDULED]
        after = (await ada.proxy.get_full_status()).servers[place]
        assert after.age > 0
        assert len(after.jobs) == 1


async def test_a_peer_asks_as_a_peer_and_for_no_more(tmp_path: Path) -> None:
    async with served(tmp_path, "ada") as ada, served(tmp_path, "bob", ada) as bob:
        await bob.sees(ada)
        peer = bob.parts.peers.get(ada.id)
        assert peer is not None
        who = (await peer.client.get("/api/whoami")).json()
        assert who["id"] == f"node:{bob.id}"
        assert who["role"] == "peer"
        body = {"renderer": "testpattern", "frames": "1-2", "scheduled_start": "2035-01-01T00:00:00Z"}
        [made] = (await peer.client.post("/api/add_job", body, "an-attempt")).json()
        [again] = (await peer.client.post("/api/add_job", body, "an-attempt")).json()
        assert made["id"] == again["id"]
        [of_ada] = await ada.proxy.create_job(AddJob.model_validate(body))
        with pytest.raises(Forbidden):
            await peer.client.post(f"/api/jobs/{of_ada.id}/cancel", params={"confirm": True})
        assert (await peer.client.post(f"/api/jobs/{made['id']}/cancel", params={"confirm": True})).status_code == 200
        with pytest.raises(Forbidden):
            await peer.client.post(f"/api/jobs/{of_ada.id}/delete", params={"confirm": True})
        assert (await peer.client.post(f"/api/jobs/{made['id']}/delete", params={"confirm": True})).status_code == 200
        assert [job.id for job in (await ada.proxy.get_jobs()).jobs] == [of_ada.id]
        with pytest.raises(Forbidden):
            await peer.client.get("/api/tokens")


# --- pairing ---------------------------------------------------------------------------------------------------------


async def test_two_nodes_are_paired(tmp_path: Path) -> None:
    async with served(tmp_path, "ada", farm_secret=None) as ada, served(tmp_path, "bob", farm_secret=None) as bob:
        assert (await ada.proxy.get_nodes()).farm is None
        offered = await ada.proxy.offer_pairing()
        assert offered.code is not None
        assert offered.farm is not None
        assert offered.farm.name == "farm of ada"
        assert "--lan" in offered.note
        joined = await bob.proxy.join_farm(offered.code.lower().replace("-", " "), ada.address)
        assert joined.farm == offered.farm
        assert joined.partner.name == "ada"
        now = await ada.proxy.get_pairing()
        assert now.code is None
        assert [one.name for one in now.joined] == ["bob"]
        assert now.joined[0].address == bob.address
        await ada.sees(bob)
        await bob.sees(ada)
        assert (bob.folder / "farm.json").stat().st_mode & 0o777 == 0o600
        with pytest.raises(Conflict, match="already"):
            await bob.proxy.join_farm(offered.code, ada.address)


async def test_a_code_is_good_once_and_for_few_tries(tmp_path: Path) -> None:
    async with served(tmp_path, "ada") as ada, served(tmp_path, "bob", farm_secret=None) as bob:
        with pytest.raises(Unavailable, match="offers no farm"):
            await bob.proxy.join_farm("000-000", ada.address)
        offered = await ada.proxy.offer_pairing()
        assert offered.code is not None
        wrong = "000-000" if offered.code != "000-000" else "000-001"
        for left in (4, 3, 2, 1, 0):
            with pytest.raises(BadRequest, match="wrong"):
                await bob.proxy.join_farm(wrong, ada.address)
            assert (await ada.proxy.get_pairing()).tries_left == left
        with pytest.raises(Unavailable, match="offers no farm"):
            await bob.proxy.join_farm(offered.code, ada.address)
        assert (await bob.proxy.get_nodes()).farm is None


async def test_a_code_can_be_taken_back(tmp_path: Path) -> None:
    async with served(tmp_path, "ada") as ada, served(tmp_path, "bob", farm_secret=None) as bob:
        offered = await ada.proxy.offer_pairing()
        assert offered.code is not None
        assert (await ada.proxy.withdraw_pairing()).code is None
        with pytest.raises(Unavailable):
            await bob.proxy.join_farm(offered.code, ada.address)


async def test_leaving_one_farm_for_another(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        ada = await stack.enter_async_context(served(tmp_path, "ada", farm_secret=None))
        bob = await stack.enter_async_context(served(tmp_path, "bob", farm_secret=None))
        cyd = await stack.enter_async_context(served(tmp_path, "cyd", farm_secret=None))
        for other in (ada, cyd):
            code = (await other.proxy.offer_pairing()).code
            assert code is not None
            await bob.proxy.join_farm(code, other.address, leave=other is cyd)
            await bob.sees(other)
        assert ada.id not in [one.id for one in bob.parts.peers.all()]
        listed = {one.name: one for one in (await bob.proxy.get_nodes()).nodes}
        assert listed["cyd"].state is NodeState.ONLINE


async def test_what_a_setting_says_no_pairing_changes(tmp_path: Path) -> None:
    async with served(tmp_path, "ada") as ada, served(tmp_path, "bob") as bob:
        code = (await ada.proxy.offer_pairing()).code
        assert code is not None
        with pytest.raises(Conflict, match="farm_secret"):
            await bob.proxy.join_farm(code, ada.address, leave=True)


@pytest.mark.parametrize(("code", "address"), [("nonsense", None), ("000-000", "not an address")])
async def test_what_is_mistyped_is_said(tmp_path: Path, code: str, address: str | None) -> None:
    async with served(tmp_path, "ada", farm_secret=None) as ada:
        with pytest.raises(BadRequest) as refused:
            await ada.proxy.join_farm(code, address)
        assert refused.value.field == ("code" if address is None else "address")
