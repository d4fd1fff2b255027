"""Every statement that the job service gives to the store, under a name."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from app.jobs.store import Statement


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as it stands in the store. ``spec`` and ``state`` are read for jobs that have not ended only."""

    seq: int  # the order of submission
    id: str
    status: str
    project: str | None
    spec: bytes | None
    state: bytes | None
    wire: bytes


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """An engine process that was not known to have ended."""

    session: str
    pid: int
    started: float  # seconds since 1970, as the system tells
    boot: str


@dataclass(frozen=True, slots=True)
class SubjobRow:
    """An attempt that another node makes."""

    attempt: str
    job: str
    node: str  # its id
    name: str  # of the node, for people
    frames: str  # in the field's notation
    subjob: str | None = None  # its id there, once it is known
    loose: bool = False  # see the table


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token or a browser's session. Times are seconds since 1970."""

    id: str
    digest: bytes
    name: str
    role: str
    kind: str
    made_by: str
    created: float
    expires: float | None


def note_probe(at: float) -> Statement:
    """Nothing but a sign that the store can be written."""
    return "INSERT OR REPLACE INTO meta (key, value) VALUES ('probed', ?)", (str(at),)


def insert_job(
    id: str, status: str, revision: int, project: str | None, spec: bytes, state: bytes, wire: bytes
) -> Statement:
    """A new job, after all others."""
    return (
        "INSERT INTO jobs (id, status, revision, project, spec, state, wire) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (id, status, revision, project, spec, state, wire),
    )


def update_job(id: str, status: str, revision: int, state: bytes, wire: bytes, spec: bytes | None = None) -> Statement:
    """A change of a job; ``spec`` only where that changed too."""
    if spec is not None:
        return (
            "UPDATE jobs SET status=?, revision=?, spec=?, state=?, wire=? WHERE id=?",
            (status, revision, spec, state, wire, id),
        )
    return (
        "UPDATE jobs SET status=?, revision=?, state=?, wire=? WHERE id=?",
        (status, revision, state, wire, id),
    )


def delete_job(id: str) -> list[Statement]:
    """A job and all that belongs to it."""
    return [
        ("DELETE FROM processes WHERE session IN (SELECT session FROM attempts WHERE job=?)", (id,)),
        ("DELETE FROM attempts WHERE job=?", (id,)),
        ("DELETE FROM subjobs WHERE job=?", (id,)),
        ("DELETE FROM origins WHERE job=?", (id,)),
        ("DELETE FROM jobs WHERE id=?", (id,)),
    ]


def begin_attempt(id: str, job: str, session: str, frames: str, at: float) -> Statement:
    """An attempt took a chunk."""
    return (
        "INSERT INTO attempts (id, job, session, frames, started) VALUES (?, ?, ?, ?, ?)",
        (id, job, session, frames, at),
    )


def end_attempt(id: str, at: float, outcome: str, reason: str) -> Statement:
    """An attempt is over."""
    return "UPDATE attempts SET ended=?, outcome=?, reason=? WHERE id=?", (at, outcome, reason, id)


def begin_process(session: str, pid: int, started: float, boot: str) -> Statement:
    """An engine process was started."""
    return "INSERT OR REPLACE INTO processes VALUES (?, ?, ?, ?)", (session, pid, started, boot)


def end_process(session: str) -> Statement:
    """An engine process and all that it started is gone."""
    return "DELETE FROM processes WHERE session=?", (session,)


def end_open_attempts(at: float) -> Statement:
    """After a start: no attempt of the time before is alive, but for those that other nodes make."""
    return (
        """UPDATE attempts SET ended=?, outcome='released', reason='the service was stopped' WHERE ended IS NULL
           AND id NOT IN (SELECT attempt FROM subjobs WHERE NOT loose)""",
        (at,),
    )


def begin_subjob(row: SubjobRow) -> Statement:
    """Another node is asked to make an attempt."""
    return (
        "INSERT INTO subjobs (attempt, job, node, name, subjob, frames, loose) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (row.attempt, row.job, row.node, row.name, row.subjob, row.frames, row.loose),
    )


def name_subjob(attempt: str, subjob: str) -> Statement:
    """What the other node calls it."""
    return "UPDATE subjobs SET subjob=? WHERE attempt=?", (subjob, attempt)


def loosen_subjob(attempt: str) -> Statement:
    """The attempt is over, and what its node has may still be of use."""
    return "UPDATE subjobs SET loose=1 WHERE attempt=?", (attempt,)


def end_subjob(attempt: str) -> Statement:
    """Nothing more is wanted of it."""
    return "DELETE FROM subjobs WHERE attempt=?", (attempt,)


def end_subjobs_of(job: str) -> Statement:
    """Nothing more is wanted of any subjob of this job."""
    return "DELETE FROM subjobs WHERE job=?", (job,)


def begin_origin(job: str) -> Statement:
    """A job is a subjob of another node."""
    return "INSERT INTO origins (job) VALUES (?)", (job,)


def confirm_origin(job: str, at: float) -> Statement:
    """The node of the parent wants nothing more of it."""
    return "UPDATE origins SET confirmed=? WHERE job=?", (at, job)


def load_subjobs(connection: sqlite3.Connection) -> list[SubjobRow]:
    """All subjobs that other nodes have of us."""
    rows = connection.execute("SELECT attempt, job, node, name, frames, subjob, loose FROM subjobs ORDER BY attempt")
    return [
        SubjobRow(attempt, job, node, name, frames, subjob, bool(loose))
        for attempt, job, node, name, frames, subjob, loose in rows
    ]


def load_origins(connection: sqlite3.Connection) -> dict[str, float | None]:
    """Jobs that are subjobs of other nodes, and when these said that they want nothing more."""
    return dict(connection.execute("SELECT job, confirmed FROM origins"))


def remember_key(key: str, body: str, jobs: Sequence[str], at: float) -> Statement:
    """An Idempotency-Key was used."""
    return "INSERT INTO idempotency VALUES (?, ?, ?, ?)", (key, body, orjson.dumps(list(jobs)).decode(), at)


def forget_keys(before: float) -> Statement:
    """Idempotency-Keys that are too old to matter."""
    return "DELETE FROM idempotency WHERE at < ?", (before,)


def begin_fetch(id: str, engine: str, version: str, asked: float) -> Statement:
    """An engine version was asked for."""
    return "INSERT OR REPLACE INTO fetches VALUES (?, ?, ?, ?)", (id, engine, version, asked)


def end_fetch(id: str) -> Statement:
    """It has come, or will not."""
    return "DELETE FROM fetches WHERE id=?", (id,)


def add_install(engine: str, version: str, path: str, at: float) -> Statement:
    """A managed copy of an engine is in its place."""
    return (
        "INSERT OR REPLACE INTO installs (engine, version, path, installed, last_used) VALUES (?, ?, ?, ?, ?)",
        (engine, version, path, at, at),
    )


def use_install(engine: str, version: str, path: str, at: float) -> Statement:
    """A copy of an engine, whoever installed it, was used."""
    return (
        """INSERT INTO installs (engine, version, path, installed, last_used) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (engine, version) DO UPDATE SET path=excluded.path, last_used=excluded.last_used""",
        (engine, version, path, at, at),
    )


def remove_install(engine: str, version: str) -> Statement:
    """A managed copy was deleted."""
    return "DELETE FROM installs WHERE engine=? AND version=?", (engine, version)


def insert_token(row: TokenRow) -> Statement:
    """A token was made, or a browser let in."""
    return (
        "INSERT INTO tokens (id, digest, name, role, kind, made_by, created, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (row.id, row.digest, row.name, row.role, row.kind, row.made_by, row.created, row.expires),
    )


def remove_token(id: str) -> Statement:
    """A token was revoked, or a browser logged out."""
    return "DELETE FROM tokens WHERE id=?", (id,)


def forget_expired_tokens(now: float) -> Statement:
    """Tokens and sessions whose time is over."""
    return "DELETE FROM tokens WHERE expires <= ?", (now,)


def remember_first_token(mark: str) -> Statement:
    """With which first token the service was started last."""
    return "INSERT OR REPLACE INTO meta (key, value) VALUES ('first_token', ?)", (mark,)


def load_first_token(connection: sqlite3.Connection) -> str | None:
    """The mark of the first token of the last start; None before the first."""
    row: tuple[str] | None = connection.execute("SELECT value FROM meta WHERE key='first_token'").fetchone()
    return None if row is None else row[0]


def forget_sessions(made_by: str) -> Statement:
    """Nobody who was let in with this token stays in."""
    return "DELETE FROM tokens WHERE kind='session' AND made_by=?", (made_by,)


def load_tokens(connection: sqlite3.Connection) -> list[TokenRow]:
    """Every token and session, in the order in which they were made."""
    rows = connection.execute(
        "SELECT id, digest, name, role, kind, made_by, created, expires FROM tokens ORDER BY created, id"
    )
    return [TokenRow(*row) for row in rows]


def load_fetches(connection: sqlite3.Connection) -> list[tuple[str, str, str, float]]:
    """Engine versions that were asked for: id, engine, version, seconds since 1970; oldest first."""
    return list(connection.execute("SELECT id, engine, version, asked FROM fetches ORDER BY asked"))


def load_installs(connection: sqlite3.Connection) -> dict[tuple[str, str], float]:
    """When copies were used last, in seconds since 1970, by engine and version."""
    rows = connection.execute("SELECT engine, version, COALESCE(last_used, installed) FROM installs")
    return {(engine, version): at for engine, version, at in rows}


def load_jobs(connection: sqlite3.Connection, after: int, most: int) -> list[JobRow]:
    """The next jobs in the order of submission, behind the one with this ``seq`` (0: from the first), at most so many.
    Of ended ones only what lists need: they may be many."""
    rows = connection.execute(
        """SELECT seq, id, status, project,
               CASE WHEN status IN ('completed', 'cancelled', 'error') THEN NULL ELSE spec END,
               CASE WHEN status IN ('completed', 'cancelled', 'error') THEN NULL ELSE state END,
               wire
           FROM jobs WHERE seq > ? ORDER BY seq LIMIT ?""",
        (after, most),
    )
    return [JobRow(*row) for row in rows]


def load_job(connection: sqlite3.Connection, id: str) -> tuple[bytes, bytes] | None:
    """Spec and state of one job."""
    row: tuple[bytes, bytes] | None = connection.execute("SELECT spec, state FROM jobs WHERE id=?", (id,)).fetchone()
    return row


def load_last_failure(connection: sqlite3.Connection, job: str) -> str:
    """What the attempt of a job that failed last said; empty if none has."""
    row = connection.execute(
        """SELECT reason FROM attempts WHERE job=? AND outcome NOT IN ('succeeded', 'released')
           ORDER BY ended DESC LIMIT 1""",
        (job,),
    ).fetchone()
    return str(row[0] or "") if row else ""


def load_processes(connection: sqlite3.Connection) -> list[ProcessRow]:
    """Engine processes that were not known to have ended."""
    return [ProcessRow(*row) for row in connection.execute("SELECT session, pid, started, boot FROM processes")]


def load_keys(connection: sqlite3.Connection) -> dict[str, tuple[str, list[str]]]:
    """Used Idempotency-Keys: hash of the body, ids of the jobs."""
    return {
        key: (body, orjson.loads(jobs))
        for key, body, jobs in connection.execute("SELECT key, body, jobs FROM idempotency")
    }


def load_revision(connection: sqlite3.Connection) -> int:
    """The highest revision that was ever committed and is still there."""
    revision: int = connection.execute("SELECT COALESCE(MAX(revision), 0) FROM jobs").fetchone()[0]
    return revision
