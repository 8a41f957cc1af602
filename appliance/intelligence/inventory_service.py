# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The centre's InventoryService: networks, workloads, criteria, and whether workloads are known where they matter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any, Final

from appliance.errors import NotFound, TimedOut
from appliance.flow.types import parse_mac
from appliance.intelligence import inventory as inv
from appliance.intelligence import wire
from appliance.intelligence.context import CALLER
from appliance.intelligence.services import Service
from appliance.intelligence.slices import ContainedAt
from appliance.intelligence.v1 import inventory_service_pb2 as inv_pb
from appliance.policy.model import Interface, State, Workload
from appliance.policy.selecting import matches
from appliance.rpc.convert.base import BadField, at
from appliance.rpc.convert.workload import STATES, spec_to
from appliance.v1 import workload_pb2

WAIT_SECONDS: Final = 60.0
MOVE_SECONDS: Final = 10.0
OVERLAP_SECONDS: Final = 1.0
MAX_MOVE_SECONDS: Final = 3600.0


def workload_from(message: workload_pb2.Workload, path: str) -> Workload:
    """A workload of the fleet; ``BadField`` names what is wrong. Behind no appliance it needs neither port nor MAC."""
    if not message.name:
        raise BadField(f"{path}.name", "is required")
    spec = message.spec
    interfaces = tuple(
        interface_from(one, f"{path}.spec.interfaces[{number}]") for number, one in enumerate(spec.interfaces)
    )
    return Workload(
        name=message.name, labels=dict(spec.labels), kind=spec.kind or "generic", origin=spec.origin or "dc",
        interfaces=interfaces, risk=spec.risk,
    )  # fmt: skip


def interface_from(message: workload_pb2.WorkloadInterface, path: str) -> Interface:
    """Where a workload of the fleet is plugged in."""
    if not message.network:
        raise BadField(f"{path}.network", "is required")
    with at(f"{path}.addresses"):
        addresses = tuple(str(ip_address(text)) for text in message.addresses)
    with at(f"{path}.prefixes"):
        prefixes = tuple(str(ip_network(text)) for text in message.prefixes)
    if not addresses and not prefixes:
        raise BadField(f"{path}.addresses", "an address or a prefix is required")
    if message.appliance and not message.port:
        raise BadField(f"{path}.port", "is required behind an appliance")
    if message.appliance and not message.mac:
        raise BadField(f"{path}.mac", "is required behind an appliance")
    with at(f"{path}.mac"):
        mac = message.mac.lower() if message.mac else inv.stand_in(message.network, (*addresses, *prefixes))
        parse_mac(mac)
    return Interface(
        network=message.network, port=message.port or "-", mac=mac, addresses=addresses, prefixes=prefixes,
        appliance=message.appliance,
    )  # fmt: skip


class InventoryService(Service):
    """Networks, workloads, criteria."""

    def _messages(self, names: Sequence[str]) -> list[inv_pb.FleetWorkload]:
        """Workloads as they are now. In the core's thread."""
        centre = self._centre
        with centre.lock:
            waiting = self._waiting(names)
            contained = centre.containment.contained
            return [self._message(name, waiting.get(name, ""), contained.get(name)) for name in names]

    def _message(self, name: str, reason: str, contained: ContainedAt | None) -> inv_pb.FleetWorkload:
        centre = self._centre
        made, by, declared = centre.workloads[name], centre.by[name], centre.declared[name]
        message = workload_pb2.Workload(name=name, spec=spec_to(made))
        message.status.state = STATES[contained.contained.state if contained is not None else State.NORMAL]
        message.status.ready, message.status.reason = not reason, reason
        return inv_pb.FleetWorkload(
            workload=message, source=declared.source, ready=not reason, reason=reason,
            labels=[
                inv_pb.LabelSource(key=key, value=value, by=by.get(key, declared.source))
                for key, value in sorted(made.labels.items())
            ],
        )  # fmt: skip

    def _waiting(self, names: Sequence[str]) -> dict[str, str]:
        """What workloads wait for; those that are not in it are ready. An appliance that has acknowledged all of its
        slice is asked for no workload, so that a fleet that is current costs one look at each appliance.
        """
        centre, records = self._centre, self._link.book.records
        if centre.revision is None:
            return dict.fromkeys(names, "nothing was published yet")
        found: dict[str, str] = {}
        slicer = centre.slicer
        for appliance in sorted(slicer.appliances):
            record = records.get(appliance)
            held = record.slice if record is not None else None
            made = slicer.made(appliance)
            if held is not None and made is not None and held.digest == made.digest:
                continue
            if centre.trust.is_revoked(f"appliance/{appliance}"):
                continue  # it will never acknowledge anything, and nothing that it sends is let in
            late = record is not None and record.connected
            for name in names:
                one = slicer.member(appliance, name)
                known = (held.own.get(name) or held.peers.get(name)) if held is not None else None
                if one is not None and (known is None or known.digest != one.digest):
                    why = "has not acknowledged it" if late else "is not connected"
                    found.setdefault(name, f"appliance {appliance} {why}")
        return found

    async def ListWorkloads(  # noqa: N802
        self, request: inv_pb.ListWorkloadsRequest, context: Any
    ) -> inv_pb.ListWorkloadsResponse:
        """All, or some."""
        centre = self._centre

        def find() -> inv_pb.ListWorkloadsResponse:
            with centre.lock:
                states = {name: one.contained.state for name, one in centre.containment.contained.items()}
                names = (
                    [one.name for one in matches(request.selector, centre.workloads.values(), states)]
                    if request.selector
                    else list(centre.workloads)
                )
                return inv_pb.ListWorkloadsResponse(
                    workloads=self._messages(sorted(names)), version=centre.number
                )

        return await self._link.core(find)

    async def ApplyWorkloads(  # noqa: N802
        self, request: inv_pb.ApplyWorkloadsRequest, context: Any
    ) -> inv_pb.ApplyWorkloadsResponse:
        """One step."""
        caller = CALLER.get()
        expected = request.expected_version if request.HasField("expected_version") else None

        def apply() -> tuple[int, list[str]]:
            made = [workload_from(one, f"workloads[{n}]") for n, one in enumerate(request.workloads)]
            return self._centre.apply_workloads(
                made, list(request.remove), caller, expected=expected, reason=request.reason
            )

        version, changed = await self._link.core(apply)
        return inv_pb.ApplyWorkloadsResponse(version=version, changed=changed)

    async def SetLabels(  # noqa: N802
        self, request: inv_pb.SetLabelsRequest, context: Any
    ) -> inv_pb.SetLabelsResponse:
        """Labels of one."""
        caller = CALLER.get()

        def change() -> inv_pb.FleetWorkload:
            self._centre.set_labels(
                request.name, dict(request.labels), list(request.remove), caller, request.reason
            )
            return self._messages([request.name])[0]

        return inv_pb.SetLabelsResponse(workload=await self._link.core(change))

    async def WaitReady(  # noqa: N802
        self, request: inv_pb.WaitReadyRequest, context: Any
    ) -> inv_pb.WaitReadyResponse:
        """Until all are."""
        if not request.names:
            raise BadField("names", "is required")
        left = context.time_remaining()
        seconds = min(WAIT_SECONDS, max(0.0, (WAIT_SECONDS if left is None else left) - 0.2))
        return inv_pb.WaitReadyResponse(workloads=await self._ready(list(request.names), seconds))

    async def _ready(self, names: list[str], seconds: float) -> list[inv_pb.FleetWorkload]:
        """Workloads as soon as all are ready. ``TimedOut`` names one that is not, and what it waits for."""
        why = ""

        def look() -> list[inv_pb.FleetWorkload] | None:
            nonlocal why
            with self._centre.lock:
                gone = {name: "it is not there" for name in names if name not in self._centre.workloads}
                waiting = self._waiting(names) | gone
                why = next((f"{name}: {waiting[name]}" for name in names if name in waiting), "")
                return None if why else self._messages(names)

        found = await self._link.until(lambda: self._link.core(look), seconds)
        if found is None:
            raise TimedOut(f"workload {why}")
        return found

    async def MoveWorkload(  # noqa: N802
        self, request: inv_pb.MoveWorkloadRequest, context: Any
    ) -> inv_pb.MoveWorkloadResponse:
        """Make, wait, break."""
        caller, centre, name = CALLER.get(), self._centre, request.name
        made = tuple(interface_from(one, f"interfaces[{n}]") for n, one in enumerate(request.interfaces))
        if not made:
            raise BadField("interfaces", "is required")
        if not 0 <= request.timeout_seconds <= MAX_MOVE_SECONDS:
            raise BadField("timeout_seconds", f"0 (for {MOVE_SECONDS:g}) to {MAX_MOVE_SECONDS:g} is expected")
        if not 0 <= request.overlap_seconds <= MAX_MOVE_SECONDS:
            raise BadField(
                "overlap_seconds", f"0 (for {OVERLAP_SECONDS:g}) to {MAX_MOVE_SECONDS:g} is expected"
            )
        started = time.monotonic()

        def place(action: str, *, first: bool = False, beside: bool = True) -> None:
            with centre.lock:
                known = centre.declared.get(name)
                if known is None:
                    raise NotFound(f"there is no workload {name!r}")
                old = tuple(one for one in known.workload.interfaces if one not in made) if beside else ()
                wanted = replace(known.workload, interfaces=(*made, *old) if first else (*old, *made))
                centre.apply_workloads([wanted], [], caller, reason=request.reason, action=action)

        seconds = request.timeout_seconds or MOVE_SECONDS
        await self._link.core(lambda: place("workload.move"))
        await self._ready([name], seconds)
        ready = time.monotonic() - started
        # Packets to it go to the new place, while those on their way to and from the old one are let through still.
        await self._link.core(lambda: place("workload.moving", first=True))
        await self._ready([name], seconds)
        # Whoever sees that it is so tells the workload to send from there.
        await asyncio.sleep(request.overlap_seconds or OVERLAP_SECONDS)
        await self._link.core(lambda: place("workload.moved", beside=False))
        moved = await self._link.core(lambda: self._messages([name])[0])
        return inv_pb.MoveWorkloadResponse(workload=moved, ready_seconds=ready)

    async def ListNetworks(  # noqa: N802
        self, request: inv_pb.ListNetworksRequest, context: Any
    ) -> inv_pb.ListNetworksResponse:
        """By name."""
        networks = self._centre.networks
        return inv_pb.ListNetworksResponse(
            networks=[wire.network_to(networks[name]) for name in sorted(networks)]
        )

    async def ApplyNetworks(  # noqa: N802
        self, request: inv_pb.ApplyNetworksRequest, context: Any
    ) -> inv_pb.ApplyNetworksResponse:
        """Add or replace."""
        caller = CALLER.get()
        made = [wire.network_from(one, f"networks[{n}]") for n, one in enumerate(request.networks)]
        return inv_pb.ApplyNetworksResponse(
            version=await self._link.core(lambda: self._centre.apply_networks(made, caller))
        )

    async def ListCriteria(  # noqa: N802
        self, request: inv_pb.ListCriteriaRequest, context: Any
    ) -> inv_pb.ListCriteriaResponse:
        """In order."""
        return inv_pb.ListCriteriaResponse(
            criteria=[
                inv_pb.Criterion(
                    name=one.name,
                    name_pattern=one.name_pattern,
                    selector=one.selector,
                    labels=dict(one.labels or {}),
                )
                for one in self._centre.criteria.all
            ]
        )

    async def ReplaceCriteria(  # noqa: N802
        self, request: inv_pb.ReplaceCriteriaRequest, context: Any
    ) -> inv_pb.ReplaceCriteriaResponse:
        """All of them."""
        caller = CALLER.get()
        made = [
            inv.Criterion(one.name, one.name_pattern, one.selector, dict(one.labels))
            for one in request.criteria
        ]
        return inv_pb.ReplaceCriteriaResponse(
            changed=await self._link.core(lambda: self._centre.replace_criteria(made, caller))
        )
