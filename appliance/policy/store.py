# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What must outlive the appliance: policy revisions, the draft, workloads, containment, and numbers given for good.

One SQLite file in WAL mode: a change is there whole or not at all, whenever the process is killed. Revisions are kept
as the text that was published, so that what a person wrote is what a person gets back; the newest that was published
and not refused is the one in force. A publish is written down before the fast path is asked and marked refused when
that fails, so that an appliance that was killed in between finishes it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from appliance.errors import BadState, Code, FlowError, InvalidValue, NotFound
from appliance.policy.keys import Key

FILE: Final = "segmentation.db"
FORMAT: Final = 2
_CONTEXT: Final = b"ringfield policy revision v1\n"
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revisions (
    number INTEGER PRIMARY KEY, time REAL NOT NULL, actor TEXT NOT NULL, credential TEXT NOT NULL,
    reason TEXT NOT NULL, source TEXT NOT NULL, file TEXT NOT NULL, digest TEXT NOT NULL,
    origin TEXT NOT NULL, of INTEGER NOT NULL, refusal TEXT NOT NULL, signature TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS workloads (
    name TEXT PRIMARY KEY, declared INTEGER NOT NULL, content TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS interned (
    kind TEXT NOT NULL, number INTEGER NOT NULL, content TEXT NOT NULL, PRIMARY KEY (kind, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS containment (
    name TEXT PRIMARY KEY, content TEXT NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """The policy that is being written."""

    source: str
    """YAML, as it was given."""
    file: str = "draft"
    """Name for messages."""
    time: float = 0.0
    actor: str = ""

    @property
    def digest(self) -> str:
        """Tells one content from another; callers pass it back to say which draft they saw."""
        return digest_of(self.source)


@dataclass(frozen=True, slots=True)
class Revision:
    """A policy that was published."""

    number: int
    time: float
    """Seconds since the epoch."""
    actor: str
    credential: str
    reason: str
    source: str
    file: str
    digest: str
    origin: str = "publish"
    """``publish``, ``rollback``, ``config`` (the configuration file), ``unconfirmed`` (a publish nobody confirmed)."""
    of: int = 0
    """Rolled back: the revision whose content this is."""
    refusal: str = ""
    """Why it never came into force; empty: it did."""
    signature: str = ""
    """Of all but the refusal, by the appliance's key; base 64."""

    def message(self) -> bytes:
        """What is signed."""
        given = {name: getattr(self, name) for name in self.__slots__ if name not in ("refusal", "signature")}
        return json.dumps(given, sort_keys=True).encode()


_U64: Final = (1 << 64) - 1


def _signed(number: int) -> int:
    """As SQLite keeps it."""
    return number - (1 << 64) if number >> 63 else number


def digest_of(source: str) -> str:
    """SHA-256 of a policy's text, in hex."""
    return hashlib.sha256(source.encode()).hexdigest()


class Store:
    """The file. One process opens it; any thread may call."""

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / FILE
        self.key = Key(directory)
        self._clock = clock
        self._lock = threading.RLock()
        self._depth = 0
        self._flushing = threading.Lock()
        self._flushed = False
        self.floor = 0
        """No revision number up to this one is given again, whatever the file says."""
        self._sql = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5.0)
        self.path.chmod(0o600)
        self._sql.execute("PRAGMA journal_mode=WAL")
        # A committed change survives the death of the process at once; ``flush`` makes it survive the machine's.
        self._sql.execute("PRAGMA synchronous=NORMAL")
        self._sql.execute(
            "PRAGMA wal_autocheckpoint=0"
        )  # it would wait for the disk in the midst of a change
        self._sql.executescript(_TABLES)
        found = self.meta("format")
        if found and int(found) > FORMAT:
            self._sql.close()
            raise BadState(f"{self.path} was written by a newer Ringfield (format {found}, known: {FORMAT})")
        if "signature" not in (row[1] for row in self._all("PRAGMA table_info(revisions)")):
            # Of format 1, which signed nothing: what is there has to be published again.
            self._sql.execute("ALTER TABLE revisions ADD COLUMN signature TEXT NOT NULL DEFAULT ''")
        self.set_meta("format", str(FORMAT))
        self._disk = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=5.0)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside becomes durable in one step, or not at all. ``FlowError``: it cannot be written."""
        with self._lock:
            try:
                if self._depth == 0:
                    self._sql.execute("BEGIN IMMEDIATE")
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                if self._depth == 0:
                    self._sql.execute("COMMIT")
                    self._flushed = False
            except BaseException as error:
                if self._depth == 0 and self._sql.in_transaction:
                    self._sql.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    why = f"{self.path} cannot be written, nothing was changed: {error}"
                    raise FlowError(why, Code.IO_FAILED) from error
                raise

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._sql.execute(query, values).fetchall()

    def flush(self) -> None:
        """What was committed so far survives the death of the machine. Keeps nobody waiting who writes."""
        with self._flushing:
            if not self._flushed:
                self._flushed = True  # before it is: a commit meanwhile sets it back
                try:
                    self._disk.execute("PRAGMA wal_checkpoint(PASSIVE)")
                except sqlite3.Error:
                    self._flushed = False
                    raise

    # -- small things

    def meta(self, key: str, default: str = "") -> str:
        """A value by name."""
        rows = self._all("SELECT value FROM meta WHERE key = ?", key)
        return str(rows[0][0]) if rows else default

    def set_meta(self, key: str, value: str) -> None:
        """Keep a value by name."""
        with self.transaction():
            self._sql.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    # -- the draft

    @property
    def draft(self) -> Draft | None:
        """The draft; None when there is none, so that the running policy is what one would edit."""
        text = self.meta("draft")
        return Draft(**json.loads(text)) if text else None

    def set_draft(self, source: str, file: str, actor: str, *, expected: str | None = None) -> Draft:
        """Replace the draft. ``expected``: the digest of the draft that the caller saw (empty: none); another one
        is there now: ``BadState``.
        """
        with self.transaction():
            now = self.draft
            if expected is not None and expected != (now.digest if now else ""):
                who = now.actor if now else "somebody"
                raise BadState(f"the draft was changed by {who} since you read it; read it again")
            draft = Draft(source, file, self._clock(), actor)
            content = {"source": source, "file": file, "time": draft.time, "actor": actor}
            self.set_meta("draft", json.dumps(content))
        return draft

    def drop_draft(self) -> None:
        """There is no draft any more."""
        with self.transaction():
            self._sql.execute("DELETE FROM meta WHERE key = 'draft'")

    # -- revisions

    def revisions(self, *, last: int = 0) -> list[Revision]:
        """All revisions, the newest first."""
        rows = self._all("SELECT * FROM revisions ORDER BY number DESC LIMIT ?", last or -1)
        return [Revision(*row) for row in rows]

    def revision(self, number: int) -> Revision:
        """One revision; ``NotFound``."""
        rows = self._all("SELECT * FROM revisions WHERE number = ?", number)
        if not rows:
            last = self.last_number
            known = f"the last is {last}" if last else "none was published yet"
            raise NotFound(f"there is no revision {number} ({known})")
        return Revision(*rows[0])

    def distrust(self, revision: Revision) -> str:
        """Why a revision is not what this appliance published; empty: it is."""
        if not revision.signature:
            return f"revision {revision.number} is not signed: it was not published by this appliance"
        if not self.key.signed(_CONTEXT, revision.message(), revision.signature):
            return (
                f"revision {revision.number} was changed since it was published, or the key is another: its signature "
                f"is not that of this appliance's key ({self.key.fingerprint})"
            )
        if revision.digest != digest_of(revision.source):
            return f"revision {revision.number}: its digest is not that of its text"
        return ""

    def trusted(self, number: int) -> Revision:
        """One revision, to be brought into force again. ``NotFound``; ``BadState``: it is not what was published."""
        revision = self.revision(number)
        if why := self.distrust(revision):
            raise BadState(why)
        return revision

    @property
    def running(self) -> Revision | None:
        """The revision that is to be in force."""
        rows = self._all("SELECT * FROM revisions WHERE refusal = '' ORDER BY number DESC LIMIT 1")
        return Revision(*rows[0]) if rows else None

    @property
    def last_number(self) -> int:
        """Highest number ever given, refused and deleted revisions included."""
        there = int(self._all("SELECT COALESCE(MAX(number), 0) FROM revisions")[0][0])
        return max(there, int(self.meta("last_number", "0")), self.floor)

    def check_publish(self, *, number: int = 0, expected: int | None = None) -> int:
        """The number that a publish now would get; raises why it must not be."""
        running = self.running
        now = running.number if running else 0
        if expected is not None and expected != now:
            raise BadState(
                f"revision {now} is running, not {expected} that you expected: look at what changed"
            )
        last = self.last_number
        if number and number <= last:
            text = (
                f"revision {number} is older than the running one ({now})"
                if number < now
                else (f"revision {number} was used already (the last is {last})")
            )
            raise InvalidValue(text)
        return number or last + 1

    def publish(
        self,
        source: str,
        *,
        file: str,
        actor: str,
        credential: str,
        reason: str = "",
        origin: str = "publish",
        of: int = 0,
        number: int = 0,
        expected: int | None = None,
    ) -> Revision:
        """Write down a revision as the one that is to be in force."""
        with self.transaction():
            made = Revision(
                self.check_publish(number=number, expected=expected),
                self._clock(), actor, credential, reason, source, file, digest_of(source), origin, of,
            )  # fmt: skip
            made = replace(made, signature=self.key.sign(_CONTEXT, made.message()))
            values = [getattr(made, name) for name in Revision.__slots__]
            marks = ", ".join("?" * len(values))
            self._sql.execute(f"INSERT INTO revisions VALUES ({marks})", values)  # noqa: S608 - question marks
            self.set_meta("last_number", str(made.number))
        return made

    def refuse(self, number: int, why: str) -> None:
        """A revision could not be brought into force: the one before it stays."""
        with self.transaction():
            self._sql.execute("UPDATE revisions SET refusal = ? WHERE number = ?", (why or "refused", number))

    # -- numbers that outlive revisions

    def interned(self, kind: str) -> dict[int, str]:
        """Content by number (64 bits), of one kind ("verdict" ...)."""
        rows = self._all("SELECT number, content FROM interned WHERE kind = ? ORDER BY number", kind)
        return {int(number) & _U64: str(content) for number, content in rows}

    def intern(self, kind: str, added: Mapping[int, str]) -> None:
        """Keep numbers before anything names them. A number keeps its content for good."""
        if added:
            rows = [(kind, _signed(number), content) for number, content in added.items()]
            with self.transaction():
                self._sql.executemany("INSERT OR IGNORE INTO interned VALUES (?, ?, ?)", rows)

    # -- workloads and containment, as JSON

    def workloads(self) -> list[tuple[bool, dict[str, Any]]]:
        """Whether the configuration declares it, and the content, by name."""
        rows = self._all("SELECT declared, content FROM workloads ORDER BY name")
        return [(bool(declared), json.loads(content)) for declared, content in rows]

    def set_workload(self, name: str, content: Mapping[str, Any], *, declared: bool) -> None:
        """Keep a workload."""
        with self.transaction():
            self._sql.execute(
                "INSERT OR REPLACE INTO workloads VALUES (?, ?, ?)",
                (name, int(declared), json.dumps(content)),
            )

    def remove_workload(self, name: str) -> None:
        """Forget a workload."""
        with self.transaction():
            self._sql.execute("DELETE FROM workloads WHERE name = ?", (name,))

    def containment(self) -> dict[str, dict[str, Any]]:
        """What is contained, by name."""
        return {
            name: json.loads(content)
            for name, content in self._all("SELECT * FROM containment ORDER BY name")
        }

    def set_containment(self, name: str, content: Mapping[str, Any] | None) -> None:
        """Keep or, with None, forget one."""
        with self.transaction():
            if content is None:
                self._sql.execute("DELETE FROM containment WHERE name = ?", (name,))
            else:
                self._sql.execute(
                    "INSERT OR REPLACE INTO containment VALUES (?, ?)", (name, json.dumps(content))
                )

    def close(self) -> None:
        """Flush and close."""
        with self._lock:
            self._disk.close()
            self._sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._sql.close()
