# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Open vSwitch with DPDK as a peer, if installed (Debian package openvswitch-switch-dpdk): a stateful firewall of four
services by its connection tracking, on one core, with the traffic that everybody gets.

Everything of it lies in a directory of ours; a running Open vSwitch is not touched. ``RINGFIELD_OVS`` names a directory
where the package was unpacked instead of installed.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from appliance.bench import traffic
from appliance.bench.machine import BenchError, thread_run_ns
from appliance.bench.programs import Settings

ROOT: Final = Path(os.environ.get("RINGFIELD_OVS", "/"))
DAEMON: Final = ROOT / "usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
SCHEMA: Final = ROOT / "usr/share/openvswitch/vswitch.ovsschema"
MEMORY_MIB: Final = 1900
CALL_SECONDS: Final = 30.0
START_SECONDS: Final = 20.0


def has_ovs(settings: Settings) -> bool:
    """Whether it can be run: it takes hugepages and makes no do without."""
    return settings.huge and DAEMON.exists() and not os.geteuid()


class _Switch:
    """Its processes and its directory, gone with the block."""

    def __init__(self, directory: Path, stack: contextlib.ExitStack) -> None:
        self.directory, self._stack = directory, stack
        names = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "RUNTIME_DIRECTORY")
        self._environment = os.environ | dict.fromkeys(names, str(directory))

    def call(self, tool: str, *words: str) -> str:
        """Run one of its tools to the end."""
        path = next(
            (one for one in (ROOT / "usr/bin" / tool, ROOT / "usr/sbin" / tool) if one.exists()), tool
        )
        done = subprocess.run(
            [str(path), *words], env=self._environment, capture_output=True, text=True, timeout=CALL_SECONDS,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise BenchError(f"{tool}: {done.stderr.strip().splitlines()[-1:]}")
        return done.stdout

    def set(self, *words: str) -> None:
        """ovs-vsctl."""
        self.call("ovs-vsctl", f"--db=unix:{self.directory / 'db.sock'}", *words)

    def flow(self, text: str) -> None:
        """One more flow."""
        self.call("ovs-ofctl", "add-flow", self.bridge, text)

    @property
    def bridge(self) -> str:
        """Where ovs-ofctl finds it."""
        return f"unix:{self.directory / 'br0.mgmt'}"

    def start(self, program: Path, *words: str, socket: str) -> int:
        """Start a daemon and wait for its socket; its pid."""
        log = self._stack.enter_context((self.directory / f"{program.name}.log").open("wb"))
        child = subprocess.Popen(
            [str(program), *words, "-vconsole:warn"], env=self._environment, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log,
        )  # fmt: skip
        self._stack.callback(_end, child)
        end = time.monotonic() + START_SECONDS
        while not any(self.directory.glob(socket)):
            if child.poll() is not None or time.monotonic() > end:
                said = (self.directory / f"{program.name}.log").read_text(errors="replace").splitlines()[-1:]
                raise BenchError(f"{program.name} does not start: {' '.join(said)}")
            time.sleep(0.02)
        return child.pid


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(10)
    child.kill()
    child.wait()


@contextmanager
def _firewall(settings: Settings, pair: tuple[Path, Path]) -> Iterator[tuple[_Switch, int]]:
    """Port 1 may open the four services, established passes both ways."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ringfield-bench-")))
        switch = _Switch(directory, stack)
        switch.call("ovsdb-tool", "create", str(directory / "conf.db"), str(SCHEMA))
        switch.start(
            ROOT / "usr/sbin/ovsdb-server",
            str(directory / "conf.db"),
            f"--remote=punix:{directory / 'db.sock'}",
            socket="db.sock",
        )
        switch.set("--no-wait", "init")
        switch.set(
            "--no-wait", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
            f"other_config:dpdk-socket-mem={MEMORY_MIB}",
            f"other_config:pmd-cpu-mask={1 << settings.cores.worker:#x}",
            f"other_config:dpdk-lcore-mask={1 << settings.cores.control:#x}",
            "other_config:dpdk-extra=--no-pci --in-memory",
        )  # fmt: skip
        pid = switch.start(DAEMON, f"unix:{directory / 'db.sock'}", socket="*.ctl")
        switch.set("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
        switch.call("ovs-ofctl", "del-flows", switch.bridge)
        switch.flow("table=0,priority=10,ip,actions=ct(table=1,zone=1)")
        for here, there in ((1, 2), (2, 1)):
            switch.flow(f"table=1,priority=20,in_port={here},ct_state=+trk+est,ip,actions=output:{there}")
        for service in traffic.SERVICES:
            switch.flow(
                f"table=1,priority=10,in_port=1,ct_state=+trk+new,udp,tp_dst={service},"
                "actions=ct(commit,zone=1),output:2"
            )
        for index, path in enumerate(pair):
            switch.set(
                "add-port", "br0", f"p{index}", "--", "set", "Interface", f"p{index}", "type=dpdk",
                f"ofport_request={index + 1}",
                f"options:dpdk-devargs=net_pcap{index},rx_pcap={path},infinite_rx=1",
            )  # fmt: skip
        yield switch, pid


def conntrack(settings: Settings, flows: int) -> float:
    """Millions of packets that it sends on both ports per second of its polling thread's time."""
    with _firewall(settings, traffic.write_pair(settings.scratch, flows)) as (switch, pid):

        def look() -> tuple[int, int]:
            told = switch.call("ovs-ofctl", "dump-ports", switch.bridge)
            return sum(int(number) for number in re.findall(r"tx pkts=(\d+)", told)), thread_run_ns(
                pid, "pmd"
            )

        time.sleep(2.0 if settings.quick else 4.0)  # all connections are open by then
        before = look()
        time.sleep(1.0 if settings.quick else 3.0)
        after = look()
    if after[0] <= before[0] or after[1] <= before[1]:
        raise BenchError("Open vSwitch forwards nothing")
    return 1e3 * (after[0] - before[0]) / (after[1] - before[1])
