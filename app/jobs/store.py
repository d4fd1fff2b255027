"""The truth on disk: SQLite, one connection on one writer thread, group commit.

Changes that come while a commit is under way share the next one; whoever asked is told after the commit, in the order
in which they asked. The standard library is used and not SQLAlchemy: docs/decisions/0002-store.md has the figures.
This module and :mod:`app.jobs.schema` are the only ones that speak SQL.
"""

from __future__ import annotations

import asyncio
import queue
import secrets
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.jobs.schema import MIGRATIONS

T = TypeVar("T")
Statement = tuple[str, tuple[object, ...]]
"""SQL and its parameters."""

LAZY_SECONDS = 0.2
"""The longest that a change which can wait does wait for another one to share its commit."""

BATCH = 512
"""With so many changes a commit takes no more."""

_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


class StoreError(Exception):
    """The store could not be opened, or a change could not be committed; nothing of that change is in it."""


class Commit(asyncio.Future[None]):
    """A change on its way to the disk: a future of the event loop, that threads can wait for too.

    It raises:
        StoreError: nothing of the change was committed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._open = threading.Lock()  # held until the commit; an Event costs five times as much
        self._open.acquire()
        self._refused: StoreError | None = None

    def wait_in_thread(self) -> None:
        """Wait for the commit in a thread: no wake-up of the event loop lies between.

        Raises:
            StoreError: nothing of the change was committed.
        """
        with self._open:
            if self._refused is not None:
                raise self._refused

    def tell_threads(self, refused: StoreError | None = None) -> None:
        """For the store: it is committed, or refused."""
        self._refused = refused
        self._open.release()


@dataclass(slots=True)
class _Change:
    statements: Sequence[Statement]
    committed: Callable[[], None] | None
    done: Commit


class Store:
    """One SQLite file. Open it with :meth:`open`, close it with :meth:`close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[list[_Change] | Callable[[sqlite3.Connection], None] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[_Change] = []
        self._lazy_timer: asyncio.TimerHandle | None = None
        self.store_id = ""
        self.epoch = 0

    async def open(self) -> None:
        """Open or make the file, migrate it, begin a new epoch.

        Raises:
            StoreError: it cannot be opened, is damaged, or was written by a newer Zordon.
        """
        self._loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="store-writer", daemon=True)
        self._thread.start()
        try:
            await ready
        except StoreError:
            self._thread.join()
            self._thread = None
            raise

    async def close(self) -> None:
        """Commit what waits, close the file, end the thread."""
        self._hand_over()
        if self._thread is not None:
            thread, self._thread = self._thread, None
            self._queue.put(None)
            await asyncio.to_thread(thread.join)

    def write(
        self, statements: Sequence[Statement], committed: Callable[[], None] | None = None, *, lazy: bool = False
    ) -> Commit:
        """Commit statements together, all or none.

        ``lazy``: it can wait a moment for another change to share its commit. Order is kept all the same.

        ``committed`` is called on the event loop right after the commit, before the future is resolved and in the
        order of the calls of :meth:`write`, also if nobody waits for the future any more.

        The future raises:
            StoreError: nothing of it was committed.
        """
        assert self._loop is not None, "open() comes first"
        done = Commit(self._loop)
        if self._thread is None:
            closed = StoreError("the store is closed")
            done.tell_threads(closed)
            done.set_exception(closed)
        elif lazy:
            self._waiting.append(_Change(statements, committed, done))
            if self._lazy_timer is None:
                self._lazy_timer = self._loop.call_later(LAZY_SECONDS, self._hand_over)
        else:
            self._waiting.append(_Change(statements, committed, done))
            self._hand_over()
        return done

    def _hand_over(self) -> None:
        """Wake the writer, once for all that waits."""
        if self._lazy_timer is not None:
            self._lazy_timer.cancel()
            self._lazy_timer = None
        if self._waiting:
            changes, self._waiting = self._waiting, []
            self._queue.put(changes)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run a query on the writer thread, after what was asked to be written before it.

        Raises:
            StoreError: SQLite refuses it, or the store is closed.
        """
        if self._thread is None or self._loop is None:
            raise StoreError("the store is closed")
        self._hand_over()
        loop, answer = self._loop, self._loop.create_future()

        def ask(connection: sqlite3.Connection) -> None:
            try:
                result = query(connection)
            except sqlite3.Error as error:
                reason = StoreError(f"the store cannot be read: {_sentence(error)}")
                loop.call_soon_threadsafe(_reject, [answer], reason)
            else:
                loop.call_soon_threadsafe(_resolve, answer, result)

        self._queue.put(ask)
        found: T = await answer
        return found

    # --- the writer thread ---------------------------------------------------------------------------------------

    def _run(self, ready: asyncio.Future[None]) -> None:
        assert self._loop is not None
        loop = self._loop
        try:
            connection = self._connect()
        except (sqlite3.Error, StoreError) as error:
            reason = StoreError(f"the store {self._path.name} cannot be opened: {_sentence(error)}")
            loop.call_soon_threadsafe(_reject, [ready], reason)
            return
        loop.call_soon_threadsafe(_resolve, ready, None)
        try:
            self._serve(connection, loop)
        finally:
            connection.close()

    def _serve(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            item = self._queue.get()
            batch: list[_Change] = []
            while isinstance(item, list):
                batch += item
                if len(batch) >= BATCH:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._commit(connection, loop, batch)
            if item is None:
                return
            if not isinstance(item, list):
                item(connection)

    def _commit(
        self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop, batch: Sequence[_Change]
    ) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for change in batch:
                for sql, parameters in change.statements:
                    connection.execute(sql, parameters)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if len(batch) > 1:
                # One bad change must not take those that happened to share its commit with it.
                for change in batch:
                    self._commit(connection, loop, [change])
                return
            reason = StoreError(f"the change could not be stored: {_sentence(error)}")
            for change in batch:
                change.done.tell_threads(reason)
            loop.call_soon_threadsafe(_reject, [change.done for change in batch], reason)
        else:
            for change in batch:
                change.done.tell_threads()
            loop.call_soon_threadsafe(_tell, batch)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_size_limit=67108864")
            self._migrate(connection)
            row = connection.execute("SELECT value FROM meta WHERE key='store_id'").fetchone()
            self.store_id = row[0] if row else secrets.token_hex(4)
            row = connection.execute("SELECT value FROM meta WHERE key='epoch'").fetchone()
            self.epoch = int(row[0]) + 1 if row else 1
            connection.execute("BEGIN IMMEDIATE")
            facts = [("store_id", self.store_id), ("epoch", str(self.epoch))]
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", facts)
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _migrate(connection: sqlite3.Connection) -> None:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StoreError(f"it was written by a newer Zordon (version {version}, this one knows {len(MIGRATIONS)})")
        for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={number}")
            connection.execute("COMMIT")


def _sentence(error: Exception) -> str:
    """What SQLite or we say, and what to do where only a person can do something."""
    if getattr(error, "sqlite_errorname", "").startswith(_DAMAGED):  # set where SQLite itself has said it
        return (
            f"it is damaged ({error}). Nothing was removed. Stop the service, keep a copy of the file, and put it back "
            "from a backup; sqlite3's command .recover saves what can still be read"
        )
    return str(error)


def _tell(batch: Sequence[_Change]) -> None:
    for change in batch:
        if change.committed is not None:
            change.committed()
        if not change.done.done():
            change.done.set_result(None)


def _resolve(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _reject(futures: Sequence[asyncio.Future[None]], reason: StoreError) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(reason)
