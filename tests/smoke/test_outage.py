# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The fast path is killed under traffic between two namespaces: until its pipeline is back nothing is forwarded."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial

import pytest

from appliance.rpc.client import Client
from appliance.run.appliance import kill_recorded
from appliance.v1 import stats_pb2, stats_service_pb2, system_service_pb2
from tests.support.fastpath import wait_for
from tests.support.netns import Netns
from tests.support.nft import inside
from tests.support.rig import TIMEOUT, directory

pytestmark = pytest.mark.root

ALLOWED, DENIED = 7, 9
CONFIG = """\
mode: switch
fastpath: {{hugepages: 'no'}}
ports:
  p0: {{backend: net_ring}}
  pf0vf0: {{backend: net_tap, netns: {web}, mac: "02:00:00:00:00:01"}}
  pf0vf1: {{backend: net_tap, netns: {db}, mac: "02:00:00:00:00:02"}}
pipes:
  - name: service
    port: p0
    root: true
    match: {{outer.ipv4.dst_ip: changeable, outer.udp.dst_port: changeable}}
    monitor: {{counter: true}}
    fwd: {{port: pf0vf1}}
    miss: drop
    miss_counter: true
    entries:
      - {{match: {{outer.ipv4.dst_ip: 10.0.0.2, outer.udp.dst_port: 7}}, monitor: {{counter: true}}}}
"""


class Traffic:
    """Datagrams from one namespace to two ports of the other, without end; counts what is sent and what comes."""

    def __init__(self, web: Netns, db: Netns, stack: ExitStack) -> None:
        self.sent: Counter[int] = Counter()
        self.came: Counter[int] = Counter()
        self._end = threading.Event()
        self.paused = threading.Event()

        def opened(port: int = 0) -> socket.socket:
            made = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            made.bind(("0.0.0.0", port))  # noqa: S104 (inside a namespace of our own)
            made.settimeout(0.05)
            return made

        source = inside(web.name, opened)
        sinks = {port: inside(db.name, partial(opened, port)) for port in (ALLOWED, DENIED)}
        threads = [threading.Thread(target=self._send, args=(source,))]
        threads += [threading.Thread(target=self._receive, args=sink) for sink in sinks.items()]
        for one in threads:
            one.start()

        def end() -> None:
            self._end.set()
            for one in threads:
                one.join()

        stack.callback(end)

    def _send(self, source: socket.socket) -> None:
        while not self._end.wait(0.001):
            for port in (ALLOWED, DENIED):
                if not self.paused.is_set():
                    with suppress(OSError):  # an interface without carrier may say so
                        source.sendto(b"x" * 64, ("10.0.0.2", port))
                    self.sent[port] += 1

    def _receive(self, port: int, sink: socket.socket) -> None:
        while not self._end.is_set():
            with suppress(TimeoutError):
                sink.recv(100)
                self.came[port] += 1

    def wait_sent(self, more: int) -> None:
        """Until so many more of each kind are sent."""
        goal = self.sent[ALLOWED] + more
        wait_for("the sender", lambda: self.sent[ALLOWED] >= goal)

    def wait_came(self, more: int) -> None:
        """Until so many more have come."""
        goal = self.came[ALLOWED] + more
        wait_for("the receiver", lambda: self.came[ALLOWED] >= goal)


def stats(client: Client) -> dict[str, stats_pb2.PortStats]:
    found = client.stats.GetStats(stats_service_pb2.GetStatsRequest(), timeout=TIMEOUT).stats
    return {port.port: port for port in found.ports}


def status(client: Client) -> system_service_pb2.GetStatusResponse:
    return client.system.GetStatus(system_service_pb2.GetStatusRequest(), timeout=TIMEOUT)


def test_until_the_pipeline_is_back_nothing_is_forwarded(netns: Callable[[str], Netns]) -> None:
    web, db = netns("web"), netns("db")
    with directory() as where, ExitStack() as stack:
        file = where / "test.yaml"
        file.write_text(CONFIG.format(web=web.name, db=db.name))
        command = [sys.executable, "-m", "appliance", "run", "-c", str(file), "--runtime-dir", str(where)]
        log = stack.enter_context((where / "run.log").open("w"))
        stack.callback(lambda: print((where / "run.log").read_text()))  # shown when the test fails
        stack.callback(kill_recorded, where)
        appliance = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        )
        stack.callback(appliance.kill)
        assert appliance.stdout is not None
        assert any(line.startswith("READY ") for line in iter(appliance.stdout.readline, "")), "see run.log"
        for host, number in ((web, 1), (db, 2)):
            link = f"pf0vf{number - 1}"
            host.ip("link", "set", link, "addrgenmode", "none")
            host.address(link, f"10.0.0.{number}/24")
            host.ip(
                "neigh", "add", f"10.0.0.{3 - number}", "lladdr", f"02:00:00:00:00:0{3 - number}", "dev", link
            )
        client = stack.enter_context(Client(f"unix:{where / 'ringfield.sock'}"))
        traffic = Traffic(web, db, stack)
        traffic.wait_came(100)

        # With the appliance stopped nobody starts another fast path: the gap is as long as we want.
        first = status(client).fastpath_pid
        appliance.send_signal(signal.SIGSTOP)
        os.kill(first, signal.SIGKILL)
        wait_for("its end", lambda: not os.path.exists(f"/proc/{first}/exe"))
        traffic.wait_sent(20)  # what was on the way has come
        before = traffic.came[ALLOWED]
        traffic.wait_sent(200)
        assert traffic.came[ALLOWED] == before, "forwarded without a fast path"

        # Another fast path comes, on the same interfaces; its packets are dropped until its pipeline is in force.
        appliance.send_signal(signal.SIGCONT)
        traffic.wait_came(100)
        now = status(client)
        assert (now.restarts, now.fastpath_pid != first) == (1, True)
        traffic.paused.set()

        def at_rest() -> bool:
            ports = stats(client)
            return (
                ports["pf0vf0"].received.packets
                == ports["pf0vf1"].sent.packets + ports["pf0vf0"].dropped.packets
            )

        wait_for("rest", at_rest)
        ports = stats(client)
        wait_for("the last ones", lambda: traffic.came[ALLOWED] - before >= ports["pf0vf1"].sent.packets)
        # Everything that has come since, the new fast path has sent; everything else it dropped, and says why.
        assert traffic.came[ALLOWED] - before == ports["pf0vf1"].sent.packets >= 100
        drops = {drop.reason: drop.packets for drop in ports["pf0vf0"].drops}
        assert set(drops) <= {"no_pipeline", "pipe", "default_miss"}
        assert sum(drops.values()) == ports["pf0vf0"].dropped.packets
        assert traffic.came[DENIED] == 0, "open, not closed, at some moment"
        appliance.send_signal(signal.SIGINT)
        assert appliance.wait(60) == 0
    assert (web.links(), db.links()) == ([], [])
