# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Prometheus metrics over HTTP: counters of the fast path, its connections, its verdicts and its records.

Everything is read when somebody asks. ``METRICS`` is the whole list; docs/records.md shows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.errors import BadConfig
from appliance.flow.types import CacheStats, Counter, CtStats
from appliance.telemetry.hub import Telemetry

RULES: Final = 500
"""Verdict provenances with series of their own, those that came first; the others share one."""
OTHERS: Final = "(others)"


class PortCounters(Protocol):
    """One port, as ``Dpu.stats`` has it."""

    @property
    def received(self) -> Counter: ...
    @property
    def sent(self) -> Counter: ...
    @property
    def injected(self) -> Counter: ...
    @property
    def transmitted(self) -> Counter: ...
    @property
    def software(self) -> Counter: ...
    @property
    def dropped(self) -> Counter: ...
    @property
    def drops(self) -> Mapping[str, int]: ...


class FastpathStats(Protocol):
    """What ``Dpu.stats`` gives."""

    @property
    def revision(self) -> int: ...
    @property
    def uptime_s(self) -> float: ...
    @property
    def entries(self) -> int: ...
    @property
    def mbufs_total(self) -> int: ...
    @property
    def mbufs_free(self) -> int: ...
    @property
    def copies(self) -> int: ...
    @property
    def generated(self) -> int: ...
    @property
    def held(self) -> int: ...
    @property
    def busy(self) -> float: ...
    @property
    def heartbeat_age_s(self) -> float: ...
    @property
    def ports(self) -> Mapping[str, PortCounters]: ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the appliance knows at one moment; None where there is nothing to ask."""

    stats: FastpathStats | None = None
    connections: CtStats | None = None
    caches: Sequence[CacheStats] = ()
    """Of the workers."""
    restarts: int = 0


Sample = tuple[Sequence[str], float]


@dataclass(frozen=True, slots=True)
class Described:
    """A metric: its name without ``ringfield_`` (counters get ``_total``), kind, labels, what it says, its samples."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str
    samples: Callable[[Snapshot, Telemetry], Iterable[Sample]]

    @property
    def exposed(self) -> str:
        """Its name as Prometheus sees it."""
        return f"ringfield_{self.name}{'_total' if self.kind == 'counter' else ''}"


def _stats(read: Callable[[FastpathStats], float]) -> Callable[[Snapshot, Telemetry], Iterable[Sample]]:
    return lambda now, _: [] if now.stats is None else [((), read(now.stats))]


def _ports(read: Callable[[PortCounters], float]) -> Callable[[Snapshot, Telemetry], Iterable[Sample]]:
    return lambda now, _: (
        [] if now.stats is None else [((name,), read(port)) for name, port in now.stats.ports.items()]
    )


def _drops(now: Snapshot, _: Telemetry) -> Iterator[Sample]:
    for name, port in now.stats.ports.items() if now.stats is not None else ():
        for reason, count in port.drops.items():
            yield (name, reason), count


def _ct(name: str) -> Callable[[Snapshot, Telemetry], Iterable[Sample]]:
    return lambda now, _: [] if now.connections is None else [((), getattr(now.connections, name))]


def _cache(*causes: str) -> Callable[[Snapshot, Telemetry], Iterable[Sample]]:
    return lambda now, _: [
        ((str(worker), cause), getattr(one, cause))
        for worker, one in enumerate(now.caches)
        for cause in causes
    ]


def _refused(now: Snapshot, _: Telemetry) -> Iterator[Sample]:
    if now.connections is not None:
        yield ("full",), now.connections.refused_full
        yield ("limit",), now.connections.refused_limit


def _verdicts(_: Snapshot, telemetry: Telemetry) -> Iterator[Sample]:
    found: dict[tuple[str, str, str], int] = {}
    for code, provenance, verdict, count in telemetry.verdicts():
        key = (provenance.band, provenance.rule, verdict) if code < RULES else (OTHERS, OTHERS, verdict)
        found[key] = found.get(key, 0) + count
    yield from found.items()


METRICS: Final = (
    Described("up", "gauge", (), "1 while the fast path answers, else 0", lambda now, _: [((), now.stats is not None)]),
    Described("fastpath_restarts", "counter", (), "times the fast path was brought back",
        lambda now, _: [((), now.restarts)]),
    Described("heartbeat_age_seconds", "gauge", (), "since the last turn of the fast path's control loop",
        _stats(lambda stats: stats.heartbeat_age_s)),
    Described("uptime_seconds", "gauge", (), "since the fast path started", _stats(lambda stats: stats.uptime_s)),
    Described("workers_busy_ratio", "gauge", (), "share of the workers' cycles that handled packets, 0 to 1",
        _stats(lambda stats: stats.busy)),
    Described("table_revision", "gauge", (), "revision of the tables", _stats(lambda stats: stats.revision)),
    Described("entries", "gauge", (), "live entries of all pipes", _stats(lambda stats: stats.entries)),
    Described("buffers", "gauge", (), "packet buffers in all", _stats(lambda stats: stats.mbufs_total)),
    Described("buffers_free", "gauge", (), "packet buffers free", _stats(lambda stats: stats.mbufs_free)),
    Described("copied_packets", "counter", (), "made by flooding", _stats(lambda stats: stats.copies)),
    Described("generated_packets", "counter", (), "made by the fast path itself",
        _stats(lambda stats: stats.generated)),
    Described("held_packets", "gauge", (), "in queues of the fast path", _stats(lambda stats: stats.held)),
    Described("port_received_packets", "counter", ("port",), "from the device",
        _ports(lambda port: port.received.total_pkts)),
    Described("port_received_bytes", "counter", ("port",), "frame lengths without FCS",
        _ports(lambda port: port.received.total_bytes)),
    Described("port_sent_packets", "counter", ("port",), "to the device", _ports(lambda port: port.sent.total_pkts)),
    Described("port_sent_bytes", "counter", ("port",), "frame lengths without FCS",
        _ports(lambda port: port.sent.total_bytes)),
    Described("port_injected_packets", "counter", ("port",), "by clients, as if received",
        _ports(lambda port: port.injected.total_pkts)),
    Described("port_transmitted_packets", "counter", ("port",), "by clients, past the pipes; also in sent",
        _ports(lambda port: port.transmitted.total_pkts)),
    Described("port_software_packets", "counter", ("port",), "delivered to software",
        _ports(lambda port: port.software.total_pkts)),
    Described("port_dropped_packets", "counter", ("port", "reason"), "of what came in there, by reason", _drops),
    Described("connections", "gauge", (), "live", _ct("live")),
    Described("connections_half_open", "gauge", (), "live, TCP handshake not complete", _ct("half_open")),
    Described("denials_remembered", "gauge", (), "remembered denials", _ct("denied")),
    Described("connections_opened", "counter", (), "opened", _ct("opened")),
    Described("connections_adopted", "counter", (), "of them taken up in mid-stream", _ct("adopted")),
    Described("connections_closed", "counter", (), "closed, whatever the cause", _ct("closed")),
    Described("connections_evicted", "counter", (), "of them to make room", _ct("evicted")),
    Described("connections_refused", "counter", ("why",), "not opened: table `full`, or a `limit`", _refused),
    Described("connections_untracked", "counter", (), "packets forwarded without a connection", _ct("untracked")),
    Described("connections_rejudged", "counter", (), "judged again after a policy change", _ct("rejudged")),
    Described("connections_cut", "counter", (), "of them denied", _ct("rejudged_denied")),
    Described("invalid_packets", "counter", (), "TCP out of state or window", _ct("invalid")),
    Described("related_packets", "counter", (), "ICMP errors that followed a connection", _ct("related")),
    Described("denied_packets", "counter", (), "by policy", _ct("denied_packets")),
    Described("reject_answers", "counter", (), "answers to rejected packets", _ct("generated")),
    Described("fragments_held", "gauge", (), "waiting for the first of their datagram", _ct("fragments")),
    Described("handed_over_packets", "counter", (), "that another worker owned", _ct("handed_over")),
    Described("cache_walks", "gauge", ("worker",), "recorded walks in the flow cache",
        lambda now, _: [((str(worker),), one.walks) for worker, one in enumerate(now.caches)]),
    Described("cache_lookups", "counter", ("worker", "result"),
        "in the flow cache: `hits`, `misses`, and packets whose connection knew the walk (`connections`)",
        _cache("hits", "misses", "connections")),
    Described("cache_invalidations", "counter", ("worker", "cause"),
        "of recorded walks: a pipe has `changed`, `evicted` for others; times: `widened`, `emptied`, `forgotten`",
        _cache("changed", "evicted", "widened", "emptied", "forgotten")),
    Described("policy_revision", "gauge", (), "policy in force",
        lambda _, telemetry: [] if telemetry.policy_revision is None else [((), telemetry.policy_revision)]),
    Described("verdicts", "counter", ("band", "rule", "verdict"),
        f"connections and denials, by what decided; beyond {RULES} rules as `{OTHERS}`", _verdicts),
    Described("records", "counter", ("event",), "flow records taken",
        lambda _, telemetry: [((event,), count) for event, count in telemetry.events().items()]),
    Described("records_lost", "counter", ("place",),
        "`worker`, `ring`: before they came here; `store`: made room for newer ones",
        lambda _, telemetry: [((place,), n) for place, n in telemetry.store.lost.items() if place != "stream"]),
    Described("records_stored", "gauge", (), "in the store", lambda _, telemetry: [((), len(telemetry.store))]),
    Described("records_capacity", "gauge", (), "room in the store",
        lambda _, telemetry: [((), telemetry.store.capacity)]),
    Described("records_age_seconds", "gauge", (), "since the newest record came",
        lambda _, telemetry: [((), (time.time_ns() - telemetry.newest_ns) / 1e9)] if telemetry.newest_ns else []),
)  # fmt: skip
"""All of ours. Beside them there are ``process_*`` of the appliance and ``ringfield_fastpath_process_*``."""


class _Collector(Collector):
    def __init__(self, telemetry: Telemetry, snapshot: Callable[[], Snapshot]) -> None:
        self._telemetry, self._snapshot = telemetry, snapshot

    def collect(self) -> Iterator[Metric]:
        """Everything, now."""
        now = self._snapshot()
        for one in METRICS:
            kind = CounterMetricFamily if one.kind == "counter" else GaugeMetricFamily
            family = kind(f"ringfield_{one.name}", one.text, labels=one.labels)
            for labels, value in one.samples(now, self._telemetry):
                family.add_metric(labels, value)
            yield family

    def describe(self) -> Iterable[Metric]:
        """Nothing is read before somebody asks."""
        return []


def registry(
    telemetry: Telemetry, snapshot: Callable[[], Snapshot], fastpath_pid: Callable[[], int] | None = None
) -> CollectorRegistry:
    """All metrics, to be exposed somewhere."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Collector(telemetry, snapshot))
    ProcessCollector(registry=made)
    if fastpath_pid is not None:
        ProcessCollector(namespace="ringfield_fastpath", pid=fastpath_pid, registry=made)
    return made


class MetricsServer:
    """Serves ``/metrics``; ends with ``close`` or its block."""

    def __init__(self, metrics: CollectorRegistry, host: str = "127.0.0.1", port: int = 0) -> None:
        """``port`` 0 takes a free one. ``BadConfig``: it cannot listen there."""
        try:
            self._server, self._thread = start_http_server(port, host, metrics)
        except OSError as error:
            raise BadConfig(f"metrics cannot listen on {host}:{port}: {error}") from None
        self.host, self.port = host, int(self._server.server_port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> MetricsServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
