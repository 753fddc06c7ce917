"""The history of weights, durable in SQLite: what was acknowledged is on disk."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import Gauge

from ops.problems import Problem
from wire.codec import decode_weights, encode_snapshot
from wire.messages import Origin, Snapshot, WeightsInfo

FILE_NAME = "weights.sqlite3"
MAX_CHECKPOINTS = 50
MAX_VERSIONS = 1_000  # about 400 MB of default networks
BUSY_TIMEOUT_S = 5.0

# What may be forgotten when the history is full, in this order, oldest first. A reset can be made
# again from its seed, a restore is a copy; uploads and saves stay, and so does what has a name.
EXPENDABLE: tuple[Origin, ...] = ("checkpoint", "tune", "reset", "restore")
_NAMELESS = "(name IS NULL OR origin = 'restore')"  # a restore has the name of its original

# AUTOINCREMENT remembers the highest version even after its row is gone. The blob comes last, so
# that a list of versions does not read it.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    iteration INTEGER NOT NULL,
    loss REAL,
    test_acc REAL,
    origin TEXT NOT NULL,
    name TEXT,
    created TEXT NOT NULL,
    weights BLOB NOT NULL
)
"""
# The versions that somebody put in place of the run's weights. Each is written here before it goes
# live, so that the newest can be put back where Redis has lost it.
_REPLACEMENTS = """
CREATE TABLE IF NOT EXISTS replacements (version INTEGER PRIMARY KEY)
"""
_COLUMNS = "version, iteration, loss, test_acc, origin, name, created"
# SQLite's primary result codes for a disk that is full, read-only, broken or not there.
_NO_STORAGE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
}

VERSIONS = Gauge("inkling_weights_versions", "Versions in the history of weights")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the history knows of one version; `created` is an ISO 8601 time in UTC."""

    version: int
    iteration: int
    loss: float | None
    test_acc: float | None
    origin: Origin
    name: str | None
    created: str


class Store:
    """The versions in one folder. Threads may share a store.

    The file is opened at the first use, and again after a failure, so that a folder which becomes
    writable is used without a restart. Every method raises Problem 507 when the disk is full,
    read-only or not there, 503 when the file is no history, and then has changed nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def check(self) -> None:
        """Return if the history can be opened."""
        with self._reach():
            pass

    def add(
        self,
        snapshot: Snapshot,
        *,
        name: str | None = None,
        test_acc: float | None = None,
        replaces: bool = False,
    ) -> bool:
        """Store `snapshot` durably; return False, changing nothing, if its version is there.

        `replaces` says that it is about to take the place of the run's weights. Makes room where
        the history is full. Raises Problem 409 when all that is in it was kept by people.
        """
        info = snapshot.info
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = (info.version, info.iteration, info.loss, test_acc, info.origin, name, created)
        with self._reach() as connection:
            added = connection.execute(
                f"INSERT OR IGNORE INTO versions ({_COLUMNS}, weights) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, encode_snapshot(snapshot)),
            )
            if added.rowcount and replaces:
                connection.execute("INSERT INTO replacements VALUES (?)", (info.version,))
            if added.rowcount:
                _make_room(connection, info.version)
            return bool(added.rowcount)

    def remove(self, version: int) -> bool:
        """Forget a version; return False if there is none of this number."""
        with self._reach() as connection:
            gone = connection.execute("DELETE FROM versions WHERE version = ?", (version,))
            connection.execute("DELETE FROM replacements WHERE version = ?", (version,))
            return bool(gone.rowcount)

    def rename(self, version: int, name: str | None) -> Entry | None:
        """Give a version this name or none; return it, or None if there is none of this number."""
        with self._reach() as connection:
            connection.execute("UPDATE versions SET name = ? WHERE version = ?", (name, version))
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM versions WHERE version = ?", (version,)
            ).fetchone()
            return Entry(*row) if row else None

    def note_test_accuracy(self, version: int, test_acc: float) -> None:
        """Write down the test accuracy (0 to 1) of a version, if it is in the history."""
        with self._reach() as connection:
            connection.execute(
                "UPDATE versions SET test_acc = ? WHERE version = ?", (test_acc, version)
            )

    def entries(self) -> list[Entry]:
        """Return all versions, newest first."""
        with self._reach() as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM versions ORDER BY version DESC")
            return [Entry(*row) for row in rows]

    def load(self, version: int) -> tuple[Entry, Snapshot] | None:
        """Return a version and its weights, or None if there is none of this number."""
        with self._reach() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS}, weights FROM versions WHERE version = ?", (version,)
            ).fetchone()
        if row is None:
            return None
        entry = Entry(*row[:-1])
        weights, _ = decode_weights(row[-1])
        info = WeightsInfo(entry.version, entry.iteration, entry.origin, entry.loss)
        return entry, Snapshot(weights, info)

    def without_test_accuracy(self, limit: int) -> list[int]:
        """Return the newest `limit` versions whose test accuracy is not known."""
        with self._reach() as connection:
            rows = connection.execute(
                "SELECT version FROM versions WHERE test_acc IS NULL ORDER BY version DESC LIMIT ?",
                (limit,),
            )
            return [version for (version,) in rows]

    def highest(self) -> int:
        """Return the highest version that was ever stored here, 0 if none was."""
        with self._reach() as connection:
            row = connection.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'versions'"
            ).fetchone()
            return int(row[0]) if row else 0

    def newest_replacement(self) -> int:
        """Return the newest version that took the place of the run's weights, 0 if none did."""
        with self._reach() as connection:
            (newest,) = connection.execute(
                "SELECT max(version) FROM replacements JOIN versions USING (version)"
            ).fetchone()
            return newest or 0

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._disconnect()

    # --- the connection ---------------------------------------------------------------------
    @contextmanager
    def _reach(self) -> Iterator[sqlite3.Connection]:
        """Give the connection for one transaction, and translate what goes wrong."""
        with self._lock:
            try:
                connection = self._connection = self._connection or _open(self._path)
                with connection:  # commits, or rolls back what failed
                    before = connection.total_changes
                    yield connection
                if connection.total_changes != before:
                    _count(connection)
            except (sqlite3.Error, OSError) as error:
                # On a full disk there may be no room to open it again, even to read.
                if _code(error) != sqlite3.SQLITE_FULL:
                    self._disconnect()
                raise _problem(self._path, error) from error

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # each commit reaches the disk
        with connection:
            connection.execute(_SCHEMA)
            connection.execute(_REPLACEMENTS)
        _count(connection)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _count(connection: sqlite3.Connection) -> None:
    VERSIONS.set(connection.execute("SELECT count(*) FROM versions").fetchone()[0])


def _make_room(connection: sqlite3.Connection, newest: int) -> None:
    """Delete what is beyond the bounds; never the version `newest`, which has just come in."""
    connection.execute(
        "DELETE FROM versions WHERE version IN (SELECT version FROM versions "
        f"WHERE origin = 'checkpoint' AND {_NAMELESS} ORDER BY version DESC LIMIT -1 OFFSET ?)",
        (MAX_CHECKPOINTS,),
    )
    (count,) = connection.execute("SELECT count(*) FROM versions").fetchone()
    for origin in EXPENDABLE:
        if count <= MAX_VERSIONS:
            return
        count -= connection.execute(
            "DELETE FROM versions WHERE version IN (SELECT version FROM versions "
            f"WHERE origin = ? AND {_NAMELESS} AND version != ? ORDER BY version LIMIT ?)",
            (origin, newest, count - MAX_VERSIONS),
        ).rowcount
    if count > MAX_VERSIONS:
        raise Problem(
            409,
            f"the history holds {MAX_VERSIONS:,} uploaded, saved or named versions, as many as "
            "are allowed; nothing was changed. Delete some: DELETE /weights/versions/{version}",
        )


def _problem(path: Path, error: sqlite3.Error | OSError) -> Problem:
    if _code(error) in _NO_STORAGE:
        return Problem(
            507,
            f"the history of weights cannot be kept in {path}: {error}; nothing was changed. "
            "Free space on the disk, or make the folder writable, then try again.",
        )
    return Problem(503, f"the history of weights in {path} cannot be used: {error}")


def _code(error: sqlite3.Error | OSError) -> int:
    """Return SQLite's primary result code."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CANTOPEN)
    return code & 0xFF
