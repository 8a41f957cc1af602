# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Roles: who may call what. Checked at every call; a refusal is written into the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from appliance.errors import NotPermitted
from appliance.intelligence.authority import Certificate
from appliance.policy.audit import Actor


class Role(Enum):
    """What somebody may do."""

    VIEWER = "viewer"
    """Look at everything but secrets."""
    EDITOR = "editor"
    """Write inventory and policy."""
    RESPONDER = "responder"
    """Contain and release."""
    ADMIN = "admin"
    """Everything."""
    ORCHESTRATOR = "orchestrator"
    """Write workloads in its networks, with its label keys, and no others."""
    SENSOR = "sensor"
    """Report threats only."""
    APPLIANCE = "appliance"
    """The link, and its own certificate."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    who: str
    """``operator/NAME``, ``appliance/NAME``, ``local``."""
    role: Role
    credential: str
    certificate: Certificate | None = None
    networks: frozenset[str] = frozenset()
    label_keys: frozenset[str] = frozenset()

    @property
    def actor(self) -> Actor:
        """For the audit log."""
        return Actor(self.who, self.credential)


LOCAL: Final = Caller("local", Role.ADMIN, "unix")
"""Over the unix socket, which only its owner can open."""

_LOOK: Final = frozenset({Role.VIEWER, Role.EDITOR, Role.RESPONDER, Role.ADMIN})
_WRITE: Final = frozenset({Role.EDITOR, Role.ADMIN})
_WORKLOADS: Final = _WRITE | {Role.ORCHESTRATOR}
_CONTAIN: Final = frozenset({Role.RESPONDER, Role.ADMIN})
_REPORT: Final = frozenset({Role.SENSOR, Role.ADMIN})
_ADMIN: Final = frozenset({Role.ADMIN})
_APPLIANCE: Final = frozenset({Role.APPLIANCE})
_CERTIFIED: Final = frozenset(Role)
_PACKAGES: Final = ("appliance.intelligence.v1", "appliance.v1")
"""The audit log speaks as an appliance's does."""

ALLOWED: Final = {
    "FleetService/ListAppliances": _LOOK,
    "FleetService/ListAlarms": _LOOK,
    "FleetService/GetLoad": _LOOK,
    "FleetService/CreateEnrolmentToken": _ADMIN,
    "FleetService/CreateOperatorToken": _ADMIN,
    "FleetService/Revoke": _ADMIN,
    "FleetService/RaiseGeneration": _ADMIN,
    "FleetService/RotateStatementKey": _ADMIN,
    "InventoryService/ListWorkloads": _LOOK | {Role.ORCHESTRATOR},
    "InventoryService/WaitReady": _LOOK | {Role.ORCHESTRATOR},
    "InventoryService/ListNetworks": _LOOK | {Role.ORCHESTRATOR},
    "InventoryService/ListCriteria": _LOOK,
    "InventoryService/ApplyWorkloads": _WORKLOADS,
    "InventoryService/SetLabels": _WORKLOADS,
    "InventoryService/MoveWorkload": _WORKLOADS,
    "InventoryService/ApplyNetworks": _WRITE,
    "InventoryService/ReplaceCriteria": _WRITE,
    "PolicyService/ListPolicySets": _LOOK,
    "PolicyService/DiffPolicySet": _LOOK,
    "PolicyService/SimulatePolicySet": _LOOK,
    "PolicyService/ListRevisions": _LOOK,
    "PolicyService/UpdateDraft": _WRITE,
    "PolicyService/PublishPolicySet": _WRITE,
    "PolicyService/RollbackRevision": _WRITE,
    "ContainmentService/ListContainment": _LOOK,
    "ContainmentService/Contain": _CONTAIN,
    "ContainmentService/Release": _CONTAIN,
    "ThreatService/ReportThreat": _REPORT,
    "ThreatService/ListThreats": _LOOK,
    "AuditService/ListAuditEntries": _LOOK,
    "AuditService/VerifyAuditLog": _LOOK,
    "LinkService/Connect": _APPLIANCE,
    "EnrolmentService/RenewCertificate": _CERTIFIED,
}
"""Who may call what. ``EnrolmentService/GetAuthority`` and ``Enrol`` are for anybody: the token is what counts."""
OPEN: Final = frozenset({"EnrolmentService/GetAuthority", "EnrolmentService/Enrol"})


def method_of(path: str) -> str:
    """``FleetService/ListAppliances`` from a call's path; empty: it is none of ours."""
    package, _, method = path.removeprefix("/").rpartition(".")
    return method if package in _PACKAGES else ""


def check(caller: Caller, method: str) -> None:
    """``NotPermitted``: the role does not allow the method. What has no line in the table is for nobody."""
    allowed = ALLOWED.get(method, frozenset())
    if caller.role not in allowed:
        roles = ", ".join(sorted(role.value for role in allowed)) or "nobody"
        raise NotPermitted(f"{caller.who} is a {caller.role.value}; {method} is for: {roles}")
