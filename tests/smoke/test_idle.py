# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What an adaptive worker does without packets: it sleeps, wakes for each, and nobody waits for it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.all import IP, UDP, Ether

from appliance.flow import Dpu
from appliance.flow.types import CHANGEABLE, FwdPort, HeaderFormat, Ip4, Match, PipeSpec
from tests.support.fastpath import Fastpath, wait_for
from tests.support.netns import Netns

START = Callable[..., Fastpath]
RING = {"backend": "net_ring"}
FRAME = bytes(
    Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01") / IP(dst="10.0.0.1") / UDP() / bytes(22)
)
LOOKS = 2


class Worker:
    """The first worker's thread, from outside."""

    def __init__(self, running: Fastpath) -> None:
        assert running.stats is not None
        self._stats = running.stats
        tasks = Path(f"/proc/{running.pid}/task")
        self._status = next(
            one / "status" for one in tasks.iterdir() if (one / "comm").read_text().startswith("rte-worker")
        )

    def loops(self) -> int:
        """Times that it looked for packets."""
        return int(self._stats.workers()[0].loops)

    def sleeps(self) -> int:
        """Times that it gave the processor away by itself."""
        lines = self._status.read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("voluntary_ctxt_switches")))

    def wait_asleep(self) -> None:
        """Until it does nothing but sleep: it looks twice around each sleep, and no more."""
        for _ in range(LOOKS):
            wait_for("a worker that sleeps between looks", self._sleeps_between_looks)

    def _sleeps_between_looks(self) -> bool:
        loops, sleeps = self.loops(), self.sleeps()
        wait_for("another look", lambda: self.loops() > loops)
        sleeps_after = self.sleeps()
        return self.loops() - loops <= 2 * (sleeps_after - sleeps + 1)


@pytest.fixture(params=[1, 2], ids=["a-worker", "two-workers"])
def running(request: pytest.FixtureRequest, fastpath: START) -> Fastpath:
    return fastpath({"p0": RING, "p1": RING}, {"workers": request.param})


def to(address: str) -> Match:
    return Match(outer=HeaderFormat(ip4=Ip4(dst_ip=address)))


def test_it_sleeps_and_wakes_for_each_packet(running: Fastpath) -> None:
    with Dpu.attach(running.directory) as dpu:
        port, peer = dpu.port_start("p0"), dpu.port_start("p1")
        port.pair(peer)
        pipe = port.pipe_create(
            PipeSpec(
                name="root",
                is_root=True,
                nr_entries=1,
                match=Match(outer=HeaderFormat(ip4=Ip4(dst_ip=CHANGEABLE))),
                fwd=FwdPort(1),
            )
        )
        dpu.receive()
        worker = Worker(running)
        for number in range(5):
            worker.wait_asleep()
            # A pipe with room for one entry: its place is free again when no worker can see the old one any more.
            entry = pipe.add(match=to("10.0.0.1"))
            dpu.inject("p0", FRAME)
            (packet,) = dpu.packets(timeout=30.0)
            assert (packet.port, packet.frame) == ("p1", FRAME)
            worker.wait_asleep()
            entry.remove()
            wait_for("the place to be free", lambda: pipe.info().used == 0)
            assert running.counters()["p1"]["sent"] == number + 1


def test_pipes_come_and_go_while_workers_sleep(running: Fastpath) -> None:
    with Dpu.attach(running.directory) as dpu:
        port, peer = dpu.port_start("p0"), dpu.port_start("p1")
        port.pair(peer)
        worker = Worker(running)
        worker.wait_asleep()
        for _ in range(200):  # many more than there is room for at once, were they not freed
            port.pipe_create(
                PipeSpec(
                    name="one",
                    is_root=True,
                    nr_entries=4096,
                    match=Match(outer=HeaderFormat(ip4=Ip4(dst_ip=CHANGEABLE))),
                    fwd=FwdPort(1),
                )
            ).destroy()
        worker.wait_asleep()


def test_spinning_workers_do_not_sleep(fastpath: START) -> None:
    worker = Worker(fastpath({"p0": RING}, {"idle": "spin"}))
    loops, sleeps = worker.loops(), worker.sleeps()
    wait_for("many looks", lambda: worker.loops() > loops + 100_000)
    assert worker.sleeps() - sleeps < 1000


@pytest.mark.root
def test_a_tap_wakes_it(fastpath: START, netns: Callable[[str], Netns]) -> None:
    web = netns("web")
    running = fastpath({"p0": {"backend": "net_tap", "netns": web.name, "args": "iface=eth0"}})
    web.ip("link", "set", "eth0", "addrgenmode", "none")
    web.address("eth0", "10.0.0.1/24")
    web.ip("neigh", "add", "10.0.0.9", "lladdr", "02:00:00:00:00:09", "dev", "eth0")
    worker = Worker(running)
    for _ in range(3):
        worker.wait_asleep()
        before = running.counters()["p0"]["received"]
        web.run("ping", "-c", "1", "-W", "1", "10.0.0.9")
        wait_for("the ping", lambda: running.counters()["p0"]["received"] > before)  # noqa: B023
