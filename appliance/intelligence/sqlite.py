# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The store in one SQLite file, WAL. Several processes on one machine may open it."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from appliance.errors import BadState, FlowError
from appliance.intelligence.store import Change, Compacted, Conflict, Item, NoSpace

FILE: Final = "central.db"
POLL_SECONDS: Final = 0.05


def _first(sql: sqlite3.Connection) -> None:
    sql.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID")
    sql.execute(
        "CREATE TABLE items (key TEXT PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID"
    )
    sql.execute("INSERT INTO meta VALUES ('version', 0)")


def _second(sql: sqlite3.Connection) -> None:
    """Watching."""
    sql.execute(
        "CREATE TABLE changes (version INTEGER NOT NULL, key TEXT NOT NULL, value BLOB, PRIMARY KEY (version, key)) "
        "WITHOUT ROWID"
    )
    # Changes up to here are not known.
    sql.execute("INSERT INTO meta SELECT 'compacted', value FROM meta WHERE key = 'version'")


UPGRADES: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (_first, _second)
"""One per format; a file of an older one is brought up step by step."""


class SqliteStore:
    """See ``store.Store``."""

    def __init__(self, directory: Path, *, max_pages: int = 0) -> None:
        """Opens or makes the file. ``BadState``: a newer Ringfield wrote it. ``max_pages``: it may not grow beyond."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / FILE
        self._lock = threading.Lock()
        self._moved = threading.Condition()
        self._sql = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10.0)
        self.path.chmod(0o600)
        self._sql.execute("PRAGMA journal_mode=WAL")
        self._sql.execute("PRAGMA synchronous=FULL")
        if max_pages:
            self._sql.execute(f"PRAGMA max_page_count={int(max_pages)}")
        self._upgrade()

    def _upgrade(self) -> None:
        with self._writing() as sql:
            found = int(sql.execute("PRAGMA user_version").fetchone()[0])
            if found > len(UPGRADES):
                raise BadState(
                    f"{self.path} was written by a newer Ringfield (format {found}, known: {len(UPGRADES)})"
                )
            for step in UPGRADES[found:]:
                step(sql)
            sql.execute(f"PRAGMA user_version={len(UPGRADES)}")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._sql.execute("BEGIN IMMEDIATE")
                try:
                    yield self._sql
                    self._sql.execute("COMMIT")
                except BaseException:
                    if self._sql.in_transaction:
                        self._sql.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise _failure(self.path, error) from None

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._sql.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise _failure(self.path, error) from None

    @property
    def version(self) -> int:
        """See ``store.Store``."""
        return int(self._all("SELECT value FROM meta WHERE key = 'version'")[0][0])

    def get(self, key: str) -> Item | None:
        """See ``store.Store``."""
        rows = self._all("SELECT key, value, version FROM items WHERE key = ?", key)
        return Item(*rows[0]) if rows else None

    def range(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[Item]:
        """See ``store.Store``."""
        end = prefix + "\U0010ffff"
        rows = self._all(
            "SELECT key, value, version FROM items WHERE key >= ? AND key < ? AND key > ? ORDER BY key LIMIT ?",
            prefix, end, after, limit or -1,
        )  # fmt: skip
        return [Item(*row) for row in rows]

    def commit(
        self,
        puts: Mapping[str, bytes],
        deletes: Sequence[str] = (),
        *,
        expect: Mapping[str, int] | None = None,
    ) -> int:
        """See ``store.Store``."""
        with self._writing() as sql:
            for key, seen in (expect or {}).items():
                row = sql.execute("SELECT version FROM items WHERE key = ?", (key,)).fetchone()
                now = int(row[0]) if row else 0
                if now != seen:
                    raise Conflict(f"{key} is at version {now}, not {seen}: read it again")
            version = int(sql.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()[0]) + 1
            sql.executemany(
                "INSERT OR REPLACE INTO items VALUES (?, ?, ?)",
                [(key, value, version) for key, value in puts.items()],
            )
            gone = [key for key in deletes if key not in puts]
            sql.executemany("DELETE FROM items WHERE key = ?", [(key,) for key in gone])
            sql.executemany(
                "INSERT INTO changes VALUES (?, ?, ?)",
                [(version, key, value) for key, value in puts.items()]
                + [(version, key, None) for key in gone],
            )
            sql.execute("UPDATE meta SET value = ? WHERE key = 'version'", (version,))
        with self._moved:
            self._moved.notify_all()
        return version

    def probe(self) -> None:
        """See ``store.Store``."""
        with self._writing() as sql:
            sql.execute("INSERT OR REPLACE INTO meta VALUES ('probe', ?)", (time.time_ns(),))

    def changes(self, since: int, *, limit: int = 0) -> Sequence[Change]:
        """See ``store.Store``."""
        compacted = int(self._all("SELECT value FROM meta WHERE key = 'compacted'")[0][0])
        if since < compacted:
            raise Compacted(f"changes up to version {compacted} are forgotten: read everything again")
        rows = self._all(
            "SELECT key, value, version FROM changes WHERE version > ? ORDER BY version, key LIMIT ?",
            since, limit or -1,
        )  # fmt: skip
        return [Change(*row) for row in rows]

    def compact(self, before: int) -> None:
        """See ``store.Store``."""
        with self._writing() as sql:
            sql.execute("DELETE FROM changes WHERE version <= ?", (before,))
            sql.execute("UPDATE meta SET value = MAX(value, ?) WHERE key = 'compacted'", (before,))

    def wait(self, since: int, seconds: float) -> int:
        """See ``store.Store``. Another process's commits are seen within 50 ms."""
        end = time.monotonic() + seconds
        while True:
            now = self.version
            left = end - time.monotonic()
            if now > since or left <= 0:
                return now
            with self._moved:
                self._moved.wait(min(left, POLL_SECONDS))

    def close(self) -> None:
        """See ``store.Store``."""
        with self._lock:
            self._sql.close()


def _failure(path: Path, error: sqlite3.Error) -> FlowError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return NoSpace(f"{path} cannot be written, nothing was changed: {error}")
    return FlowError(f"{path}: {error}")
