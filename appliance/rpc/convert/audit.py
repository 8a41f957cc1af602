# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The audit log as messages: the appliance's and the centre's."""

from __future__ import annotations

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from appliance.policy.audit import Entry, Finding, Outcome
from appliance.rpc.convert.workload import timestamp
from appliance.v1 import audit_service_pb2


def entry_to(entry: Entry) -> audit_service_pb2.AuditEntry:
    """One entry."""
    message = audit_service_pb2.AuditEntry(
        number=entry.number, time=timestamp(entry.time), actor=entry.actor, credential=entry.credential,
        action=entry.action, target=entry.target, refused=entry.outcome is Outcome.REFUSED,
        refusal=entry.refusal, reason=entry.reason, revision=entry.revision,
    )  # fmt: skip
    for name in ("before", "after"):
        json_format.ParseDict(dict(getattr(entry, name)), made := Struct())
        getattr(message, name).CopyFrom(made)
    return message


def finding_to(found: Finding) -> audit_service_pb2.VerifyAuditLogResponse:
    """What a check found."""
    return audit_service_pb2.VerifyAuditLogResponse(
        good=found.ok, good_entries=found.good, signed_entries=found.signed, bad_entry=found.entry,
        fault="" if found.fault is None else found.fault.value, text=found.text,
    )  # fmt: skip
