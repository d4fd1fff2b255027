"""What clients see of all jobs, and who waits for it to change.

Every visible change raises the revision. The opaque token ``<store>-<epoch>-<revision>`` carries it to a client; a
token of another store or epoch counts as changed. The list is made of stored bytes, at most once a revision.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from app.jobs.wires import Wires

MAX_GONE = 10_000
"""How many deleted jobs are remembered for deltas."""
MAX_INSTALLS = 50
"""How many installs of engines are shown; the oldest goes first."""
ONE_PIECE = 1 << 20
"""Bytes up to which an answer is made in one piece; a longer one would be a second copy of all jobs."""


@dataclass(slots=True)
class _Install:
    wire: bytes
    revision: int


class Feed:
    """The visible side of all jobs, in memory. All methods are for the event loop's thread."""

    def __init__(self, store_id: str, epoch: int) -> None:
        self._prefix = f"{store_id}-{epoch}-"
        self._jobs = Wires()
        self._changes: OrderedDict[str, int] = OrderedDict()  # ids, the latest change last: revision
        self._gone: OrderedDict[str, int] = OrderedDict()  # ids of deleted jobs: revision
        self._installs: dict[str, _Install] = {}  # engine versions on their way, oldest first
        self._forgotten = 0  # deltas cannot reach behind this revision
        self._revision = 0
        self._changed: asyncio.Event | None = None
        self._bells: dict[Callable[[], None], None] = {}  # in the order of asking
        self._list: tuple[int, list[bytes]] = (-1, [])
        self.closed = False

    # --- writing -------------------------------------------------------------------------------------------------

    def load(self, job_id: str, wire: bytes) -> None:
        """A job from before the start. Wakes nobody."""
        self._jobs.put(job_id, wire)

    def publish(self, job_id: str, wire: bytes) -> None:
        """A job is new or changed."""
        self._revision += 1
        self._jobs.put(job_id, wire)
        self._changes[job_id] = self._revision
        self._changes.move_to_end(job_id)
        self._wake()

    def remove(self, job_id: str) -> None:
        """A job was deleted."""
        if not self._jobs.remove(job_id):
            return
        self._revision += 1
        self._changes.pop(job_id, None)
        self._gone[job_id] = self._revision
        if len(self._gone) > MAX_GONE:
            self._forgotten = self._gone.popitem(last=False)[1]
        self._wake()

    def publish_install(self, install_id: str, wire: bytes) -> None:
        """An install of an engine is new or has moved."""
        self._revision += 1
        self._installs[install_id] = _Install(wire, self._revision)
        if len(self._installs) > MAX_INSTALLS:
            del self._installs[next(iter(self._installs))]
        self._wake()

    def close(self) -> None:
        """The service stops: every waiter is released, nobody waits any more."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
        if self._bells:
            bells, self._bells = self._bells, {}
            for bell in bells:
                bell()

    def ring_once(self, bell: Callable[[], None]) -> None:
        """Call ``bell`` at the next change or close, once. It must not wait or raise."""
        self._bells[bell] = None

    def ring_no_more(self, bell: Callable[[], None]) -> None:
        """Forget what :meth:`ring_once` was told, if it has not rung yet."""
        self._bells.pop(bell, None)

    # --- reading -------------------------------------------------------------------------------------------------

    @property
    def token(self) -> str:
        """The token of this moment."""
        return f"{self._prefix}{self._revision}"

    @property
    def revision(self) -> int:
        """The revision of this moment."""
        return self._revision

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def job(self, job_id: str) -> bytes | None:
        """The wire bytes of one job."""
        return self._jobs.get(job_id)

    def wires(self) -> Iterator[bytes]:
        """The wire bytes of all jobs, in the order of submission."""
        return iter(self._jobs)

    def job_list(self) -> Sequence[bytes]:
        """All jobs and the token, as the JSON of ``JobList`` in pieces; made once a revision."""
        if self._list[0] != self._revision:
            tail = b"".join((b'],"token":"', self.token.encode(), b'"}'))
            self._list = (self._revision, self._all(tail))
        return self._list[1]

    def _all(self, tail: bytes) -> list[bytes]:
        """An object that begins with all jobs, in pieces."""
        texts = self._jobs.texts()
        first = b"".join((b'{"jobs":[', texts[0][1:] if texts else b""))
        pieces = [first, *texts[1:], tail]
        return pieces if sum(map(len, pieces)) > ONE_PIECE else [b"".join(pieces)]

    def revision_of(self, token: str | None) -> int | None:
        """The revision in a token of this epoch; None for any other text."""
        if token is None or not token.startswith(self._prefix):
            return None
        text = token[len(self._prefix) :]
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            return None
        revision = int(text)
        return revision if revision <= self._revision else None

    def delta(self, token: str | None) -> Sequence[bytes]:
        """What changed since the token, as the JSON of ``JobDelta`` in pieces."""
        since = self.revision_of(token)
        if since is None or since < self._forgotten:
            return self._all(self._tail([], -1, full=True))
        changed = []
        for job_id, revision in reversed(self._changes.items()):
            if revision <= since:
                break
            changed.append(job_id)
        jobs = [wire for job_id in reversed(changed) if (wire := self._jobs.get(job_id)) is not None]
        gone = [job_id for job_id, revision in self._gone.items() if revision > since]
        return [b"".join((b'{"jobs":[', b",".join(jobs), self._tail(gone, since, full=False)))]

    def _tail(self, gone: list[str], since: int, *, full: bool) -> bytes:
        """What follows the jobs in a ``JobDelta``."""
        installs = [install.wire for install in self._installs.values() if install.revision > since]
        return b"".join(
            (
                b'],"gone":',
                orjson.dumps(gone),
                b',"installs":[',
                b",".join(installs),
                b"]",
                b',"full":true' if full else b',"full":false',
                b',"token":"',
                self.token.encode(),
                b'"}',
            )
        )

    async def wait(self, token: str | None, seconds: float) -> bool:
        """Wait until the revision is another than the token's.

        Returns:
            True if it is (at once for a token that is not of this epoch); False after ``seconds`` or on close.
        """
        if self.revision_of(token) != self._revision:
            return True
        if self.closed:
            return False
        if self._changed is None:
            self._changed = asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return self.revision_of(token) != self._revision
