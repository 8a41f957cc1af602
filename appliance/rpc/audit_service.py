# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""AuditService."""

from __future__ import annotations

from typing import Final

import grpc

from appliance.policy.audit import AuditLog
from appliance.rpc.convert.audit import entry_to, finding_to
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
        return finding_to(self._audit.verify())
