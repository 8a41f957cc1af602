# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A DPU: the fast path that this process is attached to, or has started for itself.

libdoca_flow keeps its state per process, so there is one open ``Dpu`` at a time. Entry operations may run
in several threads, one per queue; packets are received by one thread at a time; everything else may be
called from anywhere.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import ClassVar

from appliance.errors import BadState, NotFound, TimedOut
from appliance.flow import convert, fields
from appliance.flow.engine import Engine, Listener
from appliance.flow.launch import FastpathProcess, PortConfig, default_ports
from appliance.flow.pipe import Pipe
from appliance.flow.port import Port
from appliance.flow.results import (
    DpuStats,
    Event,
    Packet,
    PipeInfo,
    PortInfo,
    PortStats,
    SessionInfo,
    Stages,
    Trace,
)
from appliance.flow.tracking import Tracking
from appliance.flow.types import (
    CacheStats,
    Counter,
    CounterConfig,
    Decap,
    Encap,
    FwdRss,
    MeterAlgorithm,
    MeterConfig,
    Mode,
    PortSpec,
    SharedResourceType,
)
from appliance.flow.values import flatten
from appliance.steering import session
from appliance.steering.native import Cdata
from appliance.steering.structs import Arena, store

SharedConfig = MeterConfig | CounterConfig | Encap | Decap | FwdRss
_TOTALS = (
    "boot_id", "nr_workers", "revision", "entries", "posted", "refused",
    "mbufs_total", "mbufs_free", "copies", "generated", "held",
)  # fmt: skip
_POINTS = {"rx": 1, "tx": 2, "drop": 4}
_EVENTS = {
    1: "port_up",
    2: "port_down",
    3: "port_added",
    4: "port_removed",
    5: "pipe_congested",
    6: "pipe_resized",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserves:
    """What a session reserves at the start (``doca_flow_cfg_set_nr_*``)."""

    counters: int = 8192
    """Entries with a counter of their own, and miss counters."""
    meters: int = 256
    shared_counters: int = 256
    shared_meters: int = 64
    shared_encaps: int = 64
    shared_decaps: int = 64
    shared_rss: int = 0

    def by_name(self) -> dict[str, int]:
        """As the steering layer takes them; what is zero is not reserved."""
        named = {
            "counters": self.counters,
            "meters": self.meters,
            "COUNTER": self.shared_counters,
            "METER": self.shared_meters,
            "ENCAP": self.shared_encaps,
            "DECAP": self.shared_decaps,
            "RSS": self.shared_rss,
        }
        return {name: number for name, number in named.items() if number}


class Dpu(Tracking):
    """Open with ``launch`` or ``attach``; a context manager."""

    _open: ClassVar[Dpu | None] = None
    _open_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        runtime_dir: Path,
        *,
        session_name: str,
        durable: bool,
        reader: bool,
        mode: Mode,
        queues: int,
        queue_depth: int,
        reserves: Reserves,
        timeout: float,
        flow_ring_bytes: int,
        process: FastpathProcess | None = None,
    ) -> None:
        """Use ``launch`` or ``attach``."""
        super().__init__()
        self.runtime_dir = runtime_dir
        self.mode: Mode = mode
        self.durable = durable
        self.process: FastpathProcess | None = process
        self._arguments = (
            session_name, durable, reader, queues, queue_depth, reserves, timeout, flow_ring_bytes,
        )  # fmt: skip
        self._ports: dict[int, Port] = {}
        self._names: dict[int, str] = {}
        self._receive_lock = threading.Lock()
        self._packet_lock = threading.Lock()
        self._receiver = session.Receiver()
        self._closed = True
        self.engine = Engine(queues)
        self._connect()
        atexit.register(self.close)

    def _connect(self) -> None:
        name, durable, reader, queues, depth, reserves, timeout, flow_ring_bytes = self._arguments
        with Dpu._open_lock:
            if Dpu._open is not None:
                raise BadState("this process is attached to a fast path already; close that Dpu first")
            session.attach(
                str(self.runtime_dir),
                session=name,
                durable=durable,
                reader=reader,
                timeout_ms=int(timeout * 1000),
                mode_args=f"{self.mode},hws",
                queues=queues,
                queue_depth=depth,
                reserves={} if reader else reserves.by_name(),
                flow_ring_bytes=flow_ring_bytes,
            )
            Dpu._open = self
        self._closed = False
        self.engine = Engine(queues)
        self.engine.unknown = self._find_entry
        self._reasons = session.drop_reasons()
        row = session.session_self()
        self.session: str = row["name"]
        self.resumed = bool(row["resumed"])
        """The durable session was there already: start its ports again, then ``Port.adopt``."""
        self.boot_id: int = row["boot_id"]
        """Differs after each start of the fast path."""
        self.nr_workers: int = row["nr_workers"]

    # -- opening and closing ---------------------------------------------------------------------------------------

    @classmethod
    def launch(
        cls,
        ports: int | Sequence[str | PortConfig] = 2,
        *,
        mode: Mode = "vnf",
        queues: int = 1,
        queue_depth: int = 128,
        reserves: Reserves | None = None,
        session: str = "",
        durable: bool = False,
        options: Mapping[str, object] | None = None,
        timeout: float = 10.0,
        flow_ring_bytes: int = 0,
    ) -> Dpu:
        """Start a private fast path and attach to it; needs neither root nor hugepages with ring ports.

        ``ports``: how many ring ports (vnf: p0, p1 ...; switch: p0 and representors pf0vf0 ...), their
        names, or ``PortConfig``. ``options`` are general options of the fast path's config file. It ends,
        and its runtime directory goes, when the Dpu is closed. ``flow_ring_bytes``: room for records of
        connections (``flow_records``), 0 for none.
        """
        if isinstance(ports, int):
            configs = default_ports(ports, mode == "switch")
        else:
            configs = [PortConfig(name=port) if isinstance(port, str) else port for port in ports]
        process = FastpathProcess(configs, {"huge": "no", **(options or {})})
        try:
            return cls(
                process.runtime_dir, session_name=session, durable=durable, reader=False, mode=mode, queues=queues,
                queue_depth=queue_depth, reserves=reserves or Reserves(), timeout=timeout,
                flow_ring_bytes=flow_ring_bytes, process=process,
            )  # fmt: skip
        except BaseException:
            process.stop()
            raise

    @classmethod
    def attach(
        cls,
        runtime_dir: str | Path,
        *,
        session: str = "",
        durable: bool = False,
        reader: bool = False,
        mode: Mode = "vnf",
        queues: int = 1,
        queue_depth: int = 128,
        reserves: Reserves | None = None,
        timeout: float = 10.0,
        flow_ring_bytes: int = 0,
    ) -> Dpu:
        """Join a running fast path.

        A ``durable`` session outlives this process and is found again by its name (``resumed``). A
        ``reader`` owns nothing: lists, statistics, traces and captures only. ``timeout`` in seconds, of the
        connection and of each exchange.
        """
        return cls(
            Path(runtime_dir), session_name=session, durable=durable, reader=reader, mode=mode, queues=queues,
            queue_depth=queue_depth, reserves=reserves or Reserves(), timeout=timeout,
            flow_ring_bytes=flow_ring_bytes,
        )  # fmt: skip

    @property
    def alive(self) -> bool:
        """Whether the fast path is still there."""
        return not self._closed and session.alive()

    @property
    def nr_queues(self) -> int:
        """Pipe queues of this session."""
        return self.engine.nr_queues

    def _detach(self) -> None:
        with Dpu._open_lock:
            if self._closed:
                return
            self._closed = True
            for port in self._ports.values():
                port.abandon()
            self._ports.clear()
            session.detach()
            Dpu._open = None

    def close(self) -> None:
        """Detach: an ephemeral session's pipes vanish, a durable one's stay. A launched fast path ends."""
        self._detach()
        if self.process is not None:
            self.process.stop()
            self.process = None
        atexit.unregister(self.close)

    def reattach(self) -> None:
        """After the fast path went away or closed the session: connect anew. All ports and pipes of this
        object are gone.
        """
        self._detach()
        self._names.clear()
        self._connect()

    def shutdown(self) -> None:
        """Orderly end of the fast path itself, then ``close``."""
        session.shutdown()
        self.close()

    def __enter__(self) -> Dpu:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- ports -----------------------------------------------------------------------------------------------------

    def port_list(self) -> list[PortInfo]:
        """All ports of the fast path, by index."""
        infos = sorted((convert.port_info(row) for row in session.port_list()), key=lambda info: info.index)
        self._names = {info.index: info.name for info in infos}
        return infos

    def _index(self, port: int | str) -> int:
        """The fast path's number for a logical id or a name."""
        if isinstance(port, int):
            if port in self._ports:
                return self._ports[port].index
        else:
            for number in (self._names, {info.index: info.name for info in self.port_list()}):
                for index, name in number.items():
                    if name == port:
                        return index
        raise NotFound(f"there is no port {port!r}" + (" started here" if isinstance(port, int) else ""))

    def _name(self, index: int) -> str:
        if index not in self._names:
            self.port_list()
        return self._names.get(index, f"#{index}")

    def port_add(self, config: PortConfig) -> PortInfo:
        """A new port at run time, without disturbing the others."""
        names = ("name", "backend", "args", "netns", "mac", "pci", "ibdev", "representor")
        row = session.port_add({name: getattr(config, name) for name in names}, config.mtu)
        self._names.clear()
        return convert.port_info(row)

    def port_remove(self, name: str) -> None:
        """Take a port away. ``InUse``: a session has it started."""
        session.port_remove(self._index(name))
        self._names.clear()

    @property
    def ports(self) -> Mapping[int, Port]:
        """The ports that this session has started, by logical id."""
        return MappingProxyType(self._ports)

    def port(self, which: int | str) -> Port:
        """A started port by logical id or name."""
        for port in self._ports.values():
            if which in (port.id, port.name):
                return port
        raise NotFound(f"port {which!r} is not started here")

    def port_start(self, port: PortSpec | str, port_id: int | None = None) -> Port:
        """Start a port (``doca_flow_port_start``): give it a logical id and own it.

        In switch mode the uplink starts first; representors are told by the device tree. ``InUse``: another
        session has it.
        """
        if isinstance(port, str):
            port = PortSpec(name=port, port_id=len(self._ports) if port_id is None else port_id)
        infos = {info.name: info for info in self.port_list()}
        name = port.name or next((info.name for info in infos.values() if info.index == port.port_id), "")
        if name not in infos:
            raise NotFound(f"the fast path has no port {name!r}; it has {', '.join(infos) or 'none'}")
        resources = {
            "COUNTER": port.nr_counters or port.nr_shared_counters,
            "METER": port.nr_meters or port.nr_shared_meters,
            "ENCAP": port.nr_shared_encaps,
            "DECAP": port.nr_shared_decaps,
            "RSS": port.nr_shared_rss,
        }
        made = session.port_start(
            name,
            port.port_id,
            representor=port.is_representor or (self.mode == "switch" and bool(infos[name].representor)),
            resources={kind: number for kind, number in resources.items() if number},
            actions_mem_size=port.actions_mem_size,
            devargs=port.devargs,
        )
        started = Port(self, made, name, port.port_id, session.port_index(made))
        self._ports[port.port_id] = started
        if port.default_miss is not None:
            started.set_default_miss(port.default_miss)
        return started

    def forget(self, port: Port) -> None:
        """From a port: it is stopped."""
        self._ports.pop(port.id, None)

    def _find_entry(self, number: int) -> Listener | None:
        for port in self._ports.values():
            found = port.find(number)
            if found is not None:
                return found
        return None

    # -- packets ---------------------------------------------------------------------------------------------------

    def inject(self, port: int | str, frames: bytes | Iterable[bytes], pkt_meta: int = 0) -> None:
        """Frames as if received on a port (logical id or name); waits while the packet ring is full."""
        index = self._index(port)
        self._post(frames, lambda some: session.inject(index, pkt_meta, some))

    def transmit(self, port: int | str, frames: bytes | Iterable[bytes]) -> None:
        """Frames sent on a port past all pipes."""
        index = self._index(port)
        self._post(frames, lambda some: session.transmit(index, some))

    def _post(self, frames: bytes | Iterable[bytes], call: Callable[[Sequence[bytes]], int]) -> None:
        left = [frames] if isinstance(frames, bytes) else list(frames)
        end = time.monotonic() + 10.0
        with self._packet_lock:
            while left:
                taken = call(left[:256])
                left = left[taken:]
                if not taken:
                    if time.monotonic() > end:
                        raise TimedOut("the fast path takes no packets")
                    time.sleep(0.0005)

    def receive(self, *, software: bool = True, wire: bool = True, port: str | None = None) -> None:
        """Say which packets this session wants: those forwarded to software, and what ring ports send (one,
        or all).
        """
        session.receive_set(software, wire, session.PORT_ANY if port is None else self._index(port))

    def packets(self, timeout: float = 0.0, max_packets: int = 0) -> list[Packet]:
        """What has arrived, in order; waits up to ``timeout`` seconds for the first."""
        with self._receive_lock:
            rows = self._receiver.take(max_packets, int(timeout * 1e6))
        return [convert.packet(row, frame, self._name(row["port"]), self._reasons) for row, frame in rows]

    def capture(
        self,
        points: Iterable[str],
        port: int | str | None = None,
        *,
        snap: int = 0,
        reasons: Iterable[str] = (),
    ) -> None:
        """Copies of packets to ``packets``: at "rx", "tx" or "drop", of one port or all, ``snap`` bytes of
        each (0: all).

        ``reasons`` narrows drops down to some. An empty ``points`` stops.
        """
        number = 0
        for point in points:
            if point not in _POINTS:
                raise ValueError(f"a capture point is rx, tx or drop, not {point!r}")
            number |= _POINTS[point]
        names = [name for name, _ in self._reasons]
        drops = 0
        for reason in reasons:
            if reason not in names:
                raise ValueError(f"there is no drop reason {reason!r}; there are {', '.join(names)}")
            drops |= 1 << (names.index(reason) + 1)
        session.capture(number, session.PORT_ANY if port is None else self._index(port), snap, drops)

    def capture_stop(self) -> None:
        """No more copies."""
        session.capture(0, session.PORT_ANY, 0, 0)

    def trace(self, port: int | str, frame: convert.Frame, pkt_meta: int = 0) -> Trace:
        """Where a frame received on a port would go, and why; a copy of it walks the live tables without
        side effects. The frame is bytes, hexadecimal text, or what becomes bytes, as scapy's packets do.
        """
        hops, outcomes, revision = session.trace(self._index(port), pkt_meta, convert.frame_bytes(frame))
        return Trace(
            tuple(convert.trace_hop(row) for row in hops),
            tuple(convert.outcome(row, out, self._name(row["port"]), self._reasons) for row, out in outcomes),
            revision,
        )

    # -- transactions, shared resources ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Every change of pipes, entries and misses inside becomes visible to packets in one step at the
        end.

        An exception inside aborts. If anything could not be prepared, the commit raises. Then nothing has
        changed: what was removed is there again, with its objects.
        """
        session.txn_begin()
        self.engine.begin()
        committed = False
        try:
            try:
                yield
            except BaseException:
                session.txn_abort()
                raise
            session.txn_commit()
            committed = True
        finally:
            self.engine.dispatch()
            self.engine.end(committed=committed)

    def shared_set(self, kind: SharedResourceType, number: int, config: SharedConfig) -> None:
        """Configure a shared resource (``doca_flow_shared_resource_set_cfg``); bind it before it is used."""

        def fill(made: Cdata, arena: Arena) -> None:
            _fill_shared(made, arena, config)

        session.shared_set(kind, number, fill)

    def shared_bind(
        self, kind: SharedResourceType, numbers: Iterable[int], to: Port | Pipe | None = None
    ) -> None:
        """Bind shared resources to a port, a pipe, or everything (``doca_flow_shared_resources_bind``)."""
        session.shared_bind(kind, list(numbers), None if to is None else to.handle)

    def shared_query(self, kind: SharedResourceType, number: int) -> Counter:
        """The total of a shared counter (``doca_flow_shared_resources_query``)."""
        return Counter(*session.shared_query(kind, number))

    # -- statistics ------------------------------------------------------------------------------------------------

    def port_stats(self, port: int | str) -> PortStats:
        """Counters of a port since the fast path started; no call to the fast path."""
        return convert.port_stats(session.port_stats(self._index(port)), self._reasons)

    def stats(self) -> DpuStats:
        """Totals, and the counters of every port."""
        row = session.stats()
        names = [info.name for info in self.port_list()]
        cycles = row["cycles_total"]
        return DpuStats(
            **{name: row[name] for name in _TOTALS},
            uptime_s=max(0.0, time.time() - row["started_ns"] / 1e9),
            busy=row["cycles_busy"] / cycles if cycles else 0.0,
            cycles_busy=row["cycles_busy"],
            heartbeat_age_s=max(0.0, (time.monotonic_ns() - row["heartbeat_ns"]) / 1e9),
            ports={name: self.port_stats(name) for name in names},
        )

    def caches(self) -> tuple[CacheStats, ...]:
        """The flow cache of each worker; no call to the fast path."""
        return tuple(CacheStats(**session.cache(worker)) for worker in range(session.stats()["nr_workers"]))

    def stages(self) -> Stages:
        """Cycles of the workers by stage; no call to the fast path."""
        turns, packets, cycles = session.stages()
        return Stages(turns, packets, dict(cycles))

    @property
    def heartbeat_age_s(self) -> float:
        """Since the control loop's last turn; no call to the fast path, so it tells one that hangs."""
        return max(0.0, (time.monotonic_ns() - int(session.stats()["heartbeat_ns"])) / 1e9)

    def drop_reasons(self) -> dict[str, str]:
        """Every drop reason with its meaning."""
        return dict(self._reasons)

    @property
    def packets_lost(self) -> int:
        """Packets that this session was too slow to take."""
        return int(session.stats()["packets_lost"])

    @property
    def events_lost(self) -> int:
        """Events that this session was too slow to take."""
        return int(session.stats()["events_lost"])

    def pipe_list(self, *, own: bool = False) -> list[PipeInfo]:
        """Pipes of all sessions, or of this one, as the fast path lists them."""
        return [convert.pipe_info(row, self._name(row["port"])) for row in session.pipe_list(own)]

    def sessions(self) -> list[SessionInfo]:
        """All sessions of the fast path."""
        return [
            SessionInfo(
                name=row["name"],
                number=row["session"],
                durable=bool(row["flags"] & 1),
                attached=bool(row["attached"]),
                nr_pipes=row["nr_pipes"],
                nr_entries=row["nr_entries"],
                pid=row["pid"],
            )
            for row in session.session_list()
        ]

    def session_drop(self, name: str) -> None:
        """End a durable session that nobody is attached to."""
        session.session_drop(name)

    def events(self, timeout: float = 0.0) -> list[Event]:
        """What happened to ports and pipes; waits up to ``timeout`` seconds for the first."""
        return [
            Event(
                kind=_EVENTS.get(row["kind"], str(row["kind"])),
                port=self._name(row["port"]) if row["port"] != convert.PORT_NONE else "",
                value=row["value"],
                text=row["text"],
                timestamp_ns=row["timestamp_ns"],
            )
            for row in session.events(256, int(timeout * 1e6))
        ]

    def warnings(self) -> list[str]:
        """Legal but suspicious things that calls have done since this was last asked."""
        self.engine.dispatch()
        taken = list(self.engine.warnings)
        self.engine.warnings.clear()
        return taken


def _fill_shared(made: Cdata, arena: Arena, config: SharedConfig) -> None:
    if isinstance(config, MeterConfig):
        meter = made.meter_cfg
        meter.limit_type, meter.color_mode, meter.alg = config.limit_type, config.color_mode, config.alg
        meter.cir, meter.cbs = config.cir, config.cbs
        if config.alg is MeterAlgorithm.RFC2697:
            meter.rfc2697.ebs = config.ebs
        elif config.alg is MeterAlgorithm.RFC2698:
            meter.rfc2698.pir, meter.rfc2698.pbs = config.pir, config.pbs
        else:
            meter.rfc4115.eir, meter.rfc4115.ebs = config.eir, config.ebs
    elif isinstance(config, (Encap, Decap)):
        is_encap = isinstance(config, Encap)
        rows = fields.ENCAP_FIELDS if is_encap else fields.DECAP_FIELDS
        flat, target = flatten(config, rows), made.encap_cfg if is_encap else made.decap_cfg
        for row in rows:
            if row.name in flat:
                store(target, row.c, row.kind.value, flat[row.name])
    elif isinstance(config, FwdRss):
        arena.rss(
            made.rss_cfg, config.queues, int(config.outer_flags), int(config.inner_flags), config.hash_func
        )
