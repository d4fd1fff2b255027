"""The side of a pairing that joins: finds the node that offers its farm, and has the farm from it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from pydantic import TypeAdapter

from app.peers.asking import ask
from app.peers.contact import Origin
from app.peers.discovery import Discovery
from app.peers.greeting import Me
from app.peers.pairing import wire_of
from app.peers.pairing_code import ExchangeFailed, read_code
from app.peers.reach import why_unreachable
from app.peers.registry import Peers
from app.peers.secret import farm_of
from app.settings import Settings
from client.addresses import Address, parse_address
from client.connection import read
from client.errors import NotFound, RequestRefused, ZordonError
from client.models import Exchange, ExchangeAnswer, Joined, JoinFarm, Partner

if TYPE_CHECKING:
    from app.peers.pake import Side

log = structlog.get_logger(__name__)

EXCHANGE_PATH: Final = "/api/pairing/exchange"
LOOK_SECONDS: Final = 4.0
_STEP_SECONDS: Final = 10.0
_ANSWER: Final = TypeAdapter(ExchangeAnswer)


class JoinFailed(Exception):
    """This node has joined nothing; the message says why.

    Args:
        status: HTTP status it is answered with.
        field: the wire field to mend, if there is one.
    """

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field


class Joining:
    """Brings this node into a farm.

    Args:
        peers: the registry, which knows the farm.
        discovery: finds nodes if no address is given.
    """

    def __init__(self, peers: Peers, discovery: Discovery, me: Me, settings: Settings) -> None:
        self._peers = peers
        self._discovery = discovery
        self._me = me
        self._settings = settings
        self._one = asyncio.Lock()

    async def join(self, wanted: JoinFarm) -> Joined:
        """Join the farm of the node that offers it with this code.

        Raises:
            JoinFailed: nobody was found, the code is wrong, or this node is in another farm.
            FarmSecretError: it could not be kept.
        """
        try:
            code = read_code(wanted.code)
        except ValueError as error:
            raise JoinFailed(400, str(error), "code") from error
        async with self._one:
            return await self._join(code, wanted)

    async def _join(self, code: str, wanted: JoinFarm) -> Joined:
        secret = self._peers.secret
        if secret.is_given:
            raise JoinFailed(
                409, "farm_secret (ZORDON_FARM_SECRET) says which farm this node is in; take that away to join another"
            )
        if secret.farm is not None and not wanted.leave:
            raise JoinFailed(
                409,
                f"this node is in the farm {secret.farm.name!r} ({secret.farm.id}) already: say --leave to leave it "
                "for another one",
                "leave",
            )
        address, answer, key, name = await self._ask_all(code, await self._addresses(wanted.address))
        farm = farm_of(key, name)
        if secret.farm is None or secret.farm.id != farm.id:
            await secret.join(key, name)
        self._peers.add(address, Origin.KNOWN, answer.name, answer.node)
        log.info("this node has joined a farm", farm=name, of=answer.name)
        named = wire_of(farm)
        assert named is not None
        partner = Partner(id=answer.node, name=answer.name, address=address.place)
        return Joined(farm=named, partner=partner, note=why_unreachable(self._settings))

    async def _addresses(self, given: str | None) -> list[Address]:
        if given is not None:
            try:
                return [parse_address(given)]
            except ValueError as error:
                raise JoinFailed(400, str(error), "address") from error
        try:
            found = await self._discovery.look(LOOK_SECONDS)
        except OSError as error:
            raise JoinFailed(503, f"nodes cannot be looked for on the network ({error}); say --address") from error
        addresses = [address for one in found for address in one.addresses]
        if not addresses:
            raise JoinFailed(
                503,
                "no other node was found on this network: see that the other one runs with --lan, or say where it is "
                "with --address HOST:PORT",
                "address",
            )
        return addresses

    async def _ask_all(self, code: str, addresses: list[Address]) -> tuple[Address, ExchangeAnswer, bytes, str]:
        """Ask one after the other, until one has this code."""
        silent: list[str] = []
        wrong: list[str] = []
        for address in addresses:
            try:
                return address, *await self._exchange(code, address)
            except NotFound:
                silent.append(f"{address.place} offers no farm now")
            except (ExchangeFailed, RequestRefused) as error:
                wrong.append(f"{address.place}: {error}")
            except ZordonError as error:
                silent.append(str(error))
        if wrong:
            raise JoinFailed(400, "; ".join(wrong[:3]), "code")
        raise JoinFailed(
            503,
            f"no node with this code was found: {'; '.join(silent[:4])}. `zordon pair` on the other one makes a code",
        )

    async def _exchange(self, code: str, address: Address) -> tuple[ExchangeAnswer, bytes, str]:
        side, message = await asyncio.to_thread(_begun, code)
        me = {"node": self._me.id, "name": self._me.name, "port": self._peers.own.port}
        first = Exchange.model_validate({**me, "message": message})
        asked = await ask(address, EXCHANGE_PATH, first.model_dump(mode="json"), _STEP_SECONDS)
        begun = read(_ANSWER, asked.response)
        common = await asyncio.to_thread(side.finish, begun.message, begun.session)
        second = Exchange.model_validate({**me, "session": begun.session, "proof": common.proof()})
        asked = await ask(address, EXCHANGE_PATH, second.model_dump(mode="json"), _STEP_SECONDS)
        answer = read(_ANSWER, asked.response)
        key, name = common.open(answer.sealed)
        return answer, key, name


def _begun(code: str) -> tuple[Side, str]:
    """This side of an exchange, and what the other one is sent."""
    from app.peers.pake import Side

    side = Side(code, joins=True)
    return side, side.message()
