# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Statements that are lost, come twice, come late or are forged, either side restarted in between: what the fast path
holds is always what was accepted last, and ends as what is published. Never between, never open.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.flow.rows import remove_rows
from appliance.intelligence import wire
from appliance.intelligence.access import LOCAL
from appliance.intelligence.centre import Centre
from appliance.intelligence.receiver import Held, Receiver
from appliance.intelligence.slices import Slice, delta
from appliance.intelligence.v1 import link_pb2, statement_pb2
from appliance.policy.audit import APPLIANCE
from appliance.policy.model import Interface, Network, State, Workload
from appliance.rpc.client import Client
from appliance.run.appliance import Appliance
from appliance.run.central import SegmentationEnforcer
from tests.support.rig import Running, config, directory
from tests.support.segmentation import DB, WEB, passes

CONFIG = """\
fastpath: {hugepages: 'no'}
linger: true
ports:
  p0: {backend: net_ring}
  p1: {backend: net_ring}
  p2: {backend: net_ring}
  p3: {backend: net_ring}
segmentation:
  networks: {lab: {prefixes: [10.0.0.0/24]}}
"""
PORTS = (5432, 3306)
STEPS = 60


def policy(port: int) -> str:
    return f"rules: [{{name: one, band: allow, from: app=web, to: app=db, services: [tcp/{port}]}}]\n"


def workload(name: str, port: str, number: int, app: str, appliance: str = "dpu1") -> Workload:
    place = Interface(
        network="lab",
        port=port,
        mac=f"02:00:00:00:00:0{number}",
        addresses=(f"10.0.0.{number}",),
        appliance=appliance,
    )
    return Workload(name=name, labels={"app": app}, interfaces=(place,))


class Walk:
    """A centre, an appliance with a real fast path, and a bad wire."""

    def __init__(self, where: Path, seed: int) -> None:
        self.where, self.random = where, random.Random(seed)
        self.wire: list[statement_pb2.SignedStatement] = []
        self.said: list[statement_pb2.SignedStatement] = []
        self.centre = Centre(where / "c", name="lab")
        self.centre.apply_networks([Network(name="lab", prefixes=("10.0.0.0/24",))], LOCAL)
        self.centre.apply_workloads(
            [workload("web", "p1", 1, "web"), workload("db", "p2", 2, "db"), workload("far", "p1", 3, "x", "dpu2")],
            [], LOCAL,
        )  # fmt: skip
        self.centre.publish("base", policy(PORTS[0]), LOCAL, "first")
        self.held = Held(centre="lab", appliance="dpu1", key=self.centre.signer.public)
        self.answers: list[str] = []
        self.start()

    # -- the appliance

    def start(self) -> None:
        """As after a power cut: what is on disk is all there is."""
        self.appliance = Appliance(config(CONFIG, self.where))
        self.client = Client(f"unix:{self.appliance.config.grpc.unix}")
        assert self.appliance.segmentation is not None
        self.enforcer = SegmentationEnforcer(self.appliance.segmentation.control)
        kept = self.where / "held"
        if kept.exists():
            self.held = Held.from_message(statement_pb2.HeldState.FromString(kept.read_bytes()))
            self.impose(Held(centre="lab", appliance="dpu1", key=self.held.key), self.held)
        self.receiver = Receiver(self.held, self.impose, self.keep)

    def impose(self, before: Held, after: Held) -> None:
        self.enforcer.obey("lab")
        self.enforcer.impose(before, after, APPLIANCE)

    def keep(self, held: Held) -> None:
        (self.where / "held").write_bytes(held.to_message().SerializeToString())

    def stop(self, linger: bool) -> None:
        self.client.close()
        self.appliance.close(linger=linger)

    # -- what can happen

    def say(self) -> None:
        """The centre puts what it would say on the wire: relative to what the appliance has, as far as it knows."""
        number, wanted = self.centre.wanted("dpu1")
        assert wanted is not None
        base: Slice | None = self.receiver.held.slice
        made = statement_pb2.Statement(
            centre="lab", generation=self.centre.generation, appliance="dpu1", number=number,
            result_digest=wanted.digest,
        )  # fmt: skip
        if base is not None and self.random.random() < 0.7:
            made.kind, made.base_digest = statement_pb2.STATEMENT_KIND_DELTA, base.digest
            made.payload = wire.delta_to(delta(base, wanted), self.centre.containment).SerializeToString()
        else:
            made.kind = statement_pb2.STATEMENT_KIND_SNAPSHOT
            made.payload = wire.slice_to(wanted, self.centre.containment).SerializeToString()
        self.put(made)

    def say_containment(self) -> None:
        now = self.centre.containment
        self.put(
            statement_pb2.Statement(
                centre="lab", generation=self.centre.generation, appliance="dpu1", number=now.number,
                kind=statement_pb2.STATEMENT_KIND_CONTAINMENT, result_digest=now.digest,
                payload=wire.containment_to(now).SerializeToString(),
            )
        )  # fmt: skip

    def put(self, made: statement_pb2.Statement) -> None:
        signed = self.centre.signer.sign(made)
        self.wire.append(signed)
        self.said.append(signed)

    def deliver(self) -> None:
        if self.wire:
            self.take(self.wire.pop(0))

    def take(self, message: statement_pb2.SignedStatement) -> None:
        answer = self.receiver.receive(message)
        if answer.WhichOneof("what") == "applied":
            self.answers.append("applied")
        else:
            self.answers.append(link_pb2.RefusalKind.Name(answer.refused.refusal))

    def change(self) -> None:
        what = self.random.randrange(4)
        if what == 0:
            self.centre.publish("base", policy(self.random.choice(PORTS)), LOCAL, "another")
        elif what == 1:
            self.centre.set_labels("far", {"app": self.random.choice(("web", "db", "x"))}, [], LOCAL)
        elif what == 2 and not self.centre.containment.contained:
            self.centre.contain(["db"], "", State.QUARANTINED, LOCAL, reason="a test")
            self.say_containment()
        elif self.centre.containment.contained:
            self.centre.release(["db"], LOCAL, "a test")
            self.say_containment()

    def step(self) -> None:
        acts: list[tuple[int, Callable[[], object]]] = [
            (8, self.change),
            (8, self.say),
            (12, self.deliver),
            (2, lambda: self.wire and self.wire.pop(0)),
            (2, lambda: self.random.shuffle(self.wire)),
            (3, self.replay),
            (2, self.forge),
            (1, self.restart_centre),
            (1, self.restart_appliance),
        ]
        self.random.choices([act for _, act in acts], [weight for weight, _ in acts])[0]()
        self.check()

    def replay(self) -> None:
        if self.said:
            self.wire.insert(0, self.random.choice(self.said))

    def forge(self) -> None:
        if self.said:
            old = self.random.choice(self.said)
            data = bytearray(old.statement)
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            self.wire.insert(0, statement_pb2.SignedStatement(statement=bytes(data), signature=old.signature))

    def restart_centre(self) -> None:
        self.centre.close()
        self.centre = Centre(self.where / "c")

    def restart_appliance(self) -> None:
        self.stop(linger=True)
        self.start()

    # -- what must hold

    def check(self) -> None:
        """The fast path holds the program of what was accepted last, and judges by it."""
        held = self.receiver.held
        expected, found = self.enforcer.read_back()
        assert expected
        assert found == expected
        open_ports: set[int] = set()
        if held.slice is not None and "db" not in held.containment.contained:
            open_ports = {port for port in PORTS if f"tcp/{port}" in held.slice.policy.text}
        rig = Running(self.appliance, self.client)
        assert {port for port in PORTS if passes(rig, WEB, DB, port)} == open_ports

    def settle(self) -> None:
        """The wire is good again."""
        self.wire.clear()
        self.say_containment()
        self.deliver()
        _, wanted = self.centre.wanted("dpu1")
        assert wanted is not None
        if self.receiver.held.slice is None or self.receiver.held.slice.digest != wanted.digest:
            self.centre.set_labels("web", {"nudge": "1"}, [], LOCAL)
            self.say()
            self.deliver()
            assert self.answers[-1] == "applied"
        _, wanted = self.centre.wanted("dpu1")
        assert wanted is not None
        assert self.receiver.held.slice is not None
        assert self.receiver.held.slice.digest == wanted.digest
        assert self.receiver.held.containment.contained.keys() == self.centre.containment.contained.keys()
        self.check()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_fast_path_holds_what_was_accepted_last(seed: int) -> None:
    with directory() as where:
        walk = Walk(where, seed)
        try:
            walk.check()
            for _ in range(STEPS):
                walk.step()
            walk.settle()
            assert {"applied", "REFUSAL_KIND_OLDER"} <= set(walk.answers)
        finally:
            walk.stop(linger=False)
            walk.centre.close()


def test_drift_shows() -> None:
    """Somebody takes a row away behind the appliance's back."""
    with directory() as where:
        walk = Walk(where, 3)
        try:
            walk.say()
            walk.deliver()
            walk.check()
            assert walk.appliance.segmentation is not None
            force = walk.appliance.segmentation.control.force
            with force.use(None) as dpu:
                port = next(iter(dpu.ports.values()))
                pipe = port.pipes[force.reconciler.pipes["seg/service"]]
                remove_rows(pipe, force.reconciler._live["seg/service"].handles)
            expected, found = walk.enforcer.read_back()
            assert found != expected
        finally:
            walk.stop(linger=False)
            walk.centre.close()
