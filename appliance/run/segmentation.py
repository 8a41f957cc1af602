# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Segmentation inside a running appliance: what is composed around ``policy.control``, and its threads.

``Pump`` hands flow records from the fast path to telemetry; ``Names`` tells telemetry what the numbers in them mean;
the clock thread lets schedules and times to live fall due.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any, Final

import structlog

from appliance.errors import FlowError
from appliance.flow import Dpu
from appliance.policy.control import Segmentation
from appliance.policy.model import Action, Band, Workload
from appliance.policy.operation import InForce, Settings, Use
from appliance.policy.program import Verdict
from appliance.rpc.audit_service import AuditServicer
from appliance.rpc.containment_service import ContainmentServicer
from appliance.rpc.packets import PacketHub
from appliance.rpc.policy_flows import Advice
from appliance.rpc.policy_service import PolicyServicer
from appliance.rpc.server import Registers
from appliance.rpc.workload_service import WorkloadServicer
from appliance.run.dhcp import DhcpService
from appliance.run.scheduling import give_way
from appliance.run.segconfig import SegmentationConfig
from appliance.telemetry import Telemetry
from appliance.telemetry import names as tn

log = structlog.get_logger(__name__)

FLOW_RING_BYTES: Final = 8 << 20
TAKE_SECONDS: Final = 0.1
"""Longest wait for records, and so for the pump to let go of a Dpu."""
TICK_SECONDS: Final = 0.2


Places = tuple[tuple[int, str], ...]
"""Zones and addresses or prefixes."""


class Pump:
    """A thread that takes flow records from whichever Dpu there is."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._dpu: Dpu | None = None
        self._taking = threading.Lock()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)
        self._thread.start()

    def attach(self, dpu: Dpu) -> None:
        """Take from this one from now on."""
        with self._taking:
            self._dpu = dpu
        self._wake.set()

    def detach(self) -> None:
        """Take from none; returns when the last one is no longer in use."""
        self._wake.clear()
        with self._taking:
            self._dpu = None

    def _run(self) -> None:
        give_way()
        while not self._stop.is_set():
            with self._taking:
                dpu = self._dpu
                if dpu is not None:
                    self._take(dpu)
            if dpu is None:
                self._wake.wait(TAKE_SECONDS)

    def _take(self, dpu: Dpu) -> None:
        try:
            batch, lost = dpu.flow_records(TAKE_SECONDS)
            self._telemetry.append(batch, lost)
        except FlowError as error:
            log.debug("no flow records", reason=error.reason)
            self._dpu = None
        except Exception:
            log.exception("records were not taken")
            self._stop.wait(TAKE_SECONDS)

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self.detach()
        self._wake.set()
        self._thread.join()


class Names:
    """Writes what is in force into telemetry's book of names."""

    def __init__(self, book: tn.NameBook, known: Mapping[int, str]) -> None:
        """``known``: verdicts of earlier revisions by tag, as the store keeps them."""
        self._book = book
        self._seen: dict[str, tuple[object, ...]] = {}
        self._told: tuple[int, ...] = ()
        self._kept: InForce | None = None  # so that nothing else gets its id
        self._early: set[str] = set()
        self._tags, self._bases = set(known), set(range(tn.WORLD + 1))
        book.set_verdicts({tag: _verdict(from_text(text)) for tag, text in known.items()})

    def coming(self, coming: InForce) -> None:
        """Records may name rules, identities and workloads that are new as soon as packets are judged by them."""
        self._numbers(coming)
        zones = coming.program.numbers.zones
        for one in coming.inventory.workloads:
            if one.name not in self._seen:
                self._early.add(one.name)
                self._bind(one, _places(one, zones))

    def changed(self, now: InForce) -> None:
        """From the controller."""
        self._numbers(now)
        program = now.program
        what = (id(now.inventory), id(program.identities), id(program.verdicts))
        if what == self._told:
            return  # states alone have changed
        self._told, self._kept = what, now
        zones = now.program.numbers.zones
        there: dict[str, tuple[object, ...]] = {}
        for one in now.inventory.workloads:
            places = _places(one, zones)
            key = (one.kind, tuple(sorted(one.labels.items())), places)
            there[one.name] = key
            if self._seen.get(one.name) != key:
                self._bind(one, places)
        for name in (self._seen.keys() | self._early) - there.keys():
            self._book.remove_workload(name)
        self._seen = there
        self._early.clear()

    def _bind(self, one: Workload, places: Places) -> None:
        made = tn.Workload(one.name, one.kind, tn.labels(one.labels))
        self._book.set_workload(made, [tn.Binding.of(zone, text) for zone, text in places])

    def _numbers(self, now: InForce) -> None:
        """A tag and a base keep their meaning, so only new ones are told."""
        program, book = now.program, self._book
        vnis = {network.name: network.vni for network in now.inventory.networks}
        book.set_networks(
            {zone: tn.Network(name, vnis.get(name, 0)) for name, zone in program.numbers.zones.items()}
        )
        tags = program.verdicts.keys() - self._tags
        book.set_verdicts({tag: _verdict(program.verdicts[tag]) for tag in tags})
        bases = program.identities.keys() - self._bases
        book.set_identities(
            {
                base: tn.Identity(
                    labels=tn.labels(one.labels),
                    kind=one.kind,
                    name=one.entity or one.name or " ".join(one.cidrs),
                )
                for base, one in ((base, program.identities[base]) for base in bases)
            }
        )
        self._tags |= tags
        self._bases |= bases


def _places(one: Workload, zones: Mapping[str, int]) -> Places:
    return tuple(
        (zones[plug.network], text)
        for plug in one.interfaces
        for text in (*plug.addresses, *plug.prefixes)
        if plug.network in zones
    )


def from_text(text: str) -> Verdict:
    """A verdict as the store keeps it."""
    data: dict[str, Any] = json.loads(text)
    data["action"], data["band"] = Action(data["action"]), Band(data["band"])
    for name, kind in (("audit_action", Action), ("audit_band", Band)):
        if data[name] is not None:
            data[name] = kind(data[name])
    return Verdict(**data)


_WORDS: Final = {Action.ALLOW: "allow", Action.ALERT: "alert", Action.BLOCK: "drop", Action.REJECT: "reject"}


def _verdict(verdict: Verdict) -> tn.Verdict:
    return tn.Verdict(
        verdict=_WORDS[verdict.action],
        band=verdict.band.text,
        rule=verdict.rule,
        rule_id=verdict.rule,
        peer_rule=verdict.peer_rule,
        audit_verdict="" if verdict.audit_action is None else _WORDS[verdict.audit_action],
        audit_rule=verdict.audit_rule,
        log=verdict.log,
    )


class Runtime:
    """Everything of segmentation that an appliance holds."""

    def __init__(
        self,
        config: SegmentationConfig,
        ports: Mapping[str, int],
        use: Use,
        book: tn.NameBook,
        telemetry: Telemetry,
        *,
        service: str = "",
    ) -> None:
        self.config = config
        self._use = use
        self._dhcp: DhcpService | None = None
        settings = Settings(
            networks=config.networks,
            overlay=config.overlay,
            ports=ports,
            ct=config.ct,
            default=config.default,
            appliance=config.appliance,
            service=service,
            protect=config.protect,
            reject_contained=config.reject_contained,
            max_rows=config.max_rows,
        )
        self.control = Segmentation(settings, config.state_dir, use)
        self.wants_attach = threading.Event()
        self.control.force.out_of_step = self.wants_attach.set
        self.control.force.urgent = telemetry.urgent
        self.telemetry = telemetry
        self._advice = Advice(telemetry, self.control)
        self.control.containment.baselines = self._advice.baseline
        self._names = Names(book, self.control.store.interned("verdict"))
        self.control.force.before_change.append(self._names.coming)
        self.control.force.on_change += [self._names.changed, self._in_force]
        self._stop = threading.Event()
        self._clock: threading.Thread | None = None
        try:
            self.control.declare_workloads(config.workloads, config.workloads_digest)
            if config.policy is not None:
                self.control.declare_policy(config.policy_text, str(config.policy))
            self._names.changed(self.control.in_force)
            self._in_force(self.control.in_force)
        except BaseException:
            self.control.close()
            raise
        self.pump = Pump(self.telemetry)

    def bring_up(self, dpu: Dpu) -> None:
        """There is a fast path, and the node has it."""
        self.wants_attach.clear()
        self.control.force.bring_up()
        self.pump.attach(dpu)
        if self._clock is None:
            self._clock = threading.Thread(target=self._run, name="segmentation", daemon=True)
            self._clock.start()

    def _in_force(self, now: InForce) -> None:
        self.telemetry.policy_revision = now.revision

    def serve_links(self, hub: PacketHub) -> None:
        """Answer what hosts ask of their link and the fast path does not answer by itself."""
        if any(network.dhcp.is_on for network in self.config.networks):
            self._dhcp = DhcpService(hub, self._use, lambda: self.control.in_force.inventory)

    def stop_links(self) -> None:
        """Before the hub is closed."""
        if self._dhcp is not None:
            self._dhcp.close()
            self._dhcp = None

    def servicers(self) -> list[Registers]:
        """What it serves over gRPC."""
        return [
            PolicyServicer(self.control, self._advice),
            WorkloadServicer(self.control),
            ContainmentServicer(self.control),
            AuditServicer(self.control.audit),
        ]

    def lost(self) -> None:
        """The Dpu is about to be closed."""
        self.pump.detach()
        self.control.force.lost()

    def _run(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            try:
                self.control.tick()
            except Exception:
                log.exception("the clock of segmentation stumbled")

    def close(self) -> None:
        """End the threads; everything is on disk."""
        self._stop.set()
        if self._clock is not None:
            self._clock.join()
        self.pump.close()
        self.control.close()
