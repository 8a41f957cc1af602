# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""SQLite keeps the store's contract; older files are brought up, newer ones refused; a full disk leaves no half."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from appliance.errors import BadState
from appliance.intelligence import sqlite
from appliance.intelligence.access import LOCAL
from appliance.intelligence.centre import Centre
from appliance.intelligence.sqlite import SqliteStore
from appliance.intelligence.store import NoSpace, Store
from appliance.policy.model import Network, Workload
from tests.intelligence.store_contract import StoreContract


class TestSqlite(StoreContract):
    """The contract."""

    def opened(self, where: Path) -> Store:
        return SqliteStore(where)


def test_a_file_of_the_first_format_is_brought_up(tmp_path: Path) -> None:
    sql = sqlite3.connect(tmp_path / sqlite.FILE, isolation_level=None)
    sqlite.UPGRADES[0](sql)
    sql.execute("INSERT INTO items VALUES ('a', x'31', 7)")
    sql.execute("UPDATE meta SET value = 7")
    sql.execute("PRAGMA user_version=1")
    sql.close()
    store = SqliteStore(tmp_path)
    found = store.get("a")
    assert found is not None
    assert (found.value, store.version) == (b"1", 7)
    assert store.commit({"b": b"2"}) == 8
    assert [change.key for change in store.changes(7)] == ["b"]
    store.close()
    assert (tmp_path / sqlite.FILE).stat().st_mode & 0o777 == 0o600


def test_a_file_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    sql = sqlite3.connect(tmp_path / sqlite.FILE)
    sql.execute("PRAGMA user_version=99")
    sql.close()
    with pytest.raises(BadState, match="newer Ringfield"):
        SqliteStore(tmp_path)


def test_a_full_disk_leaves_no_half_written_revision(tmp_path: Path) -> None:
    Centre(tmp_path, name="lab").close()
    centre = Centre(tmp_path, store=SqliteStore(tmp_path, max_pages=60))
    centre.apply_networks([Network(name="lab", prefixes=("10.0.0.0/24",))], LOCAL)
    centre.apply_workloads([Workload(name="w", labels={"app": "web"})], [], LOCAL)
    rule = "rules: [{name: one, band: allow, from: app=web, to: any, services: [tcp/80]}]\n"
    centre.publish("base", rule, LOCAL, "first")
    before, text = centre.number, centre.policy.text
    long = rule + "".join(f"# {n} {'x' * 100}\n" for n in range(5000))
    with pytest.raises(NoSpace, match="nothing was changed"):
        centre.publish("base", long, LOCAL, "too much")
    assert centre.revision is not None
    assert (centre.revision.number, centre.number, centre.policy.text) == (1, before, text)
    assert centre.store.version == before
    assert [entry.refusal != "" for entry in centre.audit.entries(last=1)] == [True]
    centre.close()
    again = Centre(tmp_path)
    assert again.revision is not None
    assert (again.revision.number, again.policy.text) == (1, text)
    again.close()
