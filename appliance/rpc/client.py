# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A client of the appliance: one channel, all stubs, failures as ``CallError``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import grpc

from appliance.rpc.errors import CallError, call_error
from appliance.v1 import (
    audit_service_pb2_grpc,
    centre_service_pb2_grpc,
    containment_service_pb2_grpc,
    entry_service_pb2_grpc,
    observer_service_pb2_grpc,
    packet_service_pb2_grpc,
    pipe_service_pb2_grpc,
    policy_service_pb2_grpc,
    port_service_pb2_grpc,
    shared_resource_service_pb2_grpc,
    stats_service_pb2_grpc,
    system_service_pb2_grpc,
    trace_service_pb2_grpc,
    workload_service_pb2_grpc,
)

MAX_MESSAGE: Final = 64 << 20
OPTIONS: Final = [
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
]


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of a TLS client: the authority to trust, and its own certificate and key for mTLS."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None


class Client:
    """Stubs over one channel. ``target`` is ``unix:PATH`` or ``HOST:PORT``; TCP needs ``tls`` or ``insecure``."""

    def __init__(self, target: str, *, tls: Tls | None = None, insecure: bool = False) -> None:
        self.target = target
        if tls is not None:
            credentials = grpc.ssl_channel_credentials(
                tls.ca.read_bytes(),
                tls.key.read_bytes() if tls.key else None,
                tls.certificate.read_bytes() if tls.certificate else None,
            )
            self.channel = grpc.secure_channel(target, credentials, OPTIONS)
        elif target.startswith("unix:") or insecure:
            self.channel = grpc.insecure_channel(target, OPTIONS)
        else:
            raise CallError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"{target} is TCP: give the authority to trust (--tls-ca), or ask for --insecure by name",
            )
        self.ports = port_service_pb2_grpc.PortServiceStub(self.channel)
        self.pipes = pipe_service_pb2_grpc.PipeServiceStub(self.channel)
        self.entries = entry_service_pb2_grpc.EntryServiceStub(self.channel)
        self.stats = stats_service_pb2_grpc.StatsServiceStub(self.channel)
        self.observer = observer_service_pb2_grpc.ObserverServiceStub(self.channel)
        self.packets = packet_service_pb2_grpc.PacketServiceStub(self.channel)
        self.trace = trace_service_pb2_grpc.TraceServiceStub(self.channel)
        self.shared = shared_resource_service_pb2_grpc.SharedResourceServiceStub(self.channel)
        self.policy = policy_service_pb2_grpc.PolicyServiceStub(self.channel)
        self.workloads = workload_service_pb2_grpc.WorkloadServiceStub(self.channel)
        self.centre = centre_service_pb2_grpc.CentreServiceStub(self.channel)
        self.containment = containment_service_pb2_grpc.ContainmentServiceStub(self.channel)
        self.audit = audit_service_pb2_grpc.AuditServiceStub(self.channel)
        self.system = system_service_pb2_grpc.SystemServiceStub(self.channel)

    def close(self) -> None:
        """End all calls."""
        self.channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def calls(target: str = "") -> Iterator[None]:
    """Failures of calls inside the block as ``CallError``."""
    try:
        yield
    except grpc.RpcError as error:
        failed = call_error(error)
        if failed.status is grpc.StatusCode.UNAVAILABLE and failed.detail is None and target:
            failed = CallError(
                failed.status, f"no appliance answers at {target} (is `ringfield run` running?)"
            )
        if failed.status is grpc.StatusCode.UNIMPLEMENTED and failed.detail is None:
            failed = CallError(
                failed.status,
                "the appliance does not serve this: its configuration has no 'segmentation' section, or it is older",
            )
        raise failed from None
