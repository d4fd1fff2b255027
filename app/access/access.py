"""The parts of this room in one typed place."""

from __future__ import annotations

from dataclasses import dataclass

from app.access.audit import Audit
from app.access.codes import LoginCodes
from app.access.identity import Identity
from app.access.tokens import Tokens
from app.access.tries import FailedTries
from client.models import Login, Role


@dataclass(frozen=True)
class Access:
    """Who may do what on one node."""

    tokens: Tokens
    codes: LoginCodes
    tries: FailedTries
    audit: Audit
    cookie: str  # name of the sessions' cookie: of this node only, for browsers do not tell ports apart

    def browser_code(self) -> str:
        """A login code in the name of the first token, for the terminal that the service was started in."""
        return self.codes.make(self.tokens.first)

    async def login(self, wanted: Login) -> tuple[Identity, str] | None:
        """Trade a login code, which gives all rights, or a token, which gives its own, for a session and the secret of
        its cookie; None if it is not right.

        Raises:
            StoreError: no session was begun; the code is used up.
        """
        if wanted.code is not None:
            by, role = self.codes.take(wanted.code), Role.ADMIN
        else:
            by = self.tokens.of_token((wanted.token or "").encode())
            role = Role.READ if by is None else by.role
        if by is None:
            return None
        session, secret = await self.tokens.begin_session(by, role)
        if by.revoked:  # while the session was stored
            await self.tokens.revoke(session.id)
            return None
        return session, secret
