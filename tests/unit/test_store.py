# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the appliance keeps on disk: whole whenever it is killed, and refusals in words."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import BadState, FlowError, InvalidValue, NotFound
from appliance.policy.keys import KEY
from appliance.policy.store import FILE, Revision, Store, digest_of
from tests.support.fastpath import wait_for
from tests.support.tree import ROOT


def publish(store: Store, source: str, **more: Any) -> Revision:
    return store.publish(source, file="p.yaml", actor="local", credential="unix", **more)


def test_revisions_are_numbered_and_come_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.running is None
    assert store.last_number == 0
    first, second = publish(store, "rules: []\n", reason="first"), publish(store, "rules: [1]\n")
    assert (first.number, second.number) == (1, 2)
    store.close()
    store = Store(tmp_path)
    assert store.running == second
    assert store.revision(1) == first
    assert store.revision(1).digest == digest_of("rules: []\n")
    assert [revision.number for revision in store.revisions()] == [2, 1]
    back = publish(store, first.source, origin="rollback", of=1)
    assert (back.number, store.running) == (3, back)
    store.close()


TAMPERED = (
    "source = 'default: allow'", f"source = 'default: allow', digest = '{digest_of('default: allow')}'", "time = 1.0",
    "actor = 'somebody'", "credential = 'mtls:00'", "reason = 'other'", "file = 'other'", "origin = 'rollback'",
    "of = 1", "signature = ''", "signature = 'AAAA'", "signature = (SELECT signature FROM revisions WHERE number = 1)",
)  # fmt: skip


@pytest.mark.parametrize("change", TAMPERED)
def test_a_revision_that_was_changed_on_disk_is_not_trusted(tmp_path: Path, change: str) -> None:
    store = Store(tmp_path)
    first, second = publish(store, "rules: []\n"), publish(store, "rules: [1]\n", reason="why")
    assert store.distrust(first) == store.distrust(second) == ""
    store.close()
    with sqlite3.connect(tmp_path / FILE) as sql:
        sql.execute(f"UPDATE revisions SET {change} WHERE number = 2")  # noqa: S608 - of the list above
    sql.close()
    store = Store(tmp_path)
    assert store.trusted(1) == first
    with pytest.raises(BadState, match="revision 2"):
        store.trusted(2)
    store.close()


def test_a_number_is_given_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _ in range(3):
        publish(store, "rules: []\n")
    store.close()
    with sqlite3.connect(tmp_path / FILE) as there:
        there.execute("DELETE FROM revisions WHERE number > 1")
    store = Store(tmp_path)
    with pytest.raises(InvalidValue, match="revision 3 was used already"):
        publish(store, "rules: []\n", number=3)
    assert publish(store, "rules: []\n").number == 4
    store.floor = 7  # the file was put back as a whole, but somebody else remembers
    assert publish(store, "rules: []\n").number == 8
    store.close()


def test_a_revision_of_another_key_is_not_trusted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish(store, "rules: []\n")
    store.close()
    (tmp_path / KEY).unlink()
    store = Store(tmp_path)
    with pytest.raises(BadState, match="is not that of this appliance's key"):
        store.trusted(1)
    store.close()


def test_what_was_refused_never_runs(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = publish(store, "a"), publish(store, "b")
    store.refuse(second.number, "it is too big for the tables")
    assert store.running == first
    assert store.revision(2).refusal == "it is too big for the tables"
    assert publish(store, "c").number == 3
    store.close()


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"number": 2}, InvalidValue, "older than the running one"),
        ({"number": 3}, InvalidValue, "used already"),
        ({"expected": 1}, BadState, "revision 3 is running, not 1"),
    ],
)
def test_refusals(tmp_path: Path, more: dict[str, Any], error: type[FlowError], words: str) -> None:
    store = Store(tmp_path)
    for content in "abc":
        publish(store, content)
    with pytest.raises(error, match=words):
        publish(store, "d", **more)
    assert store.last_number == 3
    with pytest.raises(NotFound, match="no revision 9"):
        store.revision(9)
    assert publish(store, "d", number=20).number == 20
    store.close()


def test_a_draft_that_somebody_else_changed_is_not_overwritten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    mine = store.set_draft("mine", "a.yaml", "alice", expected="")
    store.set_draft("hers", "a.yaml", "bob", expected=mine.digest)
    with pytest.raises(BadState, match="changed by bob"):
        store.set_draft("mine again", "a.yaml", "alice", expected=mine.digest)
    draft = store.draft
    assert draft is not None
    assert draft.source == "hers"
    store.drop_draft()
    assert store.draft is None
    store.close()


def test_numbers_keep_their_content(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.intern("verdict", {7: "allow web", 1 << 63 | 9: "deny"})
    store.intern("verdict", {7: "something else", 11: "more"})
    assert store.interned("verdict") == {7: "allow web", 1 << 63 | 9: "deny", 11: "more"}
    store.close()


def test_several_changes_are_one(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def change() -> None:
        with store.transaction():
            store.set_workload("web", {"kind": "generic"}, declared=False)
            publish(store, "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    assert store.workloads() == []
    assert store.running is None
    store.close()


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.set_meta("format", "99")
    store.close()
    with pytest.raises(BadState, match="newer Ringfield"):
        Store(tmp_path)


WRITER = """
import sys
from pathlib import Path
from appliance.policy.store import Store
store = Store(Path(sys.argv[1]))
for number in range(100000):
    with store.transaction():
        made = store.publish(f"content {number} " * 500, file="p", actor="a", credential="c")
        store.set_meta("twin", str(made.number))
    print(made.number, flush=True)
"""


@pytest.mark.parametrize("seconds", [0.02, 0.05, 0.1])
def test_kill_in_between_leaves_the_old_or_the_new_one_whole(tmp_path: Path, seconds: float) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, env=env, text=True
    ) as writer:
        assert writer.stdout is not None
        wait_for("the first revision", lambda: (tmp_path / FILE).exists())
        assert writer.stdout.readline()
        time.sleep(seconds)  # the moment of the kill, not a wait
        writer.send_signal(signal.SIGKILL)
        told = [int(line) for line in writer.stdout.read().split()]
    store = Store(tmp_path)
    running = store.running
    assert running is not None
    assert running.number >= (told[-1] if told else 1)  # what was told is there
    assert running.source == f"content {running.number - 1} " * 500
    assert store.meta("twin") == str(running.number)
    assert publish(store, "next").number == running.number + 1
    store.close()


def test_a_flush_that_failed_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    there = store._disk
    asked = []

    class Disk:
        """Full, the first time."""

        def execute(self, query: str) -> object:
            asked.append(query)
            if len(asked) == 1:
                raise sqlite3.OperationalError("disk I/O error")
            return there.execute(query)

    monkeypatch.setattr(store, "_disk", Disk())
    with pytest.raises(sqlite3.OperationalError):
        store.flush()
    store.flush()
    store.flush()
    assert len(asked) == 2
    monkeypatch.undo()
    store.close()


def test_a_full_disk_is_told_in_words_and_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pages = store._sql.execute("PRAGMA page_count").fetchone()[0]
    store._sql.execute(f"PRAGMA max_page_count={pages}")

    def change() -> None:
        with store.transaction():
            store.set_meta("small", "one")
            store.set_meta("large", "x" * 1_000_000)

    with pytest.raises(FlowError, match="cannot be written, nothing was changed"):
        change()
    assert store.meta("small") == ""
    assert not store._sql.in_transaction
    store._sql.execute("PRAGMA max_page_count=1000000")
    change()
    assert store.meta("small") == "one"
    store.close()
