# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What any backend of the centre's store must do: inherit, and give ``opened``."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from appliance.intelligence.fleet import ALARMS, MAX_ALARMS, MAX_OF_ONE, Book
from appliance.intelligence.store import Compacted, Conflict, Store


class StoreContract(ABC):
    """The suite."""

    @abstractmethod
    def opened(self, where: Path) -> Store:
        """A store; a second call with the same directory gives another client of the same one."""

    @pytest.fixture
    def where(self, tmp_path: Path) -> Path:
        return tmp_path

    def test_what_was_committed_is_there_for_whoever_opens_it(self, where: Path) -> None:
        one = self.opened(where)
        assert (one.version, one.get("a")) == (0, None)
        assert one.commit({"a": b"1", "b": b"2"}) == 1
        assert one.commit({"a": b"3"}, ["b"]) == 2
        one.close()
        other = self.opened(where)
        found = other.get("a")
        assert found is not None
        assert (found.key, found.value, found.version) == ("a", b"3", 2)
        assert (other.get("b"), other.version) == (None, 2)
        other.close()

    def test_ranges_are_in_order_and_in_pages(self, where: Path) -> None:
        one = self.opened(where)
        one.commit({f"k/{n:02}": bytes([n]) for n in range(10)} | {"j": b"", "k": b"", "l": b""})
        assert [item.key for item in one.range("k/")] == [f"k/{n:02}" for n in range(10)]
        page = one.range("k/", after="k/03", limit=2)
        assert [item.value for item in page] == [b"\x04", b"\x05"]
        one.close()

    def test_a_commit_that_saw_something_else_writes_nothing(self, where: Path) -> None:
        one, other = self.opened(where), self.opened(where)
        one.commit({"a": b"1"})
        other.commit({"a": b"2"}, expect={"a": 1})
        with pytest.raises(Conflict, match="a is at version 2, not 1"):
            one.commit({"a": b"3", "c": b"4"}, expect={"a": 1})
        with pytest.raises(Conflict):
            one.commit({"a": b"3"}, expect={"a": 0})
        assert (one.get("c"), one.version) == (None, 2)
        assert one.commit({"c": b"5"}, expect={"c": 0}) == 3
        one.close()
        other.close()

    def test_a_probe_changes_nothing(self, where: Path) -> None:
        one = self.opened(where)
        one.commit({"a": b"1"})
        one.probe()
        assert (one.version, [change.key for change in one.changes(0)]) == (1, ["a"])
        one.close()

    def test_two_writers_never_both_win(self, where: Path) -> None:
        stores = [self.opened(where), self.opened(where)]
        stores[0].commit({"n": b"0"})
        won: list[int] = []

        def add(store: Store) -> None:
            for _ in range(20):
                while True:
                    item = store.get("n")
                    assert item is not None
                    try:
                        number = int(item.value) + 1
                        store.commit({"n": str(number).encode()}, expect={"n": item.version})
                        won.append(number)
                        break
                    except Conflict:
                        continue

        threads = [threading.Thread(target=add, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == list(range(1, 41))
        for store in stores:
            store.close()

    def test_alarms_outlive_whoever_raised_them_and_stay_bounded(self, where: Path) -> None:
        one, now = self.opened(where), iter(range(10_000))
        book = Book(clock=lambda: float(next(now)), store=one)
        for number in range(2 * MAX_OF_ONE):
            book.alarm("refusal", "dpu2", str(number))
            if number % 7 == 0:
                book.settle()
        for number in range(MAX_ALARMS + 1):
            book.alarm("drift", f"a{number}", "look")
        book.settle()
        version = one.version
        book.settle()
        assert one.version == version, "there was nothing to write"
        one.close()
        other = self.opened(where)
        again = Book(clock=lambda: float(next(now)), store=other)
        assert list(again.alarms) == list(book.alarms)
        assert len(again.alarms) == len(other.range(ALARMS)) == MAX_ALARMS
        again.alarm("drift", "a", "another")
        again.settle()
        assert len(other.range(ALARMS)) == MAX_ALARMS
        assert Book(store=other).alarms[0].text == "another"
        other.close()

    def test_a_watch_sees_every_commit_once_in_order(self, where: Path) -> None:
        one, other = self.opened(where), self.opened(where)
        one.commit({"a": b"1"})
        one.commit({"b": b"2"}, ["a"])
        found = [(change.version, change.key, change.value) for change in other.changes(0)]
        assert found == [(1, "a", b"1"), (2, "a", None), (2, "b", b"2")]
        assert other.wait(2, 0.05) == 2
        later = threading.Timer(0.1, lambda: one.commit({"c": b"3"}))
        later.start()
        assert other.wait(2, 10.0) == 3
        later.join()
        assert [change.key for change in other.changes(2)] == ["c"]
        one.compact(2)
        with pytest.raises(Compacted, match="read everything again"):
            other.changes(1)
        assert [change.key for change in other.changes(2)] == ["c"]
        one.close()
        other.close()
