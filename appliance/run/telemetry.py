# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Where records and metrics go: the configuration's ``records`` and ``metrics``, and what runs for them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from appliance.run.document import Node
from appliance.telemetry import CAPACITY, Names, Telemetry, ipfix
from appliance.telemetry.filters import BadFilter, Filter, parse
from appliance.telemetry.metrics import MetricsServer, Snapshot, registry
from appliance.telemetry.sink import FILES, MAX_BYTES, JsonLines

log = structlog.get_logger(__name__)

MAX_CAPACITY: Final = 1 << 26
METRICS_PORT: Final = 9464


@dataclass(frozen=True, slots=True)
class JsonConfig:
    """Records as JSON lines; ``path`` None is standard output."""

    path: Path | None
    filters: tuple[Filter, ...] = ()
    max_bytes: int = MAX_BYTES
    files: int = FILES


@dataclass(frozen=True, slots=True)
class IpfixConfig:
    """A collector of IPFIX over UDP."""

    host: str
    port: int = ipfix.PORT
    domain: int = 1
    enterprise: int = ipfix.ENTERPRISE
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordsConfig:
    """The store of flow records and where they go beside it. ``appliance``: the name that records carry."""

    capacity: int = CAPACITY
    appliance: str = ""
    json: tuple[JsonConfig, ...] = ()
    ipfix: tuple[IpfixConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Where Prometheus asks."""

    host: str = "127.0.0.1"
    port: int = METRICS_PORT


def _filters(node: Node) -> tuple[Filter, ...]:
    given = node.get("filter")
    if given is None:
        return ()
    try:
        return parse(given.as_text())
    except BadFilter as error:
        given.fail(error.reason)


def _json(node: Node, base: Path) -> JsonConfig:
    file = node.need("file")
    path = None if file.as_text() == "-" else base / file.as_text()
    if path is not None and not path.parent.is_dir():
        file.fail(f"there is no directory {path.parent}")
    size = node.number("max_mb", MAX_BYTES >> 20, 1, 1 << 20) << 20
    made = JsonConfig(path, _filters(node), size, node.number("files", FILES, 1, 1000))
    node.done()
    return made


def _host_port(node: Node, port: int | None = None) -> tuple[str, int]:
    """``HOST:PORT``; the port may be left out when there is a usual one."""
    host, colon, number = node.as_text().rpartition(":")
    if not colon and port is not None:
        return number, port
    if not colon or not number.isdecimal() or int(number) > 0xFFFF:
        node.fail("is written HOST:PORT")
    return host.strip("[]"), int(number)


def _ipfix(node: Node) -> IpfixConfig:
    host, port = _host_port(node.need("collector"), ipfix.PORT)
    made = IpfixConfig(
        host,
        port,
        node.number("domain", 1, 0, 0xFFFFFFFF),
        node.number("enterprise", ipfix.ENTERPRISE, 1, 0xFFFFFFFF),
        _filters(node),
    )
    if made.enterprise == ipfix.REVERSE:
        node.need("enterprise").fail(f"{ipfix.REVERSE} is taken by RFC 5103")
    node.done()
    return made


def read_records(node: Node | None, base: Path) -> RecordsConfig:
    """The ``records`` section; files are relative to ``base``."""
    if node is None:
        return RecordsConfig(appliance=socket.gethostname())
    made = RecordsConfig(
        node.number("capacity", CAPACITY, 1, MAX_CAPACITY),
        node.text("appliance", socket.gethostname()),
        node.list_of("json", lambda item: _json(item, base)),
        node.list_of("ipfix", _ipfix),
    )
    if len({sink.path for sink in made.json}) < len(made.json):
        node.need("json").fail("two sinks write to the same file")
    node.done()
    return made


def read_metrics(node: Node | None) -> MetricsConfig | None:
    """The ``metrics`` section; None: nobody asked for metrics."""
    if node is None:
        return None
    host, port = "127.0.0.1", METRICS_PORT
    if (address := node.get("address")) is not None:
        host, port = _host_port(address)
    node.done()
    return MetricsConfig(host or "127.0.0.1", port)


class Exports:
    """What carries records and metrics out of the appliance: starts in its constructor, ends with ``close``."""

    def __init__(
        self,
        telemetry: Telemetry,
        records: RecordsConfig,
        metrics: MetricsConfig | None,
        snapshot: Callable[[], Snapshot],
        fastpath_pid: Callable[[], int],
    ) -> None:
        """``BadConfig``: a file cannot be written, or an address not be listened to; then nothing runs."""
        self.metrics: MetricsServer | None = None
        with contextlib.ExitStack() as stack:
            for sink in records.json:
                stack.enter_context(
                    JsonLines(
                        telemetry, sink.path, filters=sink.filters, max_bytes=sink.max_bytes, files=sink.files
                    )
                )
            for one in records.ipfix:
                stack.enter_context(
                    ipfix.Exporter(
                        telemetry,
                        one.host,
                        one.port,
                        domain=one.domain,
                        enterprise=one.enterprise,
                        filters=one.filters,
                    )
                )
            if metrics is not None:
                exposed = registry(telemetry, snapshot, fastpath_pid)
                self.metrics = stack.enter_context(MetricsServer(exposed, metrics.host, metrics.port))
                log.info("metrics", url=f"http://{self.metrics.host}:{self.metrics.port}/metrics")
            self._running = stack.pop_all()

    def close(self) -> None:
        """Write what there is, stop listening."""
        self._running.close()


def make_telemetry(names: Names, records: RecordsConfig) -> Telemetry:
    """The store that the configuration asks for."""
    return Telemetry(names, records.capacity, appliance=records.appliance)
