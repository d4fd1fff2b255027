"""The hello between two nodes: both are of one farm, speak one version, and their clocks agree.

The one that asks sends a nonce; the one that answers proves over it, and over all that it says of itself, that it holds
the farm's secret. The one that asked proves the same with its next request, which is signed for exactly this instance
of the other. So what is said at a hello is known to nobody who can use it: ids, names, versions, a clock.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from app.peers.asking import ask
from app.peers.client import PeerClient
from app.peers.secret import Farm
from app.peers.signing import WINDOW_SECONDS, is_proof, prove
from app.version import API_VERSION, APP_VERSION
from client.addresses import Address
from client.connection import read
from client.errors import RequestRefused, Unavailable
from client.models import Hello, HelloAnswer

HELLO_PATH: Final = "/api/peers/hello"
_PURPOSE: Final = "hello"
_ANSWER: Final = TypeAdapter(HelloAnswer)


@dataclass(frozen=True, slots=True)
class Me:
    """This node as it shows itself.

    Attributes:
        id: 32 hexadecimal digits, kept in the data folder.
        instance: 16 hexadecimal digits, made at each start.
        fingerprint: SHA-256 of its certificate in hexadecimal; empty: it speaks plain HTTP.
    """

    id: str
    name: str
    instance: str
    fingerprint: str = ""

    @property
    def who(self) -> str:
        """Id and instance, as they stand in signatures."""
        return f"{self.id}/{self.instance}"


@dataclass(frozen=True, slots=True)
class Greeting:
    """A node that has proven itself, the client that asks it, and by how many seconds its clock is ahead."""

    answer: HelloAnswer
    client: PeerClient
    clock_ahead: float


class NotUsed(Exception):
    """Somebody answers, but is not used; the message says why.

    Args:
        answer: what it said of itself, if that was understood.
    """

    def __init__(self, reason: str, answer: HelloAnswer | None = None) -> None:
        super().__init__(reason)
        self.answer = answer


def answer_hello(hello: Hello, farm: Farm | None, me: Me, now: float) -> HelloAnswer:
    """What this node says to whoever asks who it is.

    Args:
        now: seconds since 1970.
    """
    answer = HelloAnswer(
        farm=farm.id if farm is not None else None,
        farm_name=farm.name if farm is not None else None,
        node=me.id,
        name=me.name,
        instance=me.instance,
        nonce=secrets.token_hex(16),
        time=round(now, 3),
        fingerprint=me.fingerprint,
        api_version=API_VERSION,
        app_version=APP_VERSION,
    )
    if farm is not None and hello.farm == farm.id:
        answer.proof = prove(farm.key, _PURPOSE, *_facts(hello, answer))
    return answer


async def greet(
    address: Address, farm: Farm, me: Me, timeout: float, clock: Callable[[], float] = time.time
) -> Greeting:
    """Ask who is at an address.

    Args:
        timeout: seconds for each of the two steps that it takes.

    Raises:
        NotUsed: somebody who is not of this farm, or does not fit.
        ZordonError: nobody answers, or not as a node does.
    """
    hello = Hello(
        farm=farm.id,
        node=me.id,
        instance=me.instance,
        nonce=secrets.token_hex(16),
        api_version=API_VERSION,
        app_version=APP_VERSION,
    )
    begun = clock()
    try:
        asked = await ask(address, HELLO_PATH, hello.model_dump(mode="json"), timeout)
    except Unavailable:
        raise  # it starts or stops
    except RequestRefused as error:
        raise NotUsed(f"it is no node of a farm: it answers {error.status}, {error}"[:500]) from error
    answer = read(_ANSWER, asked.response)
    certificate = asked.certificate
    skew = answer.time - (begun + clock()) / 2
    shown = hashlib.sha256(certificate).hexdigest() if certificate is not None else ""
    _check(answer, hello, farm, shown, skew)
    client = PeerClient(
        address,
        asked.scheme,
        key=farm.key,
        node=me.who,
        to=f"{answer.node}/{answer.instance}",
        certificate=certificate,
    )
    return Greeting(answer, client, round(skew, 3))


def _check(answer: HelloAnswer, hello: Hello, farm: Farm, shown: str, skew: float) -> None:
    if answer.farm is None:
        raise NotUsed("it is in no farm yet: `zordon pair` here and `zordon join` there bring it in", answer)
    if answer.farm != farm.id:
        raise NotUsed(f"it is in another farm ({answer.farm_name or answer.farm}, {answer.farm})", answer)
    if not is_proof(answer.proof, farm.key, _PURPOSE, *_facts(hello, answer)):
        raise NotUsed("it says that it is in this farm, but could not prove it", answer)
    if answer.fingerprint != shown:
        raise NotUsed("its certificate is not the one that it says it has: somebody stands between", answer)
    if answer.api_version.partition(".")[0] != API_VERSION.partition(".")[0]:
        raise NotUsed(
            f"it speaks version {answer.api_version} of the API, this node {API_VERSION}: update the older one of the "
            "two",
            answer,
        )
    if abs(skew) > WINDOW_SECONDS:
        raise NotUsed(
            f"its clock is {abs(skew):.0f} seconds {'ahead of' if skew > 0 else 'behind'} this node's; at most "
            f"{WINDOW_SECONDS:.0f} are allowed: let both set their clocks by the network (NTP)",
            answer,
        )


def _facts(hello: Hello, answer: HelloAnswer) -> tuple[str, ...]:
    return (
        hello.farm,
        hello.node,
        hello.instance,
        hello.nonce,
        answer.node,
        answer.name,
        answer.instance,
        answer.nonce,
        f"{answer.time:.3f}",
        answer.fingerprint,
        answer.api_version,
        answer.app_version,
    )
