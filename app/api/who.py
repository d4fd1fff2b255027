"""Who sent a request, and what the audit will say of it: put into the ASGI scope by :mod:`app.api.front`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from starlette.types import Scope

from app.access.audit import Fact
from app.access.identity import Identity
from app.api.errors import ApiError
from app.jobs.known import KnownJobs
from app.peers.trust import Trusted
from client.models import Role

WHO: Final = "zordon.who"
CHANGE: Final = "zordon.change"
SIGNED: Final = "zordon.signed"

MAX_NOTED: Final = 100
"""The most ids in one line of the audit."""


@dataclass(slots=True)
class Change:
    """A request of a changing method, as the audit will tell it."""

    who: Identity | None  # None: nobody yet; a login says who it has let in
    facts: dict[str, Fact] = field(default_factory=dict)


def who_of(scope: Scope) -> Identity:
    """Whoever sent a request that the guard has let in. Not for routes that are open to everybody."""
    return cast(Identity, scope[WHO])


def signed_of(scope: Scope) -> Trusted | None:
    """What is known of a request that another node has signed; None: it was not."""
    return cast(Trusted | None, scope.get(SIGNED))


def address_of(scope: Scope) -> str:
    """Where a request came from, as the socket says."""
    client = scope.get("client")
    return "" if client is None else str(client[0])


def note(scope: Scope, **facts: Fact) -> None:
    """Have the audit say more of this request; nothing secret, and nothing long."""
    change = scope.get(CHANGE)
    if isinstance(change, Change):
        change.facts.update(facts)


async def check_is_own(who: Identity, jobs: KnownJobs, job_id: str) -> None:
    """See that somebody may stop or repeat a job: an administrator any, everybody else what came with the same token.

    Raises:
        ApiError: it is somebody else's.
        JobNotFound: there is none.
    """
    if not who.may(Role.ADMIN) and (await jobs.record(job_id)).spec.submitted_by != who.id:
        raise ApiError(
            403,
            f"job {job_id} was submitted with another token; only that one, or one with the role admin, may do this",
            title="Role too low",
        )


def still_good(scope: Scope) -> None:
    """See that whoever sent a request that takes long has not been revoked meanwhile.

    Raises:
        ApiError: that has happened.
    """
    if not who_of(scope).good(time.time()):
        raise ApiError(401, "this token was revoked, or its time is over", field="Authorization")


def _who(request: Request) -> Identity:
    return who_of(request.scope)


WhoOf = Annotated[Identity, Depends(_who)]
"""A route's parameter that is given whoever asks."""
