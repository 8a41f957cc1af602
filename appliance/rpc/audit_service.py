# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""AuditService."""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from appliance.policy.audit import AuditLog, Entry, Outcome
from appliance.rpc.convert.workload import timestamp
from appliance.v1 import audit_service_pb2, audit_service_pb2_grpc

DEFAULT_ENTRIES: Final = 50


class AuditServicer(audit_service_pb2_grpc.AuditServiceServicer):
    """Reads the audit log; nobody writes it by a call."""

    service = audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        audit_service_pb2_grpc.add_AuditServiceServicer_to_server(self, server)

    def ListAuditEntries(  # noqa: N802
        self, request: audit_service_pb2.ListAuditEntriesRequest, context: grpc.ServicerContext
    ) -> audit_service_pb2.ListAuditEntriesResponse:
        """The last entries."""
        entries = self._audit.entries(last=request.limit or DEFAULT_ENTRIES)
        return audit_service_pb2.ListAuditEntriesResponse(entries=[entry_to(entry) for entry in entries])

    def VerifyAuditLog(  # noqa: N802
        self, request: audit_service_pb2.VerifyAuditLogRequest, context: grpc.ServicerContext
    ) -> audit_service_pb2.VerifyAuditLogResponse:
        """Whether the log is as it was written."""
        finding = self._audit.verify()
        return audit_service_pb2.VerifyAuditLogResponse(
            good=finding.ok, good_entries=finding.good, signed_entries=finding.signed, bad_entry=finding.entry,
            fault="" if finding.fault is None else finding.fault.value, text=finding.text,
        )  # fmt: skip


def entry_to(entry: Entry) -> audit_service_pb2.AuditEntry:
    """One entry as a message."""
    message = audit_service_pb2.AuditEntry(
        number=entry.number, time=timestamp(entry.time), actor=entry.actor, credential=entry.credential,
        action=entry.action, target=entry.target, refused=entry.outcome is Outcome.REFUSED,
        refusal=entry.refusal, reason=entry.reason, revision=entry.revision,
    )  # fmt: skip
    for name in ("before", "after"):
        json_format.ParseDict(dict(getattr(entry, name)), made := Struct())
        getattr(message, name).CopyFrom(made)
    return message
