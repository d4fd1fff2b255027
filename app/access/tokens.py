"""The secrets that let somebody in: tokens and browsers' sessions. Rows of the store, all of them in memory as well.

Only digests are kept. A secret has 256 random bits, so a plain SHA-256 of it cannot be turned round, however fast it
is computed; docs/decisions/tokens.md says why no slow password hash stands here. What is looked up is the digest: how
long that takes tells nothing of a secret.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from hmac import compare_digest
from typing import Final

from app.access.errors import AccessError
from app.access.identity import Identity
from app.jobs import queries
from app.jobs.store import Store
from client.models import AccessKind, NewToken, Role

FIRST: Final = "first"
"""Id and name of the token that is there from the first start on."""
PREFIX: Final = "zordon_"
"""How a made secret begins, so that people and secret scanners know it when they see it."""
SESSION_SECONDS: Final = 30 * 24 * 3600.0
"""How long a browser stays logged in."""
MAX_TOKENS: Final = 1000
MAX_SESSIONS: Final = 200
"""The oldest session ends when one more begins."""
_LONGEST: Final = 512
_DAY: Final = 24 * 3600.0


class Tokens:
    """All tokens and sessions of this node. Every method is for the event loop's thread."""

    def __init__(self, store: Store, first: str) -> None:
        self._store = store
        owner = Identity(FIRST, FIRST, Role.ADMIN, AccessKind.FIRST, digest_of(first.encode()))
        self._of_digest: dict[bytes, Identity] = {owner.digest: owner}
        self._of_id: dict[str, Identity] = {owner.id: owner}
        self._being_made: set[str] = set()  # names
        self.first = owner

    async def load(self) -> None:
        """Read the store; forget what has expired, and browsers that were let in with another first token than today's.

        Raises:
            StoreError: it cannot be read or written.
        """
        changes = [queries.forget_expired_tokens(time.time())]
        mark = await asyncio.to_thread(_mark_of, self.first, self._store.store_id)
        if await self._store.read(queries.load_first_token) != mark:
            # Whoever changes it wants nobody in who came with the old one.
            changes += [queries.forget_sessions(FIRST), queries.remember_first_token(mark)]
        await self._store.write(changes)
        for row in await self._store.read(queries.load_tokens):
            self._remember(
                Identity(
                    row.id,
                    row.name,
                    Role(row.role),
                    AccessKind(row.kind),
                    row.digest,
                    made_by=row.made_by,
                    created=row.created,
                    expires=row.expires,
                )
            )

    # --- asking --------------------------------------------------------------------------------------------------

    def of_token(self, secret: bytes) -> Identity | None:
        """Whose token this is; None if it is nobody's, or a browser's cookie."""
        found = self._of_secret(secret)
        return None if found is None or found.kind is AccessKind.SESSION else found

    def of_session(self, secret: bytes) -> Identity | None:
        """Whose cookie this is; None if it is nobody's, or a token."""
        found = self._of_secret(secret)
        return found if found is not None and found.kind is AccessKind.SESSION else None

    def all(self) -> list[Identity]:
        """Those that are good now, in the order in which they were made."""
        now = time.time()
        return [identity for identity in self._of_id.values() if identity.good(now)]

    def _of_secret(self, secret: bytes) -> Identity | None:
        if not secret or len(secret) > _LONGEST:
            return None
        digest = digest_of(secret)
        found = self._of_digest.get(digest)
        if found is None or not compare_digest(found.digest, digest) or not found.good(time.time()):
            return None
        return found

    # --- changing ------------------------------------------------------------------------------------------------

    async def add(self, wanted: NewToken, by: Identity) -> tuple[Identity, str]:
        """Make a token. Returns it with its secret, which nobody can find out later.

        Raises:
            AccessError: another token has this name, or there are too many.
            StoreError: nothing was made.
        """
        present = [identity for identity in self.all() if identity.kind is not AccessKind.SESSION]
        if wanted.name in self._being_made or any(identity.name == wanted.name for identity in present):
            raise AccessError(409, f"a token is called {wanted.name!r} already; revoke it or take another name", "name")
        if len(present) >= MAX_TOKENS:
            raise AccessError(409, f"there are {len(present)} tokens already; revoke those that nobody uses")
        lasts = None if wanted.days is None else wanted.days * _DAY
        self._being_made.add(wanted.name)
        try:
            return await self._make(wanted.name, wanted.role, AccessKind.TOKEN, by, lasts)
        finally:
            self._being_made.discard(wanted.name)

    async def begin_session(self, by: Identity, role: Role) -> tuple[Identity, str]:
        """Let a browser in for a while. Returns the session with the secret for its cookie.

        Args:
            by: who made the login code, or whose token it is. When that is revoked or expires, the session ends too.
            role: what the browser may do.

        Raises:
            StoreError: nothing was made.
        """
        sessions = [identity for identity in self.all() if identity.kind is AccessKind.SESSION]
        for oldest in sessions[: max(0, len(sessions) - MAX_SESSIONS + 1)]:
            await self.revoke(oldest.id)
        lasts = SESSION_SECONDS if by.expires is None else min(SESSION_SECONDS, by.expires - time.time())
        return await self._make(f"browser of {by.name}", role, AccessKind.SESSION, by, lasts)

    async def revoke(self, token_id: str) -> Identity:
        """Make a token or session worthless from now on, and the sessions that were begun with it.

        Raises:
            AccessError: there is none, or it is the first one.
            StoreError: it could not be stored; it is worthless until the next start all the same.
        """
        identity = self._of_id.get(token_id)
        if identity is None:
            raise AccessError(404, f"there is no token {token_id[:40]!r}; the list has their ids", "token_id")
        if identity is self.first:
            raise AccessError(
                409,
                "the first token stands in the setting token or in the file token of the data folder; change that, or "
                "delete the file, and start the service again",
                "token_id",
            )
        gone = [
            other
            for other in self._of_id.values()
            if other is identity or (other.kind is AccessKind.SESSION and other.made_by == token_id)
        ]
        for other in gone:
            other.revoked = True
            self._forget(other)
        await self._store.write([queries.remove_token(other.id) for other in gone])
        return identity

    async def _make(
        self, name: str, role: Role, kind: AccessKind, by: Identity, lasts: float | None
    ) -> tuple[Identity, str]:
        now = time.time()
        secret = PREFIX + secrets.token_urlsafe(32)
        identity = Identity(
            secrets.token_hex(8),
            name,
            role,
            kind,
            digest_of(secret.encode()),
            made_by=by.id,
            created=now,
            expires=None if lasts is None else now + lasts,
        )
        row = queries.TokenRow(identity.id, identity.digest, name, role.value, kind.value, by.id, now, identity.expires)
        for other in [other for other in self._of_id.values() if not other.good(now)]:
            self._forget(other)
        # Remembered only when it is committed: an answered token is never lost.
        await self._store.write([queries.forget_expired_tokens(now), queries.insert_token(row)])
        self._remember(identity)
        return identity, secret

    def _remember(self, identity: Identity) -> None:
        self._of_digest[identity.digest] = identity
        self._of_id[identity.id] = identity

    def _forget(self, identity: Identity) -> None:
        self._of_id.pop(identity.id, None)
        self._of_digest.pop(identity.digest, None)


def digest_of(secret: bytes) -> bytes:
    """What is kept of a secret: its SHA-256, 32 bytes."""
    return hashlib.sha256(secret).digest()


def _mark_of(first: Identity, salt: str) -> str:
    """What tells the next start whether the first token is still the same.

    An operator may have chosen that one, so a fast digest of it would invite guessing: this one is slow (scrypt,
    RFC 7914; 8 MiB, some 20 ms).
    """
    return hashlib.scrypt(first.digest, salt=salt.encode(), n=1 << 13, r=8, p=1, dklen=16).hex()
