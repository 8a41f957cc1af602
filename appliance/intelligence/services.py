# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The centre's services but for the link: thin, everything that counts is in ``centre`` and ``trust``."""

from __future__ import annotations

import difflib
import time
from ipaddress import ip_address, ip_network
from typing import Any, Final

from appliance.errors import InvalidValue, NotFound, TimedOut
from appliance.flow.types import parse_mac
from appliance.intelligence import inventory as inv
from appliance.intelligence import wire
from appliance.intelligence.access import Role
from appliance.intelligence.centre import Centre, digest
from appliance.intelligence.context import CALLER
from appliance.intelligence.fleet import LOST_SECONDS, Record
from appliance.intelligence.link_service import LinkService
from appliance.intelligence.v1 import containment_service_pb2 as contain_pb
from appliance.intelligence.v1 import enrolment_service_pb2 as enrol_pb
from appliance.intelligence.v1 import fleet_service_pb2 as fleet_pb
from appliance.intelligence.v1 import inventory_service_pb2 as inv_pb
from appliance.intelligence.v1 import policy_service_pb2 as policy_pb
from appliance.policy import audit
from appliance.policy.blast import services_of
from appliance.policy.difference import changes
from appliance.policy.evaluate import ask
from appliance.policy.model import Band, Interface, Rule, State, Workload
from appliance.policy.selecting import matches
from appliance.policy.selector import parse_selector
from appliance.rpc.convert.audit import entry_to, finding_to
from appliance.rpc.convert.base import BadField, at
from appliance.rpc.convert.policy import labels_text
from appliance.rpc.convert.workload import STATES, keep_from, spec_to
from appliance.v1 import audit_service_pb2 as audit_pb
from appliance.v1 import containment_service_pb2, workload_pb2

WAIT_SECONDS: Final = 60.0
MOVE_SECONDS: Final = 10.0
MAX_ENTRIES: Final = 10_000
"""Of the audit log, in one answer."""
_STATE_OF: Final = {number: state for state, number in STATES.items()}


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


class _Service:
    def __init__(self, centre: Centre, link: LinkService) -> None:
        self._centre, self._link = centre, link


class EnrolmentService(_Service):
    """Enrolment."""

    def __init__(self, centre: Centre, link: LinkService, address: str) -> None:
        super().__init__(centre, link)
        self._address = address

    async def GetAuthority(  # noqa: N802
        self, request: enrol_pb.GetAuthorityRequest, context: Any
    ) -> enrol_pb.GetAuthorityResponse:
        """The authority's certificate."""
        return enrol_pb.GetAuthorityResponse(certificate=self._centre.authority.pem)

    async def Enrol(self, request: enrol_pb.EnrolRequest, context: Any) -> enrol_pb.EnrolResponse:  # noqa: N802
        """A token against a certificate."""
        centre = self._centre

        def enrol() -> tuple[str, bytes]:
            who = audit.Actor(f"{context.peer()}", "token")
            with centre.audit.refusals(who, "central.enrol"):
                name, certificate = centre.trust.enrol(request.token, request.signing_request)
            centre.audit.append(who, "central.enrol", f"appliance/{name}")
            return name, certificate

        name, certificate = await self._link.core(enrol)
        return enrol_pb.EnrolResponse(
            certificate=certificate, authority=centre.authority.pem, statement_key=centre.signer.public,
            centre=centre.id, name=name, address=self._address,
        )  # fmt: skip

    async def RenewCertificate(  # noqa: N802
        self, request: enrol_pb.RenewCertificateRequest, context: Any
    ) -> enrol_pb.RenewCertificateResponse:
        """Another certificate."""
        caller = CALLER.get()
        made = await self._link.core(lambda: self._centre.trust.renew(caller, request.signing_request))
        return enrol_pb.RenewCertificateResponse(certificate=made)


class FleetService(_Service):
    """Appliances, tokens, alarms."""

    async def ListAppliances(  # noqa: N802
        self, request: fleet_pb.ListAppliancesRequest, context: Any
    ) -> fleet_pb.ListAppliancesResponse:
        """The fleet."""
        members = self._centre.trust.appliances()
        made = []
        for member in members:
            name = member.who.removeprefix("appliance/")
            made.append(await self._appliance(name, bool(member.revoked)))
        last = self._centre.revision
        return fleet_pb.ListAppliancesResponse(
            appliances=made,
            revision=last.number if last is not None else 0,
            generation=self._centre.generation,
        )

    async def _appliance(self, name: str, revoked: bool) -> fleet_pb.FleetAppliance:
        book, centre = self._link.book, self._centre
        record = book.records.get(name) or Record(name)
        _, wanted = await self._link.core(lambda: centre.wanted(name))
        now = book.monotonic()
        contained = centre.containment_number
        behind = contained and record.containment < (centre.generation, contained)
        current = wanted is not None and wanted.digest == record.digest and not behind
        state = "connected" if record.connected else "lost" if record.heard else "never"
        if record.detached:
            state = "detached"
        if revoked:
            state = "revoked"
        held = record.slice
        return fleet_pb.FleetAppliance(
            name=name, state=state, current=current, revision=wanted.revision if wanted is not None else 0,
            number=record.number, containment_number=record.containment[1],
            lag_seconds=0.0 if current or not record.behind_since else now - record.behind_since,
            apply_seconds=record.apply_seconds, clock_offset_seconds=record.offset,
            heard_seconds=now - record.heard if record.heard else -1.0,
            health=book.health(record) if now - record.heard < LOST_SECONDS or not record.heard else "silent",
            refusal=record.refusal, digest=record.digest.hex(), version=record.version,
            workloads=len(held.own) if held is not None else 0, peers=len(held.peers) if held is not None else 0,
        )  # fmt: skip

    async def CreateEnrolmentToken(  # noqa: N802
        self, request: fleet_pb.CreateEnrolmentTokenRequest, context: Any
    ) -> fleet_pb.CreateEnrolmentTokenResponse:
        """For an appliance."""
        caller, centre = CALLER.get(), self._centre

        def make() -> str:
            with centre.audit.refusals(caller.actor, "central.token", request.name):
                token = centre.trust.enrolment_token(request.name, request.ttl_seconds)
            centre.audit.append(caller.actor, "central.token", request.name, after={"id": token.id})
            return token.text

        return fleet_pb.CreateEnrolmentTokenResponse(token=await self._link.core(make))

    async def CreateOperatorToken(  # noqa: N802
        self, request: fleet_pb.CreateOperatorTokenRequest, context: Any
    ) -> fleet_pb.CreateOperatorTokenResponse:
        """For a person or a program."""
        caller, centre = CALLER.get(), self._centre
        roles = [role.value for role in Role if role is not Role.APPLIANCE]
        if request.role not in roles:
            raise BadField("role", f"{request.role!r} is not one of {', '.join(roles)}")

        def make() -> str:
            with centre.audit.refusals(caller.actor, "central.operator", request.name):
                token = centre.trust.operator_token(
                    request.name,
                    Role(request.role),
                    request.ttl_seconds,
                    request.networks,
                    request.label_keys,
                )
            centre.audit.append(
                caller.actor, "central.operator", request.name, after={"id": token.id, "role": request.role}
            )
            return token.text

        return fleet_pb.CreateOperatorTokenResponse(token=await self._link.core(make))

    async def Revoke(self, request: fleet_pb.RevokeRequest, context: Any) -> fleet_pb.RevokeResponse:  # noqa: N802
        """Everything of a name."""
        caller, centre = CALLER.get(), self._centre

        def revoke() -> None:
            with centre.audit.refusals(caller.actor, "central.revoke", request.name, request.reason):
                centre.trust.revoke(request.name, request.reason)
            centre.audit.append(caller.actor, "central.revoke", request.name, reason=request.reason)

        await self._link.core(revoke)
        return fleet_pb.RevokeResponse()

    async def ListAlarms(  # noqa: N802
        self, request: fleet_pb.ListAlarmsRequest, context: Any
    ) -> fleet_pb.ListAlarmsResponse:
        """The newest first."""
        alarms = list(self._link.book.alarms)[: request.limit or 100]
        return fleet_pb.ListAlarmsResponse(
            alarms=[
                fleet_pb.FleetAlarm(time=one.time, kind=one.kind, appliance=one.appliance, text=one.text)
                for one in alarms
            ]
        )

    async def RaiseGeneration(  # noqa: N802
        self, request: fleet_pb.RaiseGenerationRequest, context: Any
    ) -> fleet_pb.RaiseGenerationResponse:
        """After a restore."""
        caller = CALLER.get()
        made = await self._link.core(lambda: self._centre.raise_generation(caller, request.reason))
        return fleet_pb.RaiseGenerationResponse(generation=made)

    async def RotateStatementKey(  # noqa: N802
        self, request: fleet_pb.RotateStatementKeyRequest, context: Any
    ) -> fleet_pb.RotateStatementKeyResponse:
        """A new key."""
        caller = CALLER.get()
        made = await self._link.core(lambda: self._centre.rotate_key(caller, request.reason))
        return fleet_pb.RotateStatementKeyResponse(public_key=made)


class InventoryService(_Service):
    """Networks, workloads, criteria."""

    def _message(self, name: str) -> inv_pb.FleetWorkload:
        """A workload as it is now. In the core's thread."""
        centre = self._centre
        with centre.lock:
            made, by, declared = centre.workloads[name], centre.by[name], centre.declared[name]
            state = centre.containment.contained.get(name)
        reason = self._waiting(name)
        message = workload_pb2.Workload(name=name, spec=spec_to(made))
        message.status.state = STATES[state.contained.state if state is not None else State.NORMAL]
        message.status.ready, message.status.reason = not reason, reason
        return inv_pb.FleetWorkload(
            workload=message, source=declared.source, ready=not reason, reason=reason,
            labels=[
                inv_pb.LabelSource(key=key, value=value, by=by.get(key, declared.source))
                for key, value in sorted(made.labels.items())
            ],
        )  # fmt: skip

    def _waiting(self, name: str) -> str:
        """What a workload waits for; empty: it is ready."""
        centre, records = self._centre, self._link.book.records
        if centre.revision is None:
            return "nothing was published yet"
        for appliance, wanted in centre.holders(name).items():
            record = records.get(appliance)
            held = record.slice if record is not None else None
            known = (held.own.get(name) or held.peers.get(name)) if held is not None else None
            if known is None or known.digest != wanted.digest:
                where = (
                    "is not connected"
                    if record is None or not record.connected
                    else "has not acknowledged it"
                )
                return f"appliance {appliance} {where}"
        return ""

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
                    workloads=[self._message(name) for name in sorted(names)], version=centre.number
                )

        return await self._link.core(find)

    async def ApplyWorkloads(  # noqa: N802
        self, request: inv_pb.ApplyWorkloadsRequest, context: Any
    ) -> inv_pb.ApplyWorkloadsResponse:
        """One step."""
        caller = CALLER.get()
        made = [workload_from(one, f"workloads[{n}]") for n, one in enumerate(request.workloads)]
        expected = request.expected_version if request.HasField("expected_version") else None
        version, changed = await self._link.core(
            lambda: self._centre.apply_workloads(
                made, list(request.remove), caller, expected=expected, reason=request.reason
            )
        )
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
            return self._message(request.name)

        return inv_pb.SetLabelsResponse(workload=await self._link.core(change))

    async def WaitReady(  # noqa: N802
        self, request: inv_pb.WaitReadyRequest, context: Any
    ) -> inv_pb.WaitReadyResponse:
        """Until all are."""
        if not request.names:
            raise BadField("names", "is required")
        left = context.time_remaining()
        seconds = min(WAIT_SECONDS, max(0.0, (WAIT_SECONDS if left is None else left) - 0.2))
        await self._ready(list(request.names), seconds)
        names = list(request.names)
        return inv_pb.WaitReadyResponse(
            workloads=await self._link.core(lambda: [self._message(name) for name in names])
        )

    async def _ready(self, names: list[str], seconds: float) -> None:
        """``TimedOut`` names one that is not, and what it waits for."""

        def waiting() -> str:
            for name in names:
                if name not in self._centre.workloads:
                    return f"{name}: it is not there"
                if reason := self._waiting(name):
                    return f"{name}: {reason}"
            return ""

        why = ""

        async def look() -> bool | None:
            nonlocal why
            why = await self._link.core(waiting)
            return None if why else True

        if await self._link.until(look, seconds) is None:
            raise TimedOut(f"workload {why}")

    async def MoveWorkload(  # noqa: N802
        self, request: inv_pb.MoveWorkloadRequest, context: Any
    ) -> inv_pb.MoveWorkloadResponse:
        """Make, wait, break."""
        caller, centre, name = CALLER.get(), self._centre, request.name
        made = tuple(interface_from(one, f"interfaces[{n}]") for n, one in enumerate(request.interfaces))
        if not made:
            raise BadField("interfaces", "is required")
        started = time.monotonic()

        def step(interfaces: tuple[Interface, ...], action: str) -> tuple[Interface, ...]:
            with centre.lock:
                known = centre.declared.get(name)
                if known is None:
                    raise NotFound(f"there is no workload {name!r}")
                old = known.workload
                wanted = Workload(
                    name=name, labels=old.labels, kind=old.kind, origin=old.origin, risk=old.risk,
                    state=old.state, interfaces=interfaces,
                )  # fmt: skip
                centre.apply_workloads([wanted], [], caller, reason=request.reason, action=action)
                return old.interfaces

        def both() -> None:
            with centre.lock:
                known = centre.declared.get(name)
                if known is None:
                    raise NotFound(f"there is no workload {name!r}")
                kept = tuple(one for one in known.workload.interfaces if one not in made)
                step((*kept, *made), "workload.move")

        await self._link.core(both)
        await self._ready([name], request.timeout_seconds or MOVE_SECONDS)
        ready = time.monotonic() - started
        await self._link.core(lambda: step(made, "workload.moved"))
        return inv_pb.MoveWorkloadResponse(
            workload=await self._link.core(lambda: self._message(name)), ready_seconds=ready
        )

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


class PolicyService(_Service):
    """Policy sets."""

    async def ListPolicySets(  # noqa: N802
        self, request: policy_pb.ListPolicySetsRequest, context: Any
    ) -> policy_pb.ListPolicySetsResponse:
        """By name."""
        centre = self._centre
        return policy_pb.ListPolicySetsResponse(
            sets=[
                policy_pb.PolicySetInfo(
                    name=one.name, scope=one.scope, source=one.source, draft=one.draft, draft_actor=one.draft_actor,
                    draft_digest=digest(one.draft) if one.draft else "",
                )
                for _, one in sorted(centre.sets.items())
            ],
            revision=centre.revision.number if centre.revision is not None else 0,
        )  # fmt: skip

    async def UpdateDraft(  # noqa: N802
        self, request: policy_pb.UpdateDraftRequest, context: Any
    ) -> policy_pb.UpdateDraftResponse:
        """Keep a draft."""
        caller = CALLER.get()
        made, problems = await self._link.core(
            lambda: self._centre.update_draft(
                request.name, request.source, request.scope if request.HasField("scope") else None, caller,
                request.expected_digest if request.HasField("expected_digest") else None,
            )
        )  # fmt: skip
        return policy_pb.UpdateDraftResponse(digest=digest(made.draft), problems=problems)

    async def DiffPolicySet(  # noqa: N802
        self, request: policy_pb.DiffPolicySetRequest, context: Any
    ) -> policy_pb.DiffPolicySetResponse:
        """What would change."""
        centre = self._centre

        def compare() -> policy_pb.DiffPolicySetResponse:
            rules, after = centre.candidate(request.name, request.source)
            before = centre.program()
            known = centre.sets.get(request.name)
            text = centre.text_of(request.name, request.source)
            lines = difflib.unified_diff(
                (known.source if known is not None else "").splitlines(keepends=True),
                text.splitlines(keepends=True), "published", "draft",
            )  # fmt: skip
            asked = list(dict.fromkeys([*services_of(centre.rules), *services_of(rules)]))
            found, count = changes(before, after, asked, request.limit or 100)
            return policy_pb.DiffPolicySetResponse(
                text="".join(lines), verdicts_changed=count,
                verdicts=[
                    policy_pb.FleetVerdictChange(
                        source=labels_text(one.source), target=labels_text(one.target), service=str(one.service),
                        before=f"{one.before.action.name.lower()} ({one.before.rule})",
                        after=f"{one.after.action.name.lower()} ({one.after.rule})",
                    )
                    for one in found
                ],
            )  # fmt: skip

        return await self._link.core(compare)

    async def SimulatePolicySet(  # noqa: N802
        self, request: policy_pb.SimulatePolicySetRequest, context: Any
    ) -> policy_pb.SimulatePolicySetResponse:
        """One verdict."""
        centre = self._centre
        source, target = getattr(request, "from"), request.to

        def simulate() -> policy_pb.SimulatePolicySetResponse:
            rules, program = centre.candidate(request.name, request.source)
            try:
                answer = ask(
                    program, centre.inventory(), source, target, request.service, named=rules.services
                )
            except ValueError as error:
                raise InvalidValue(str(error)) from None
            return policy_pb.SimulatePolicySetResponse(
                action=answer.verdict.action.name.lower(),
                rule=answer.verdict.rule,
                band=answer.verdict.band.text,
            )

        return await self._link.core(simulate)

    async def PublishPolicySet(  # noqa: N802
        self, request: policy_pb.PublishPolicySetRequest, context: Any
    ) -> policy_pb.PublishPolicySetResponse:
        """A new revision."""
        caller = CALLER.get()
        expected = request.expected_revision if request.HasField("expected_revision") else None
        made = await self._link.core(
            lambda: self._centre.publish(request.name, request.source, caller, request.reason, expected)
        )
        return policy_pb.PublishPolicySetResponse(revision=made.number)

    async def RollbackRevision(  # noqa: N802
        self, request: policy_pb.RollbackRevisionRequest, context: Any
    ) -> policy_pb.RollbackRevisionResponse:
        """An older content, a new number."""
        caller = CALLER.get()
        made = await self._link.core(lambda: self._centre.rollback(request.revision, caller, request.reason))
        return policy_pb.RollbackRevisionResponse(revision=made.number)

    async def ListRevisions(  # noqa: N802
        self, request: policy_pb.ListRevisionsRequest, context: Any
    ) -> policy_pb.ListRevisionsResponse:
        """The newest first."""
        centre, records = self._centre, self._link.book.records

        def find() -> policy_pb.ListRevisionsResponse:
            made: list[policy_pb.FleetRevision] = []
            for one in centre.revisions(request.limit or 20):
                row = policy_pb.FleetRevision(
                    number=one.number,
                    time=one.time,
                    actor=one.actor,
                    reason=one.reason,
                    origin=one.origin,
                    of=one.of,
                )
                row.set = one.set
                if not made:
                    for member in centre.trust.appliances():
                        name = member.who.removeprefix("appliance/")
                        record = records.get(name)
                        _, wanted = centre.wanted(name)
                        if record is not None and record.refusal:
                            row.refused.append(f"{name}: {record.refusal}")
                        elif record is not None and wanted is not None and record.digest == wanted.digest:
                            row.applied += 1
                        else:
                            row.pending += 1
                made.append(row)
            return policy_pb.ListRevisionsResponse(revisions=made)

        return await self._link.core(find)


class ContainmentService(_Service):
    """Containment."""

    async def Contain(self, request: contain_pb.ContainRequest, context: Any) -> contain_pb.ContainResponse:  # noqa: N802
        """Put into a state."""
        caller = CALLER.get()
        state = _STATE_OF.get(request.state, State.NORMAL)
        keep = keep_from(
            [
                containment_service_pb2.KeptPath(source=one.source, target=one.target, services=one.services)
                for one in request.keep
            ]
        )
        with at("baseline"):
            baseline = [
                Rule(
                    name=one.name, band=Band.SYSTEM, source=parse_selector(one.source or "any"),
                    target=parse_selector(one.target or "any"), services=tuple(one.services) or ("any",),
                )
                for one in request.baseline
            ]  # fmt: skip
        made = await self._link.core(
            lambda: self._centre.contain(
                list(request.workloads), request.selector, state, caller, reason=request.reason,
                ttl=request.ttl_seconds, keep=keep, baseline=baseline,
            )
        )  # fmt: skip
        return contain_pb.ContainResponse(
            contained=[wire.contained_to(made.contained[name]) for name in sorted(made.contained)],
            number=made.number,
        )

    async def Release(self, request: contain_pb.ReleaseRequest, context: Any) -> contain_pb.ReleaseResponse:  # noqa: N802
        """End it."""
        caller = CALLER.get()
        if not request.workloads:
            raise BadField("workloads", "is required")
        made = await self._link.core(
            lambda: self._centre.release(list(request.workloads), caller, request.reason)
        )
        return contain_pb.ReleaseResponse(number=made.number)

    async def ListContainment(  # noqa: N802
        self, request: contain_pb.ListContainmentRequest, context: Any
    ) -> contain_pb.ListContainmentResponse:
        """Who."""
        now = await self._link.core(lambda: self._centre.containment)
        return contain_pb.ListContainmentResponse(
            contained=[wire.contained_to(now.contained[name]) for name in sorted(now.contained)],
            number=now.number,
        )


class AuditService(_Service):
    """The audit log, in the messages of the appliance's."""

    async def ListAuditEntries(  # noqa: N802
        self, request: audit_pb.ListAuditEntriesRequest, context: Any
    ) -> audit_pb.ListAuditEntriesResponse:
        """The newest last."""
        log, last = self._centre.audit, min(request.limit or 100, MAX_ENTRIES)
        return await self._link.core(
            lambda: audit_pb.ListAuditEntriesResponse(entries=map(entry_to, log.entries(last=last)))
        )

    async def VerifyAuditLog(  # noqa: N802
        self, request: audit_pb.VerifyAuditLogRequest, context: Any
    ) -> audit_pb.VerifyAuditLogResponse:
        """Whether it is whole, to its end."""
        log = self._centre.audit

        def verify() -> audit_pb.VerifyAuditLogResponse:
            log.sign()
            return finding_to(log.verify())

        return await self._link.core(verify)
