# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The centre's smaller services: thin, everything that counts is in ``centre`` and ``trust``."""

from __future__ import annotations

from typing import Any, Final

from appliance.errors import FlowError
from appliance.intelligence import wire
from appliance.intelligence.access import Role
from appliance.intelligence.centre import Centre
from appliance.intelligence.context import CALLER
from appliance.intelligence.delay import Delay
from appliance.intelligence.fleet import LOST_SECONDS, Record
from appliance.intelligence.link_service import LinkService
from appliance.intelligence.trust import Member
from appliance.intelligence.v1 import containment_service_pb2 as contain_pb
from appliance.intelligence.v1 import enrolment_service_pb2 as enrol_pb
from appliance.intelligence.v1 import fleet_service_pb2 as fleet_pb
from appliance.policy import audit
from appliance.policy.model import State
from appliance.rpc.convert.audit import entry_to, finding_to
from appliance.rpc.convert.base import BadField
from appliance.rpc.convert.workload import STATE_OF, keep_from
from appliance.v1 import audit_service_pb2 as audit_pb

AT_ONCE: Final = 50
"""Appliances that are looked at in one go."""
MAX_ENTRIES: Final = 10_000
"""Of the audit log, in one answer."""


class Service:
    """What all have."""

    def __init__(self, centre: Centre, link: LinkService) -> None:
        self._centre, self._link = centre, link


class EnrolmentService(Service):
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
                pass  # not while it could not be told; the door writes refusals down, for anybody may call
            name, certificate = centre.trust.enrol(request.token, request.signing_request)
            try:
                centre.note(who, "central.enrol", f"appliance/{name}")
            except FlowError as error:  # the token is used up: without its certificate all would be lost
                centre.failed = error.reason
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


class FleetService(Service):
    """Appliances, tokens, alarms."""

    async def ListAppliances(  # noqa: N802
        self, request: fleet_pb.ListAppliancesRequest, context: Any
    ) -> fleet_pb.ListAppliancesResponse:
        """The fleet."""
        members = await self._link.core(self._centre.trust.appliances)
        made: list[fleet_pb.FleetAppliance] = []
        # Not all at once: what is to be told meanwhile goes in between.
        for some in (members[start : start + AT_ONCE] for start in range(0, len(members), AT_ONCE)):
            made += await self._link.core(lambda some=some: [self._appliance(one) for one in some])  # type: ignore[misc]
        last = self._centre.revision
        return fleet_pb.ListAppliancesResponse(
            appliances=made,
            revision=last.number if last is not None else 0,
            generation=self._centre.generation,
        )

    def _appliance(self, member: Member) -> fleet_pb.FleetAppliance:
        """An appliance as it is now. In the core's thread."""
        book, centre, name = self._link.book, self._centre, member.who.removeprefix("appliance/")
        record = book.records.get(name) or Record(name)
        _, wanted = centre.wanted(name)
        now = book.monotonic()
        contained = centre.containment_number
        behind = contained and record.containment < (centre.generation, contained)
        current = wanted is not None and wanted.digest == record.digest and not behind
        state = "connected" if record.connected else "lost" if record.heard else "never"
        if record.detached:
            state = "detached"
        if member.revoked:
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
            vtep=centre.vteps[name].address if name in centre.vteps else "", uplink=record.uplink,
            workloads=len(held.own) if held is not None else 0, peers=len(held.peers) if held is not None else 0,
        )  # fmt: skip

    async def GetLoad(  # noqa: N802
        self, request: fleet_pb.GetLoadRequest, context: Any
    ) -> fleet_pb.GetLoadResponse:
        """How busy the centre is."""
        sessions = self._link.sessions.values()
        delay = self._link.delay.over(request.seconds) if request.seconds > 0 else Delay()
        return fleet_pb.GetLoadResponse(
            streams=len(sessions), behind=sum(not one.greeted or bool(one.record.behind_since) for one in sessions),
            delay_p50=delay.p50, delay_p99=delay.p99, delay_max=delay.largest,
        )  # fmt: skip

    async def CreateEnrolmentToken(  # noqa: N802
        self, request: fleet_pb.CreateEnrolmentTokenRequest, context: Any
    ) -> fleet_pb.CreateEnrolmentTokenResponse:
        """For an appliance."""
        caller, centre = CALLER.get(), self._centre

        def make() -> str:
            with centre.audit.refusals(caller.actor, "central.token", request.name):
                token = centre.trust.enrolment_token(request.name, request.ttl_seconds)
            centre.note(caller.actor, "central.token", request.name, after={"id": token.id})
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
            centre.note(
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
            try:
                if request.name.startswith("appliance/"):  # no tunnel of it is let in any more
                    centre.tell_vtep(request.name.removeprefix("appliance/"), "", "", caller)
            finally:
                centre.note(caller.actor, "central.revoke", request.name, reason=request.reason)

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


class ContainmentService(Service):
    """Containment."""

    async def Contain(self, request: contain_pb.ContainRequest, context: Any) -> contain_pb.ContainResponse:  # noqa: N802
        """Put into a state."""
        caller = CALLER.get()
        state = STATE_OF.get(request.state, State.NORMAL)
        keep, baseline = keep_from(request.keep), wire.baseline_from(request.baseline)
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


class AuditService(Service):
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
