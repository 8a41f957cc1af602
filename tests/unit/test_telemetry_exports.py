# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Metrics over HTTP, records as JSON lines, and their configuration."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.errors import BadConfig
from appliance.flow.results import PortStats
from appliance.flow.types import CacheStats, Counter, CtStats, FlowEvent
from appliance.run.document import ConfigError, parse_document
from appliance.run.telemetry import (
    IpfixConfig,
    JsonConfig,
    MetricsConfig,
    RecordsConfig,
    read_metrics,
    read_records,
)
from appliance.telemetry import Telemetry, Verdict, metrics, render, schema
from appliance.telemetry.filters import parse
from appliance.telemetry.metrics import METRICS, MetricsServer, Snapshot, registry
from appliance.telemetry.sink import JsonLines, RotatedFile
from tests.support.fastpath import wait_for
from tests.support.flows import DENIED, batch, book, row, rows

PORT = PortStats(
    received=Counter(10, 1000), sent=Counter(7, 700), dropped=Counter(3, 300), drops={"policy": 2, "ttl": 1}
)


@dataclass(frozen=True)
class Stats:
    """As ``Dpu.stats`` gives."""

    revision: int = 5
    uptime_s: float = 12.5
    entries: int = 100
    mbufs_total: int = 8192
    mbufs_free: int = 8000
    copies: int = 1
    generated: int = 2
    held: int = 3
    busy: float = 0.25
    heartbeat_age_s: float = 0.001
    ports: Mapping[str, PortStats] = field(default_factory=lambda: {"p0": PORT})


CACHE = CacheStats(*range(200, 200 + len(CacheStats.__slots__)))
CONNECTIONS = CtStats(*range(100, 100 + len(CtStats.__slots__)))


def scraped(server: MetricsServer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics() -> None:
    telemetry = Telemetry(book(), 100)
    telemetry.append(rows(3))
    telemetry.append(rows(2, event=FlowEvent.DENY, tag=DENIED), lost=4)
    telemetry.policy_revision = 9
    exposed = registry(telemetry, lambda: Snapshot(Stats(), CONNECTIONS, (CACHE,), restarts=1), os.getpid)
    with MetricsServer(exposed) as server:
        got = scraped(server)
    rule = (("band", "block"), ("rule", "no-datasets"), ("verdict", "drop"))
    expected = {
        ("ringfield_cache_walks", (("worker", "0"),)): CACHE.walks,
        ("ringfield_cache_lookups_total", (("result", "hits"), ("worker", "0"))): CACHE.hits,
        ("ringfield_cache_invalidations_total", (("cause", "changed"), ("worker", "0"))): CACHE.changed,
        ("ringfield_up", ()): 1,
        ("ringfield_fastpath_restarts_total", ()): 1,
        ("ringfield_port_received_packets_total", (("port", "p0"),)): 10,
        ("ringfield_port_dropped_packets_total", (("port", "p0"), ("reason", "policy"))): 2,
        ("ringfield_connections", ()): CONNECTIONS.live,
        ("ringfield_connections_refused_total", (("why", "limit"),)): CONNECTIONS.refused_limit,
        ("ringfield_policy_revision", ()): 9,
        ("ringfield_verdicts_total", rule): 2,
        ("ringfield_records_total", (("event", "open"),)): 3,
        ("ringfield_records_lost_total", (("place", "ring"),)): 4,
        ("ringfield_records_stored", ()): 5,
        ("ringfield_heartbeat_age_seconds", ()): 0.001,
    }
    assert {key: got[key] for key in expected} == expected
    names = {name for name, _ in got}
    assert {one.exposed for one in METRICS} <= names
    assert {"process_resident_memory_bytes", "ringfield_fastpath_process_cpu_seconds_total"} <= names


def test_metrics_while_the_fast_path_is_gone() -> None:
    with MetricsServer(registry(Telemetry(book(), 10), Snapshot, lambda: 0)) as server:
        got = scraped(server)
    assert got["ringfield_up", ()] == 0
    assert ("ringfield_connections", ()) not in got


def test_rules_beyond_the_bound_share_one_series() -> None:
    names = book()
    names.set_verdicts({100 + n: Verdict("drop", "block", f"rule-{n}") for n in range(metrics.RULES + 50)})
    telemetry = Telemetry(names, 10_000)
    every = rows(metrics.RULES + 50, event=FlowEvent.DENY)
    every["tag"] = range(100, 150 + metrics.RULES)
    telemetry.append(every)
    with MetricsServer(registry(telemetry, Snapshot)) as server:
        found = {
            dict(labels)["rule"]: n
            for (name, labels), n in scraped(server).items()
            if name == "ringfield_verdicts_total"
        }
    assert sum(found.values()) == metrics.RULES + 50
    assert found[metrics.OTHERS] == 50 + len(book().verdicts)
    assert len(found) <= metrics.RULES + 1


def test_an_address_in_use_is_refused() -> None:
    exposed = registry(Telemetry(book(), 10), Snapshot)
    with MetricsServer(exposed) as server, pytest.raises(BadConfig, match="cannot listen"):
        MetricsServer(exposed, "127.0.0.1", server.port)


# --- JSON lines -------------------------------------------------------------------------------------------------


def test_lines(tmp_path: Path) -> None:
    telemetry = Telemetry(book(), 5000, appliance="here")
    file = tmp_path / "flows.jsonl"
    with JsonLines(telemetry, file, filters=parse("event=open")) as sink:
        telemetry.append(batch([row(), row(event=FlowEvent.DENY), row(dst_port=80)]))
        telemetry.append(rows(2000), lost=3)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    told = [line for line in lines if "lost" in line]
    assert told == [{"lost": {"ring": 3}}]
    records = [line for line in lines if "lost" not in line]
    assert (len(records), sink.written) == (2002, 2002)
    expected = telemetry.store.read(1, 2)[0]
    assert records[0] == render.records(expected)[0]
    assert list(records[0]) == [column.name for column in schema.COLUMNS]


def test_to_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    telemetry = Telemetry(book(), 10)
    with JsonLines(telemetry):
        telemetry.append(rows(2))
    assert len(capfdbinary.readouterr().out.splitlines()) == 2


def test_rotation(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path / "f", max_bytes=100, files=3)
    for number in range(10):
        file.write(f"{number}".encode() * 60)
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.1", "f.2"]
    file.write(b"x")
    file.close()
    assert [(tmp_path / name).read_bytes()[-1:] for name in ("f", "f.1", "f.2")] == [b"x", b"9", b"7"]
    single = RotatedFile(tmp_path / "g", max_bytes=10, files=1)
    single.write(b"0123456789")
    single.write(b"ab")
    single.close()
    assert (tmp_path / "g").read_bytes() == b"ab"


def test_a_file_that_fails_is_tried_again(tmp_path: Path) -> None:
    telemetry = Telemetry(book(), 100)
    folder = tmp_path / "d"
    folder.mkdir()
    with JsonLines(telemetry, folder / "f", max_bytes=1) as sink:  # each piece in a file of its own
        telemetry.append(rows(1))
        wait_for("the first record", lambda: sink.written == 1 and not (folder / "f").exists())
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        telemetry.append(rows(2))
        wait_for("the failure", lambda: sink.failed == 2)
        folder.mkdir()
        telemetry.append(rows(3))
        wait_for("the rest", lambda: sink.written == 4)
    with pytest.raises(BadConfig, match="cannot be written"):
        JsonLines(telemetry, tmp_path / "nowhere" / "f")


# --- configuration ----------------------------------------------------------------------------------------------


def test_configuration(tmp_path: Path) -> None:
    text = """\
records:
  capacity: 1000
  appliance: dpu-7
  json:
    - {file: flows.jsonl, filter: verdict=denied, max_mb: 5, files: 2}
    - {file: '-'}
  ipfix: {collector: '10.0.0.9:2055', domain: 5, enterprise: 64999, filter: event=deny}
metrics: {address: '0.0.0.0:9000'}
"""
    root = parse_document(text, "x.yaml")
    assert read_records(root.get("records"), tmp_path) == RecordsConfig(
        1000,
        "dpu-7",
        (JsonConfig(tmp_path / "flows.jsonl", parse("verdict=denied"), 5 << 20, 2), JsonConfig(None)),
        (IpfixConfig("10.0.0.9", 2055, 5, 64999, parse("event=deny")),),
    )
    assert read_metrics(root.get("metrics")) == MetricsConfig("0.0.0.0", 9000)  # noqa: S104
    assert read_metrics(None) is None
    assert read_metrics(parse_document("metrics: {}", "x").get("metrics")) == MetricsConfig("127.0.0.1", 9464)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("records: {capacity: 0}", "x:1: records.capacity: 0 is not between"),
        ("records: {json: {file: a/b/c}}", "there is no directory"),
        ("records: {json: [{file: a}, {file: a}]}", "same file"),
        ("records: {json: {file: a, filter: 'colour=red'}}", "no field 'colour'"),
        ("records: {size: 5}", "no such key"),
        ("records: {ipfix: {collector: 'here:x'}}", "HOST:PORT"),
        ("records: {ipfix: {collector: here, enterprise: 29305}}", "RFC 5103"),
        ("metrics: {address: here}", "HOST:PORT"),
        ("metrics: {port: 5}", "no such key"),
    ],
)
def test_bad_configuration(tmp_path: Path, text: str, words: str) -> None:
    root = parse_document(text, "x")
    with pytest.raises(ConfigError) as caught:
        (read_records(root.get("records"), tmp_path), read_metrics(root.get("metrics")))
    assert words in caught.value.reason
