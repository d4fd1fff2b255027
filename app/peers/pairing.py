"""The side of a pairing that offers its farm: one code at a time, for ten minutes, for one node, with few tries."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from app.peers.greeting import Me
from app.peers.pairing_code import ExchangeFailed, make_code, read_code
from app.peers.reach import why_unreachable
from app.peers.secret import Farm, FarmSecret
from app.settings import Settings
from client.addresses import Address
from client.models import Exchange, ExchangeAnswer, Pairing, Partner
from client.models import Farm as FarmWire

if TYPE_CHECKING:
    from app.peers.pake import CommonKey

log = structlog.get_logger(__name__)

CODE_SECONDS: Final = 600.0
MAX_TRIES: Final = 5
_MAX_SESSIONS: Final = 20
_MAX_JOINED: Final = 100


class NothingOffered(Exception):
    """No code is offered here now."""


class WrongCode(Exception):
    """The other side has another code; ``left`` tries remain."""

    def __init__(self, left: int) -> None:
        super().__init__(
            f"the code is wrong; {left} more tries" if left else "the code is wrong, and good for nothing any more"
        )
        self.left = left


@dataclass(slots=True)
class _Offer:
    code: str
    expires: float  # by the clock that only grows
    until: datetime
    tries: int = MAX_TRIES


class PairingDesk:
    """Offers this node's farm. For the event loop's thread.

    Args:
        secret: the farm; founded when it is offered for the first time.
        settings: the node's name, and whether others reach it.
        clock: seconds that only ever grow.
    """

    def __init__(
        self, secret: FarmSecret, me: Me, settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._secret = secret
        self._me = me
        self._settings = settings
        self._clock = clock
        self._offer: _Offer | None = None
        self._sessions: dict[str, CommonKey] = {}
        self._joined: list[Partner] = []

    async def offer(self) -> Pairing:
        """Offer the farm with a new code; the one of before is good for nothing any more. A node in no farm founds one.

        Raises:
            FarmSecretError: that could not be kept.
        """
        if self._secret.farm is None:
            await self._secret.create(f"farm of {self._me.name}"[:100])
        self.withdraw()
        now = self._clock()
        until = datetime.fromtimestamp(time.time() + CODE_SECONDS, UTC)
        self._offer = _Offer(make_code(), now + CODE_SECONDS, until)
        return self.state()

    def withdraw(self) -> None:
        """Offer nothing any more."""
        self._offer = None
        self._sessions.clear()

    def state(self) -> Pairing:
        """What is offered now, and who has come."""
        offer = self._current()
        return Pairing(
            farm=wire_of(self._secret.farm),
            code=offer.code if offer is not None else None,
            expires=offer.until if offer is not None else None,
            tries_left=offer.tries if offer is not None else 0,
            joined=self._joined,
            note=why_unreachable(self._settings),
        )

    async def answer(self, asked: Exchange, host: str) -> ExchangeAnswer:
        """One step of another node that joins.

        Args:
            host: the address it asked from.

        Raises:
            NothingOffered, WrongCode, ExchangeFailed
        """
        offer = self._current()
        if offer is None:
            raise NothingOffered("no pairing code is offered on this node now: `zordon pair` makes one")
        if not asked.session:
            return await self._begin(offer, asked)
        key = self._sessions.pop(asked.session, None)
        if key is None:
            raise ExchangeFailed("this exchange is over; begin another one")
        if not key.is_proof(asked.proof):
            offer.tries -= 1
            log.warning("a node has shown a wrong pairing code", address=host, tries_left=offer.tries)
            if offer.tries <= 0:
                self.withdraw()
            raise WrongCode(offer.tries)
        farm = self._secret.farm
        if farm is None:
            raise NothingOffered("this node is in no farm any more")
        self.withdraw()  # it is good for one node
        partner = Partner(id=asked.node, name=asked.name, address=Address(host, asked.port).place)
        self._joined = [*self._joined, partner][-_MAX_JOINED:]
        log.info("a node has joined the farm", node=asked.name, address=partner.address, farm=farm.name)
        sealed = key.seal(farm.key, farm.name)
        return ExchangeAnswer(session=asked.session, sealed=sealed, node=self._me.id, name=self._me.name)

    async def _begin(self, offer: _Offer, asked: Exchange) -> ExchangeAnswer:
        session = secrets.token_hex(16)
        message, key = await asyncio.to_thread(_reply, read_code(offer.code), asked.message, session)
        while len(self._sessions) >= _MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        if self._offer is offer:
            self._sessions[session] = key
        return ExchangeAnswer(session=session, message=message, node=self._me.id, name=self._me.name)

    def _current(self) -> _Offer | None:
        if self._offer is not None and self._clock() >= self._offer.expires:
            self.withdraw()
        return self._offer


def wire_of(farm: Farm | None) -> FarmWire | None:
    """A farm as clients see it."""
    return None if farm is None else FarmWire(id=farm.id, name=farm.name)


def _reply(code: str, message: str, session: str) -> tuple[str, CommonKey]:
    from app.peers.pake import Side

    side = Side(code, joins=False)
    said = side.message()
    return said, side.finish(message, session)
