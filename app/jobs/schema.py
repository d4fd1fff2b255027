"""The store's tables, as numbered migrations. Migration ``n`` takes a store of version ``n-1`` to ``n``; none is ever
changed once released."""

from __future__ import annotations

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        # seq keeps the order of submission; project is a folder below projects/, shared by jobs;
        # spec changes with the engine version only; state and wire do with every event.
        """CREATE TABLE jobs (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            status TEXT NOT NULL,
            revision INTEGER NOT NULL,
            project TEXT,
            spec BLOB NOT NULL,
            state BLOB NOT NULL,
            wire BLOB NOT NULL
        )""",
        # frames: the chunk, in the field's notation. session: id of the attempt that started the process.
        """CREATE TABLE attempts (
            id TEXT PRIMARY KEY,
            job TEXT NOT NULL,
            session TEXT NOT NULL,
            frames TEXT NOT NULL,
            started REAL NOT NULL,
            ended REAL,
            outcome TEXT,
            reason TEXT
        ) WITHOUT ROWID""",
        "CREATE INDEX attempts_of_job ON attempts (job)",
        "CREATE INDEX attempts_open ON attempts (id) WHERE ended IS NULL",
        # One row an engine process, so that leftovers of a crash are recognised beyond doubt.
        """CREATE TABLE processes (
            session TEXT PRIMARY KEY,
            pid INTEGER NOT NULL,
            started REAL NOT NULL,
            boot TEXT NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE idempotency (
            key TEXT PRIMARY KEY,
            body TEXT NOT NULL,
            jobs TEXT NOT NULL,
            at REAL NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE installs (
            engine TEXT NOT NULL,
            version TEXT NOT NULL,
            path TEXT NOT NULL,
            installed REAL NOT NULL,
            last_used REAL,
            PRIMARY KEY (engine, version)
        ) WITHOUT ROWID""",
    ),
    (
        # Engine versions that were asked for and have not come yet: taken up again after a restart.
        """CREATE TABLE fetches (
            id TEXT PRIMARY KEY,
            engine TEXT NOT NULL,
            version TEXT NOT NULL,
            asked REAL NOT NULL
        ) WITHOUT ROWID""",
    ),
    (
        # Tokens and browsers' sessions. digest: SHA-256 of the secret, which is kept nowhere.
        """CREATE TABLE tokens (
            id TEXT PRIMARY KEY,
            digest BLOB NOT NULL UNIQUE,
            name TEXT NOT NULL,
            role TEXT NOT NULL,
            kind TEXT NOT NULL,
            made_by TEXT NOT NULL,
            created REAL NOT NULL,
            expires REAL
        ) WITHOUT ROWID""",
    ),
    (
        # Attempts of our jobs that other nodes make. subjob: its id there, once it is known. loose: the attempt is over
        # because the node did not answer, and what it has may still be of use.
        """CREATE TABLE subjobs (
            attempt TEXT PRIMARY KEY,
            job TEXT NOT NULL,
            node TEXT NOT NULL,
            name TEXT NOT NULL,
            subjob TEXT,
            frames TEXT NOT NULL,
            loose INTEGER NOT NULL DEFAULT 0
        ) WITHOUT ROWID""",
        # Jobs that are subjobs of another node. confirmed: when that node said that it wants nothing more of it.
        """CREATE TABLE origins (
            job TEXT PRIMARY KEY,
            confirmed REAL
        ) WITHOUT ROWID""",
    ),
)
