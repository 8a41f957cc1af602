# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""CT pipes through the API: what they are made of, lists, epochs, adoption by a later process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from appliance.errors import InvalidValue
from appliance.flow import FastpathProcess
from appliance.flow.launch import default_ports
from appliance.flow.types import (
    FLOW_RECORD,
    CtConfig,
    CtFull,
    CtTimeouts,
    FlowEvent,
    FwdDrop,
    PipeSpec,
    PipeType,
    TcpState,
)
from appliance.telemetry import Telemetry
from tests.support.flows import ZONE, book
from tests.support.tracked import CLIENT, IDENTITIES, SERVER, Tracked, tracked


@pytest.fixture(scope="module")
def rig() -> Iterator[Tracked]:
    with tracked(Telemetry(book(), 1000)) as made:
        yield made


def test_connections_are_listed_and_counted(rig: Tracked) -> None:
    rig.rule(80, tag=7)
    for source in range(40):
        rig.handshake(2000 + source, 80)
    rows = rig.dpu.ct_list()
    assert rows.dtype == FLOW_RECORD
    assert sorted(rows["src_port"]) == list(range(2000, 2040))
    assert set(rows["event"]) == {FlowEvent.UPDATE}
    assert set(rows["tcp_state"]) == {TcpState.ESTABLISHED}
    assert set(rows["zone"]) == {ZONE}
    assert set(rows["tag"]) == {7}
    assert bytes(rows["src_ip"][0][:4]) == bytes(map(int, CLIENT.address.split(".")))
    assert rows["packets"].tolist() == [[2, 1]] * 40
    assert len(rig.dpu.ct_list(limit=3)) == 3
    stats = rig.dpu.ct_stats()
    assert (stats.live, stats.opened, stats.half_open) == (40, 40, 0)
    records, lost = rig.dpu.flow_records(timeout=30)
    assert lost == 0
    assert set(records["event"]) <= {FlowEvent.OPEN, FlowEvent.UPDATE}
    assert set(records["boot"]) == {rig.dpu.boot_id}


def connection(rig: Tracked, source_port: int) -> np.void:
    rows = rig.dpu.ct_list()
    row: np.void = rows[rows["src_port"] == source_port][0]
    return row


def test_an_epoch_makes_connections_be_judged_again(rig: Tracked) -> None:
    rig.rule(80, tag=7)
    rig.handshake(3000, 80)
    rig.rule(80, tag=9)
    client, server = (np.uint32(IDENTITIES[host.address]) for host in (CLIENT, SERVER))
    rig.dpu.ct_epoch(2, [0xFFFC])  # somebody else
    rig.handshake(3000, 80)
    assert connection(rig, 3000)["tag"] == 7
    rig.dpu.ct_epoch(3, [int(client), int(server)])
    rig.handshake(3000, 80)
    assert (connection(rig, 3000)["tag"], connection(rig, 3000)["revision"]) == (9, 3)
    assert rig.dpu.ct_stats().rejudged >= 1
    rig.dpu.ct_adopt(CLIENT.address, zone=ZONE, window=1.0)
    rig.dpu.ct_adopt(window=0.0)


def test_a_ct_pipe_is_listed(rig: Tracked) -> None:
    info = next(pipe for pipe in rig.dpu.pipe_list() if pipe.name == "ct")
    assert (info.type, info.fwd_text, info.fwd_miss_text) == (PipeType.CT, "pipe forward", "pipe src")


def test_bad_configurations_are_refused(rig: Tracked) -> None:
    port = rig.dpu.port(0)
    for spec, words in (
        (PipeSpec(name="x", type=PipeType.CT, ct=CtConfig(capacity=0)), "no connection"),
        (PipeSpec(name="x", type=PipeType.CT, ct=CtConfig(zone_u32=10)), "meta.u32"),
        (PipeSpec(name="x", type=PipeType.CT, ct=CtConfig(), is_root=True), "root"),
        (PipeSpec(name="x", type=PipeType.CT, ct=CtConfig(), fwd=FwdDrop(), fwd_miss=FwdDrop()), "fwd is the pipe"),
    ):  # fmt: skip
        with pytest.raises(InvalidValue, match=words):
            port.pipe_create(spec)


CONFIG = CtConfig(
    capacity=512, full=CtFull.EVICT, zone_u32=None, timeouts=CtTimeouts(udp=12.5), adopt_window=0.0, revision=4
)  # fmt: skip
PROGRAM = """
import os, sys
from appliance.errors import BadState
from appliance.flow import Dpu
from appliance.flow.types import *
from tests.flow.test_tracking import CONFIG
by = Match.from_flat({"outer.eth.type": 0xFFFF})
dpu = Dpu.attach(sys.argv[1], session="keeper", durable=True, mode="switch", flow_ring_bytes=1 << 16)
port = dpu.port_start("p0", 0)
"""


def run(program: str, runtime_dir: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM + program, str(runtime_dir)],
        capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_ct_pipe_is_adopted_with_its_configuration(tmp_path: Path) -> None:
    process = FastpathProcess(default_ports(2, switch=True), {"huge": "no"}, runtime_dir=tmp_path / "run")
    try:
        run(
            """
port.pipe_create(PipeSpec(name="allowed", match=by, fwd=FwdPort(0)))
port.pipe_create(PipeSpec(name="policy", match=by, fwd=FwdPipe("allowed"), fwd_miss=FwdDrop("policy")))
port.pipe_create(PipeSpec(name="ct", type=PipeType.CT, ct=CONFIG, fwd=FwdPipe("allowed"), fwd_miss=FwdPipe("policy")))
port.pipe_create(PipeSpec(name="root", is_root=True, match=by, fwd=FwdPipe("ct")))
os._exit(0)
""",
            process.runtime_dir,
        )
        out = run(
            """
assert dpu.resumed
pipes = {pipe.name: pipe for pipe in port.adopt()}
assert pipes["ct"].spec.type is PipeType.CT
assert pipes["ct"].spec.ct == CONFIG, pipes["ct"].spec.ct
assert pipes["policy"].spec.ct is None
assert pipes["ct"].adopt_entries() == []
dpu.ct_epoch(5)
pipes["ct"].update_miss(FwdPipe("allowed"))
print(len(dpu.ct_list()), len(dpu.flow_records()[0]))
dpu.close()
dpu = Dpu.attach(sys.argv[1], reader=True)
dpu.session_drop("keeper")
try:
    dpu.flow_records()
except BadState as error:
    print("flow_ring_bytes" in str(error))
""",
            process.runtime_dir,
        )
        assert out == "0 0\nTrue\n"
    finally:
        assert process.stop() == 0
