# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The audit log: who changed what, by which credential, when, why, from what to what, under which revision.

The file has one JSON object a line. Each entry carries the hash of the one before it, so that a changed or missing
entry breaks the chain; the head (number and hash of the last entry) is signed with Ed25519 into a file of its own, so
that a cut tail shows. The head is what one hands to the other side.

Entries are written before their author hears of the outcome. They survive the death of the process at once and that of
the machine once the head names them, for signing the head flushes the log. Only what the head does not name yet can be
torn by a crash; the remains go into an entry of their own. While nothing can be written, changes are refused; the next
entry tells how many there would have been.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

import structlog

from appliance.errors import Code, FlowError
from appliance.policy.keys import Key, is_signed_by, read_public, replace_file
from appliance.policy.linefile import LineFile

log = structlog.get_logger(__name__)

LOG: Final = "audit.log"
HEAD: Final = "audit.head"
TORN_BYTES: Final = 4096
"""Of a torn entry that are kept."""
MAX_REFUSED: Final = 2000
"""Letters of each text of a refusal: who is refused fills no disk."""
PUBLISHES: Final = ("policy.publish", "policy.rollback")
"""Actions that make a revision; a centre's are its own."""
SIGN_SECONDS: Final = 60.0
"""The head is never older than this behind the last entry."""
_CONTEXT: Final = b"ringfield audit head v1\n"
_NO_HASH: Final = "0" * 64


class Outcome(Enum):
    """What became of a request."""

    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. Over the unix socket ``local``, over mTLS the name in the client's certificate; never what a caller
    says about himself.
    """

    name: str = "local"
    credential: str = "unix"
    """``unix``, ``mtls:<fingerprint>``, ``tls`` (any client), ``insecure`` (TCP without TLS), ``appliance`` (schedules,
    expiry, the configuration)."""


LOCAL: Final = Actor()
APPLIANCE: Final = Actor("appliance", "appliance")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    number: int
    """From 1, without gaps."""
    time: float
    """Seconds since the epoch."""
    actor: str
    credential: str
    action: str
    """``policy.publish``, ``containment.quarantine`` ..."""
    target: str
    """What it was done to: a workload, a revision."""
    outcome: Outcome
    reason: str = ""
    """Why the actor did it, in his words."""
    refusal: str = ""
    """Why it was refused."""
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 0
    """Policy revision in force afterwards."""


class Fault(Enum):
    """What ``verify`` can find."""

    CHANGED = "changed"
    MISSING = "missing"
    CUT = "cut"
    TORN = "torn"
    UNSIGNED = "unsigned"
    FORGED = "forged"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of ``verify``: how many entries are good, and the first that is not."""

    good: int
    """Entries from the start that are as they were written."""
    signed: int
    """Entries that the signed head covers."""
    fault: Fault | None = None
    entry: int = 0
    """Number of the first bad entry; 0: none, or the head alone is at fault."""
    text: str = ""

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return self.fault is None


def _canonical(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _hash(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical({key: value for key, value in row.items() if key != "hash"})).hexdigest()


def _head_bytes(count: int, digest: str, when: float) -> bytes:
    return _canonical({"count": count, "hash": digest, "time": when})


class AuditLog:
    """The log of one appliance. One process writes it; any thread may. ``close`` signs the head."""

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Opens or begins the log. A last line that was never finished is taken off, and told by an entry. New entries
        follow the one that the signed head names, so that what was cut off before shows afterwards too.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory, self._clock = directory, clock
        self._lock = threading.Lock()
        self._signing = threading.Lock()  # before _lock; entries are not kept waiting for the disk
        self._key = Key(directory)
        self._last, self._hash = 0, _NO_HASH
        self._signed = -1
        self._signed_at = 0.0
        self._lost = 0
        """Entries that could not be written."""
        self.published = 0
        """The newest policy revision that was published here, as the log told when it was opened."""
        self._file: LineFile | None = LineFile(directory / LOG)
        self._open(self._file.torn)

    def _open(self, torn: bytes) -> None:
        for row in _rows(self.directory / LOG):
            if isinstance(row, dict) and (entry := _entry(row)) is not None:
                self._last, self._hash = entry.number, str(row.get("hash"))
                if entry.action in PUBLISHES and entry.outcome is Outcome.DONE:
                    self.published = max(self.published, entry.revision)
        there = self._last
        head = _read_head(self.directory)
        good = head is not None and _head_is_good(self.directory, head)
        if head is not None and good and head["count"] >= self._last:
            # What comes follows the entry that was signed last, also if that one is gone: so a cut shows for ever.
            self._last, self._hash = head["count"], head["hash"]
            self._signed, self._signed_at = self._last, float(head["time"])
        with contextlib.suppress(FlowError):  # a full disk: told as soon as there is room
            if torn:
                text = torn[:TORN_BYTES].decode(errors="replace")
                self.append(
                    APPLIANCE, "audit.torn", reason="the last write was cut short", after={"text": text}
                )
            if there and not good:
                why = (
                    "no signed head" if head is None else "the head's signature is not that of this log's key"
                )
                self.append(
                    APPLIANCE, "audit.unsigned", reason=f"{why}: nothing told where the log ended",
                    after={"entries": there},
                )  # fmt: skip

    @property
    def count(self) -> int:
        """Entries in the log."""
        return self._last

    def append(
        self,
        actor: Actor,
        action: str,
        target: str = "",
        *,
        reason: str = "",
        refusal: str = "",
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        revision: int = 0,
    ) -> Entry:
        """Write one entry; with ``refusal`` its outcome is REFUSED. ``FlowError``: it cannot be written."""
        with self._lock:
            try:
                self._catch_up()
                return self._write(
                    Entry(
                        number=self._last + 1,
                        time=self._clock(),
                        actor=actor.name,
                        credential=actor.credential,
                        action=action,
                        target=target,
                        outcome=Outcome.REFUSED if refusal else Outcome.DONE,
                        reason=reason,
                        refusal=refusal,
                        before=dict(before or {}),
                        after=dict(after or {}),
                        revision=revision,
                    )
                )
            except FlowError as error:
                self._lost += 1
                log.error("an entry is lost", action=action, target=target, reason=error.reason)
                raise

    def _write(self, entry: Entry) -> Entry:
        if self._file is None:
            raise ValueError("the audit log is closed")
        row: dict[str, Any] = asdict(entry) | {"outcome": entry.outcome.value, "prev": self._hash}
        row["hash"] = _hash(row)
        try:
            self._file.append(_canonical(row) + b"\n")
        except OSError as error:
            why = f"the audit log cannot be written ({error.strerror}): make room in {self.directory}"
            failed = FlowError(why, Code.IO_FAILED)
            failed.audited = True  # as far as it can be
            raise failed from error
        self._last, self._hash = entry.number, row["hash"]
        return entry

    def _catch_up(self) -> None:
        """Tell how many entries could not be written."""
        if self._lost:
            self._write(
                Entry(
                    self._last + 1, self._clock(), APPLIANCE.name, APPLIANCE.credential, "audit.lost", "",
                    Outcome.DONE, reason="the log could not be written", after={"entries": self._lost},
                )
            )  # fmt: skip
            self._lost = 0

    @contextlib.contextmanager
    def refusals(
        self, actor: Actor, action: str, target: str = "", reason: str = "", revision: int = 0
    ) -> Iterator[None]:
        """A ``FlowError`` that leaves the block is written down as a refusal, once however many blocks it leaves. The
        block is not entered while the log cannot be written: what is not told is not done.
        """
        with self._lock:
            self._catch_up()
        try:
            yield
        except FlowError as error:
            if not error.audited:
                error.audited = True
                with contextlib.suppress(FlowError):  # counted as lost
                    target, reason, refusal = (text[:MAX_REFUSED] for text in (target, reason, error.reason))
                    self.append(actor, action, target, reason=reason, refusal=refusal, revision=revision)
            raise

    def sign(self) -> bool:
        """Flush the log and sign its head, when there is anything new; whether that was done."""
        with self._signing:
            with self._lock:
                if self._signed == self._last or self._file is None:
                    return False
                count, digest, file = self._last, self._hash, self._file
            when = self._clock()
            head = {
                "count": count,
                "hash": digest,
                "time": when,
                "signature": self._key.sign(_CONTEXT, _head_bytes(count, digest, when)),
                "key": self._key.fingerprint,
            }
            try:
                file.flush()
                replace_file(self.directory / HEAD, _canonical(head) + b"\n", 0o600)
            except OSError as error:
                log.error("the head of the audit log cannot be written", reason=error.strerror)
                return False
            with self._lock:
                self._signed, self._signed_at = count, when
            return True

    def tick(self) -> None:
        """Sign the head when it is due. For the housekeeping thread."""
        if self._signed != self._last and self._clock() - self._signed_at >= SIGN_SECONDS:
            self.sign()

    def entries(self, *, last: int = 0) -> list[Entry]:
        """All entries, or the last so many."""
        rows = (_entry(row) for row in _rows(self.directory / LOG) if isinstance(row, dict))
        found = [entry for entry in rows if entry is not None]
        return found[-last:] if last else found

    def verify(self) -> Finding:
        """Whether the log is as it was written; who runs knows what that was, signed or not yet."""
        written = self.count
        found = verify(self.directory)
        if found.fault is Fault.TORN:  # perhaps a line that is just being written
            with self._lock:
                found = verify(self.directory)
        if found.ok and found.good < written:
            text = f"entries {found.good + 1} to {written} are gone at the end: this appliance has written {written}"
            return Finding(found.good, found.signed, Fault.CUT, found.good + 1, text)
        return found

    def close(self) -> None:
        """Sign the head and end."""
        self.sign()
        with self._signing, self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def _rows(path: Path) -> Iterator[dict[str, Any] | bytes]:
    """The lines as objects; what is none, as bytes."""
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    row = json.loads(line)
                except ValueError:
                    yield line
                    continue
                yield row if isinstance(row, dict) and line.endswith(b"\n") else line
    except FileNotFoundError:
        return


def _entry(row: Mapping[str, Any]) -> Entry | None:
    """What a line says; None: it is no entry."""
    try:
        given = {name: row[name] for name in Entry.__slots__ if name in row}
        made = Entry(**given | {"outcome": Outcome(row["outcome"])})
    except (KeyError, TypeError, ValueError):
        return None
    return made if isinstance(made.number, int) else None


def _read_head(directory: Path) -> dict[str, Any] | None:
    try:
        head = json.loads((directory / HEAD).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    kinds: dict[str, type | tuple[type, ...]] = {
        "count": int,
        "hash": str,
        "time": (int, float),
        "signature": str,
    }
    whole = isinstance(head, dict) and all(isinstance(head.get(key), kind) for key, kind in kinds.items())
    return head if whole else None


def _head_is_good(directory: Path, head: Mapping[str, Any]) -> bool:
    key = read_public(directory)
    message = _head_bytes(head["count"], head["hash"], head["time"])
    return key is not None and is_signed_by(key, _CONTEXT, message, head["signature"])


def verify(directory: Path) -> Finding:
    """Check a log against its chain and its signed head; names the first bad entry. Reads only."""
    path = directory / LOG
    head = _read_head(directory)
    signed = head["count"] if head is not None else 0
    good, digest = 0, _NO_HASH
    named: str | None = None  # hash of the entry that the head names

    def bad(fault: Fault, entry: int, text: str) -> Finding:
        return Finding(good, signed, fault, entry, text)

    for row in _rows(path):
        number = good + 1
        if isinstance(row, bytes):
            if not row.endswith(b"\n") and signed < number:
                return bad(
                    Fault.TORN, number, f"entry {number} was never finished: a write that was cut short"
                )
            return bad(Fault.CHANGED, number, f"entry {number} was changed: it is not readable any more")
        if row.get("hash") != _hash(row):
            return bad(
                Fault.CHANGED,
                number,
                f"entry {number} was changed: it does not have the hash it was written with",
            )
        if row.get("number") != number or row.get("prev") != digest:
            there = row.get("number")
            if isinstance(there, int) and there > number:
                gone = f"entry {number} is" if there == number + 1 else f"entries {number} to {there - 1} are"
                return bad(
                    Fault.MISSING, number, f"{gone} missing: entry {good} is followed by entry {there}"
                )
            return bad(
                Fault.CHANGED, number, f"entry {number} does not follow entry {good}: it was put in its place"
            )
        good, digest = number, row["hash"]
        if good == signed:
            named = digest
    if head is None:
        if good:
            return bad(Fault.UNSIGNED, 0, f"{good} entries, but no signed head: a cut tail would not show")
        if not path.exists():
            return bad(Fault.CUT, 0, f"there is no {LOG} in {directory}")
        return Finding(0, 0)
    if not _head_is_good(directory, head):
        return bad(Fault.FORGED, 0, "the head's signature is not that of this log's key")
    if good < signed:
        gone = f"entry {signed} is" if signed == good + 1 else f"entries {good + 1} to {signed} are"
        return bad(Fault.CUT, good + 1, f"{gone} missing at the end: the signed head names {signed} entries")
    if signed and named != head["hash"]:
        return bad(
            Fault.FORGED,
            signed,
            f"entry {signed} is not the one that the signed head names: the log was written anew",
        )
    return Finding(good, signed)
