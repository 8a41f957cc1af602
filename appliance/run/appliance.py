# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""An appliance in operation: a fast path that is started or found, watched, and brought back when it dies.

Order of a start: lock of the runtime directory, namespaces, fast path, pipeline, gRPC. The end takes it down again in
reverse; with ``linger`` the fast path stays, and the next start finds it, as it does after a kill -9 of this process.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final

import structlog

from appliance.errors import FlowError, InUse, NotConnected
from appliance.flow import Dpu, FastpathProcess
from appliance.flow.launch import PID_FILE
from appliance.rpc.entry_service import EntryServicer
from appliance.rpc.node import Node
from appliance.rpc.observer_service import ObserverServicer
from appliance.rpc.packet_service import PacketServicer
from appliance.rpc.packets import PacketHub
from appliance.rpc.pipe_service import PipeServicer
from appliance.rpc.port_service import PortServicer
from appliance.rpc.server import Registers, Server
from appliance.rpc.shared_resource_service import SharedResourceServicer
from appliance.rpc.state import Journal, State, read_state
from appliance.rpc.stats_service import StatsServicer
from appliance.rpc.system_service import SystemServicer
from appliance.rpc.trace_service import TraceServicer
from appliance.run.central import Central
from appliance.run.config import RunConfig
from appliance.run.declare import declared, fastpath_ports, reserves
from appliance.run.lab import Lab, remove, remove_taps
from appliance.run.lock import hold
from appliance.run.segmentation import FLOW_RING_BYTES, Runtime
from appliance.run.telemetry import Exports, make_telemetry
from appliance.telemetry import NameBook
from appliance.telemetry.metrics import Snapshot
from appliance.v1 import system_service_pb2

log = structlog.get_logger(__name__)

WATCH_SECONDS: Final = 0.1
AGE_SECONDS: Final = 1.0
HUNG_SECONDS: Final = 3.0
RETRY_SECONDS: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
GONE_SECONDS: Final = 5.0


class Appliance:
    """Starts in its constructor, ends with ``close`` or its block."""

    def __init__(self, config: RunConfig, *, fresh: bool = False) -> None:
        """``fresh``: take down what an earlier appliance left in the runtime directory, instead of adopting it."""
        self.config = config
        self.restarts = 0
        self.adopted = False
        self.last_error = ""
        self.started_at = time.time()
        self._process: FastpathProcess | None = None
        self._dpu: Dpu | None = None
        self._found = False
        self._stop = threading.Event()
        self._lock_file = hold(config.runtime_dir / "appliance.lock", "an appliance")
        self.lab: Lab | None = None
        self.server: Server | None = None
        self.hub: PacketHub | None = None
        self.names = NameBook()
        self.telemetry = make_telemetry(self.names, config.records)
        self.exports: Exports | None = None
        self._watcher: threading.Thread | None = None
        self._journal: Journal | None = None
        self.segmentation: Runtime | None = None
        self.central: Central | None = None
        try:
            self._start(fresh)
        except BaseException:
            # What was there before this start goes on as it was.
            self.close(linger=self._found)
            raise

    @property
    def _state_file(self) -> Path:
        return self.config.runtime_dir / "state"

    def _start(self, fresh: bool) -> None:
        state = read_state(self._state_file)
        running = self._find()
        if running and fresh:
            self._shut_down_found()
            running, state = False, None
        self._found = running
        leftovers = state is not None or running or fresh
        self.lab = Lab(self.config, adopt=leftovers)
        if not running:
            self._kill_fastpath()  # one that was just being started when its appliance was killed
            self._spawn()
        self._journal = Journal(self._state_file, state if state is not None else State())
        self.node = Node(declared(self.config), self._journal)
        if self.config.segmentation is not None:
            tcp = self.config.grpc.tcp
            self.segmentation = Runtime(
                self.config.segmentation,
                {
                    **self.config.port_ids,
                    **{port.name: port.port_id for port in self.node.state.ports.values()},
                },
                self.node.use,
                self.names,
                self.telemetry,
                service=tcp.address if tcp is not None else "",
            )
            if self.config.central is not None:
                self.central = Central(self.config.central, self.segmentation.control)
        self.node.ports_changed = self._ports_changed
        self._attach()
        self.lab.set_up()
        self.hub = PacketHub(self.node)
        servicers: list[Registers] = [
            PortServicer(self.node),
            PipeServicer(self.node),
            EntryServicer(self.node),
            StatsServicer(self.node),
            PacketServicer(self.node, self.hub),
            TraceServicer(self.node),
            SharedResourceServicer(self.node),
            SystemServicer(self.node, self._describe),
            ObserverServicer(self.telemetry),
        ]
        if self.segmentation is not None:
            self.segmentation.serve_links(self.hub)
            servicers += self.segmentation.servicers()
        if self.central is not None:
            servicers += self.central.servicers()
        self.exports = Exports(
            self.telemetry,
            self.config.records,
            self.config.metrics,
            self._snapshot,
            lambda: self.fastpath_pid,
        )
        self.server = Server(servicers, self.config.grpc.unix, self.config.grpc.tcp)
        self.server.serving(True)
        if self.central is not None:
            self.central.start()
        self._watcher = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._watcher.start()

    def _ports_changed(self, ports: dict[str, int]) -> None:
        """From the node: ports that were added or are to be removed by a call."""
        if self.segmentation is not None:
            self.segmentation.control.workloads.set_ports(ports)
        dpu = self.node.dpu
        if dpu is not None:
            self.names.set_ports({port.index: port.name for port in dpu.port_list()})

    # -- the fast path

    @property
    def _socket(self) -> Path:
        return self.config.runtime_dir / "steering.sock"

    @property
    def fastpath_pid(self) -> int:
        """Process id of the fast path; 0 when it is unknown."""
        if self._process is not None:
            return int(self._process.pid)
        try:
            return int((self.config.runtime_dir / PID_FILE).read_text())
        except (OSError, ValueError):
            return 0

    def _find(self) -> bool:
        """Whether a fast path serves the runtime directory."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
        return True

    def _spawn(self) -> None:
        started = time.monotonic()
        self._process = FastpathProcess(
            fastpath_ports(self.config),
            self.config.fastpath,
            runtime_dir=self.config.runtime_dir,
            survive=True,
        )
        log.info("fast path started", pid=self._process.pid, seconds=round(time.monotonic() - started, 2))

    def _attach(self) -> None:
        dpu = Dpu.attach(
            self.config.runtime_dir,
            session=self.config.session,
            durable=True,
            mode=self.config.mode,
            reserves=reserves(self.config),
            flow_ring_bytes=FLOW_RING_BYTES if self.config.segmentation is not None else 0,
        )
        try:
            dpu.heartbeat_age_s  # maps the statistics while the fast path answers  # noqa: B018
            self._name_ports(dpu)
            change = self.node.bring_up(dpu)
            if self.segmentation is not None:
                self.segmentation.bring_up(dpu)
        except BaseException:
            self._let_go("the fast path could not be set up")
            dpu.close()
            raise
        self._dpu = dpu
        self.adopted = change.adopted
        log.info(
            "pipeline is in force",
            adopted=change.adopted,
            pipes=change.pipes,
            entries_added=change.entries_added,
            entries_removed=change.entries_removed,
        )

    def _name_ports(self, dpu: Dpu) -> None:
        self.names.set_ports({port.index: port.name for port in dpu.port_list()})

    def _shut_down_found(self) -> None:
        """End a fast path that an earlier appliance left."""
        dpu = Dpu.attach(self.config.runtime_dir, session="", mode=self.config.mode)
        try:
            dpu.shutdown()
        except FlowError:
            dpu.close()
            raise
        end = time.monotonic() + GONE_SECONDS
        while self._find():
            if time.monotonic() > end:
                raise InUse(f"the fast path in {self.config.runtime_dir} does not end")
            time.sleep(0.05)

    # -- watching

    def _watch(self) -> None:
        aged = time.monotonic()
        while not self._stop.wait(WATCH_SECONDS):
            dpu = self._dpu
            try:
                why = self._wrong(dpu)
                if why:
                    self._recover(dpu, why)
                elif self.segmentation is not None and self.segmentation.wants_attach.is_set():
                    self._attach_anew(dpu)
                elif time.monotonic() - aged >= AGE_SECONDS:
                    aged = time.monotonic()
                    self._keep_house()
            except Exception:
                log.exception("the watcher stumbled")

    def _keep_house(self) -> None:
        """Once a second: entries that have aged, and what there is to tell."""
        if count := self.node.age():
            log.info("aged entries removed", entries=count)
        events, warnings = self.node.notices()
        for event in events:
            log.info(event.kind.replace("_", " "), port=event.port, text=event.text)
        if self._dpu is not None and any(event.kind == "port_added" for event in events):
            self._name_ports(self._dpu)
        if self._dpu is not None:
            self.telemetry.report_lost("worker", self._dpu.ct_stats().records_lost)
        for warning in warnings:
            log.warning("suspicious", what=warning)

    def _wrong(self, dpu: Dpu | None) -> str:
        """What is wrong with the fast path; empty when nothing is."""
        if dpu is None:
            return "the fast path is not there"
        if self._process is not None and not self._process.alive:
            return "the fast path ended"
        if not dpu.alive:
            return "the fast path closed the connection"
        try:
            age = dpu.heartbeat_age_s
        except FlowError as error:
            return f"the fast path does not answer: {error.reason}"
        return f"the fast path has not moved for {age:.0f} s" if age > HUNG_SECONDS else ""

    def _let_go(self, why: str) -> None:
        """Nobody may use the Dpu from here on."""
        if self.segmentation is not None:
            self.segmentation.lost()
        self.node.lost(why)

    def _attach_anew(self, dpu: Dpu | None) -> None:
        """What this process knows of the fast path is no longer right: read it again. No packet notices."""
        log.warning("attaching to the fast path anew")
        self._let_go("the appliance attaches to the fast path anew")
        self._dpu = None
        if dpu is not None:
            dpu.close()
        self._attach()

    def _recover(self, dpu: Dpu | None, why: str) -> None:
        log.error("fast path lost: nothing is forwarded until it is back", reason=why)
        self.last_error = why
        if self.server is not None:
            self.server.serving(False)
        self._let_go(f"{why}; it is being started again")
        self._dpu = None
        if dpu is not None:
            try:
                dpu.close()
            except FlowError as error:
                log.debug("closing the lost session", reason=error.reason)
        self._kill_fastpath()
        for attempt in range(1 << 30):
            if self._stop.wait(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)]):
                return
            try:
                if not self._find():
                    self._spawn()
                self._attach()
                if self.lab is not None:
                    self.lab.set_up()
            except FlowError as error:
                self.last_error = error.reason
                self.node.lost(f"the fast path cannot be brought back: {error.reason}")
                log.error("the fast path cannot be brought back", attempt=attempt + 1, reason=error.reason)
                if not self._find():
                    self._kill_fastpath()
                continue
            self.restarts += 1
            if self.server is not None:
                self.server.serving(True)
            return

    def _kill_fastpath(self) -> None:
        """End what is left of a fast path that is lost: ours, or one that was found and hangs."""
        process, self._process = self._process, None
        if process is not None:
            process.stop(kill=True)
            return
        kill_recorded(self.config.runtime_dir)
        end = time.monotonic() + GONE_SECONDS
        while self._find() and time.monotonic() < end:
            time.sleep(0.01)

    def _describe(self, response: system_service_pb2.GetStatusResponse) -> None:
        response.fastpath_pid = self.fastpath_pid
        response.restarts = self.restarts
        response.adopted = self.adopted
        response.runtime_dir = str(self.config.runtime_dir)
        response.last_error = self.last_error

    def _snapshot(self) -> Snapshot:
        """For metrics: what there is while the fast path may be gone at any moment."""
        dpu = self._dpu
        if dpu is None:
            return Snapshot(restarts=self.restarts)
        try:
            return Snapshot(dpu.stats(), dpu.ct_stats(), dpu.caches(), self.restarts)
        except FlowError:
            return Snapshot(restarts=self.restarts)

    # -- the end

    def close(self, *, linger: bool = False) -> None:
        """Take everything down; with ``linger`` the fast path, its ports and the state stay."""
        self._stop.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        if self.central is not None:
            self.central.close()
            self.central = None
        self.telemetry.close()
        if self.server is not None:
            self.server.close()
            self.server = None
        if self.exports is not None:
            self.exports.close()
            self.exports = None
        if self.segmentation is not None:
            self.segmentation.stop_links()
        if self.hub is not None:
            self.hub.close()
            self.hub = None
        dpu, self._dpu = self._dpu, None
        if dpu is not None:
            if self._journal is not None:
                self._let_go("the appliance ends")
            try:
                if not linger:
                    dpu.shutdown()
            except (FlowError, NotConnected) as error:
                log.debug("at the end", reason=error.reason)
            finally:
                dpu.close()
        if self.segmentation is not None:
            self.segmentation.close()
            self.segmentation = None
        process, self._process = self._process, None
        if process is not None and not linger:
            process.stop()
        elif not linger:  # it was found running, and was told to end
            kill_recorded(self.config.runtime_dir, GONE_SECONDS)
        if self._journal is not None:
            if linger:
                self._journal.close()
            else:
                self._journal.forget()
            self._journal = None
        if not linger and self.fastpath_pid:
            remove_taps(self.config.ports)
        if self.lab is not None and not linger:
            self.lab.close()
            self.lab = None
        if not linger:
            (self.config.runtime_dir / PID_FILE).unlink(missing_ok=True)
        self._lock_file.close()

    def __enter__(self) -> Appliance:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def kill_recorded(runtime_dir: Path, patience: float = 0.0) -> None:
    """End the fast path that an appliance recorded in its runtime directory, if it still runs after ``patience``
    seconds; returns when its ports are free.
    """
    try:
        pid = int((runtime_dir / PID_FILE).read_text())
        process = os.pidfd_open(pid)
    except (OSError, ValueError):
        return
    try:
        ours = str(runtime_dir).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if ours and not select.select([process], [], [], patience)[0]:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            select.select([process], [], [], GONE_SECONDS)
    except OSError:
        return  # it has ended by itself
    finally:
        os.close(process)


def sweep(pattern: str, namespaces: Iterable[str]) -> bool:
    """Take down what appliances left that were killed in temporary directories; whether there was any."""
    found = False
    for directory in Path(tempfile.gettempdir()).glob(pattern):
        try:
            with (directory / "appliance.lock").open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                kill_recorded(directory)
        except OSError:
            continue  # in use, or somebody else's
        shutil.rmtree(directory, ignore_errors=True)
        found = True
    for name in namespaces if found else ():
        remove(name)
    return found
