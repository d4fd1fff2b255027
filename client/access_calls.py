"""The routes about tokens and login codes. Logging in and out is for browsers, and has no method here."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from pydantic import JsonValue, TypeAdapter

from .connection import Connection, read
from .models import LoginCode, MadeToken, NewToken, Role, TokenInfo

_TOKEN: Final = TypeAdapter(TokenInfo)
_TOKENS: Final = TypeAdapter(list[TokenInfo])
_MADE: Final = TypeAdapter(MadeToken)
_CODE: Final = TypeAdapter(LoginCode)


class AccessCalls:
    """The access routes of a node; all but :meth:`whoami` take the role admin."""

    connection: Connection

    async def whoami(self) -> TokenInfo:
        """What the token of this client is called, and its role."""
        return read(_TOKEN, await self.connection.get("/api/whoami"))

    async def get_tokens(self) -> list[TokenInfo]:
        """Every token and every session of a browser, the oldest first."""
        return read(_TOKENS, await self.connection.get("/api/tokens"))

    async def add_token(self, name: str, role: Role, days: float | None = None) -> MadeToken:
        """Make a token. Its secret is in this answer only.

        Args:
            days: how long it is good for; None: until it is revoked.

        Raises:
            Conflict: another token has this name.
        """
        body: JsonValue = NewToken(name=name, role=role, days=days).model_dump(mode="json")
        return read(_MADE, await self.connection.send("POST", "/api/tokens", json=body))

    async def revoke_token(self, token_id: str) -> TokenInfo:
        """Make a token or a session worthless, and the sessions that were begun with it.

        Raises:
            NotFound: there is none.
            Conflict: it is the first token.
        """
        return read(_TOKEN, await self.connection.send("POST", f"/api/tokens/{quote(token_id, safe='')}/revoke"))

    async def make_login_code(self) -> LoginCode:
        """A code that lets one browser in, once: open ``/#code=<code>`` with it."""
        return read(_CODE, await self.connection.send("POST", "/api/login_code"))
