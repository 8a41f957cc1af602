# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A running centre: three doors to the same services, and what happens by itself.

gRPC in Python cannot ask for a client certificate without requiring it, so there are two listeners: one that requires
certificates (appliances, operators who have one), one on which the centre alone has one (enrolment, operators with
tokens). The unix socket is for its owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from appliance.errors import BadConfig, FlowError, InUse
from appliance.intelligence import services
from appliance.intelligence.centre import Centre
from appliance.intelligence.context import Door, Doorkeeper
from appliance.intelligence.directory import Directory
from appliance.intelligence.fleet import Book
from appliance.intelligence.gate import Gate
from appliance.intelligence.inventory_service import InventoryService
from appliance.intelligence.link_service import LinkService
from appliance.intelligence.policy_service import PolicyService
from appliance.intelligence.threat_service import ThreatService
from appliance.intelligence.upkeep import Upkeep
from appliance.intelligence.v1 import (
    containment_service_pb2,
    containment_service_pb2_grpc,
    enrolment_service_pb2,
    enrolment_service_pb2_grpc,
    fleet_service_pb2,
    fleet_service_pb2_grpc,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    link_service_pb2,
    link_service_pb2_grpc,
    policy_service_pb2,
    policy_service_pb2_grpc,
    threat_service_pb2,
    threat_service_pb2_grpc,
)
from appliance.v1 import audit_service_pb2, audit_service_pb2_grpc

log = structlog.get_logger(__name__)

MAX_UP: Final = 4 << 20
"""Largest message that is taken."""
MAX_DOWN: Final = 64 << 20
STOP_SECONDS: Final = 0.5
OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.max_receive_message_length", MAX_UP),
    ("grpc.max_send_message_length", MAX_DOWN),
    ("grpc.so_reuseport", 0),
    ("grpc.max_concurrent_streams", 100),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 2),
]
HANDSHAKE_MS: Final = 10_000
IDLE_MS: Final = 60_000
"""Of a connection without a call; a link is a call for as long as it lasts."""
MAX_CONNECTIONS: Final = {Door.CERTIFICATE: 10_000, Door.TOKEN: 500, Door.UNIX: 500}
"""At a door at a time, those in their handshake among them: further ones are closed before it. A flood at the door for
anybody takes nothing away from appliances.
"""
HANDSHAKES: Final = {Door.CERTIFICATE: (200.0, 2000.0), Door.TOKEN: (50.0, 500.0)}
"""A second, and at once. One costs a core about 1.5 ms; all of a fleet may come back in the same moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CentreConfig:
    """What the configuration says (docs/central.md)."""

    state_dir: Path
    unix: Path
    name: str = ""
    appliances: str = "127.0.0.1:7443"
    """HOST:PORT where certificates are required."""
    enrolment: str = "127.0.0.1:7444"
    """HOST:PORT for tokens."""
    hosts: tuple[str, ...] = ()
    """Names and addresses beside the listeners' own that the centre's certificate is for."""
    workloads_dir: Path | None = None
    certificate_seconds: float = 7 * 86400.0


class CentreServer:
    """A running centre; ``run`` returns when it was told to stop."""

    def __init__(self, config: CentreConfig) -> None:
        self.config = config
        self.centre = Centre(
            config.state_dir, name=config.name, certificate_seconds=config.certificate_seconds
        )
        self.book = Book(store=self.centre.store)
        self.ports: dict[Door, int] = {}
        self.gates: dict[Door, Gate] = {}
        self.link: LinkService
        self._servers: list[grpc.aio.Server] = []
        self._keepers: list[Doorkeeper] = []
        self._names: Sequence[str] = ()

    async def start(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        # One thread for whatever takes long: changes are one at a time anyway, and the loop stays free.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="core")
        self.book.raised = self._write_alarms
        self.link = LinkService(self.centre, self.book, self._executor, loop)
        self._health = health.HealthServicer()
        config = self.config
        hosts = tuple(dict.fromkeys([_host(config.appliances), _host(config.enrolment), *config.hosts]))
        key, certificate = self.centre.authority.server(hosts)
        pair = [(key, certificate + self.centre.authority.pem)]
        await self._listen(
            Door.CERTIFICATE,
            config.appliances,
            grpc.ssl_server_certificate_configuration(pair, self.centre.authority.pem),
        )
        alone = grpc.ssl_server_certificate_configuration(pair)
        await self._listen(Door.TOKEN, config.enrolment, alone)
        await self._listen(Door.UNIX, f"unix:{config.unix}", None)
        upkeep = Upkeep(self.centre, self.book, self.link.core, self._takes_changes, self._settle)
        self._tasks = [
            asyncio.create_task(one) for one in (self.link.guard(), upkeep.run(), self.link.delay.run())
        ]
        if config.workloads_dir is not None:
            directory = Directory(self.centre, config.workloads_dir, self.book)
            self._tasks.append(asyncio.create_task(directory.watch(self.link)))

    async def _listen(
        self, door: Door, address: str, certificates: grpc.ServerCertificateConfiguration | None
    ) -> None:
        """``certificates``: the centre's, and the authority of those of callers, if they need one; None: no TLS."""
        keeper = Doorkeeper(self.centre, door)
        self._keepers.append(keeper)
        server = grpc.aio.server(
            interceptors=[keeper],
            options=_options(door),
        )
        self._names = self._add(server)
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        try:
            gate = None
            if certificates is not None:
                gate = self._gate(door)
                credentials = grpc.dynamic_ssl_server_credentials(
                    certificates, gate.certificates, require_client_authentication=door is Door.CERTIFICATE
                )
                self.ports[door] = server.add_secure_port(address, credentials)
            else:
                self.config.unix.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.config.unix.unlink(missing_ok=True)
                before = os.umask(0o177)
                try:
                    self.ports[door] = server.add_insecure_port(address)
                finally:
                    os.umask(before)
        except RuntimeError as error:
            raise BadConfig(f"cannot listen on {address}: {error}") from None
        if not self.ports[door]:
            raise InUse(f"cannot listen on {address}: is it in use?")
        await server.start()
        self._servers.append(server)
        if gate is None:
            self.config.unix.chmod(0o600)
            return
        try:
            gate.guard(self.ports[door], [one for one in self.gates.values() if one is not gate])
        except OSError as error:
            why = f"handshakes at {address} are not bounded: {error}"
            self.book.alarm("handshakes", "", why)

    def _gate(self, door: Door) -> Gate:
        per_second, at_once = HANDSHAKES[door]
        why = f"more than {per_second:g} TLS handshakes a second at the door for {door.value}s: connections wait"
        made = Gate(
            per_second,
            at_once,
            asyncio.get_running_loop(),
            lambda: self.book.alarm("handshakes", "", why),
        )
        self.gates[door] = made
        return made

    def _write_alarms(self) -> None:
        """From any thread. What cannot be written now, the upkeep tries again."""

        def write() -> None:
            with contextlib.suppress(FlowError):
                self.book.settle()

        with contextlib.suppress(RuntimeError):  # the centre ends, and writes them then
            self._executor.submit(write)

    def _settle(self) -> None:
        for one in self._keepers:
            one.settle()

    async def _takes_changes(self, yes: bool) -> None:
        """The health of the whole and of what writes; the link and the audit log are served in any case."""
        status = health_pb2.HealthCheckResponse.SERVING if yes else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self._names):
            if name.rpartition(".")[2] not in ("LinkService", "AuditService"):
                await self._health.set(name, status)

    def _add(self, server: grpc.aio.Server) -> Sequence[str]:
        centre, link = self.centre, self.link
        host = _host(self.config.appliances)
        # A wildcard is no address to dial: the appliance takes the host that it enrolled at.
        port = self.ports.get(Door.CERTIFICATE, 0)
        told = f"{'' if host in ('0.0.0.0', '::', '[::]') else host}:{port}"  # noqa: S104 - compared, not bound
        given: list[tuple[Any, Any, Any]] = [
            (
                enrolment_service_pb2,
                enrolment_service_pb2_grpc,
                services.EnrolmentService(centre, link, told),
            ),
            (fleet_service_pb2, fleet_service_pb2_grpc, services.FleetService(centre, link)),
            (inventory_service_pb2, inventory_service_pb2_grpc, InventoryService(centre, link)),
            (policy_service_pb2, policy_service_pb2_grpc, PolicyService(centre, link)),
            (
                containment_service_pb2,
                containment_service_pb2_grpc,
                services.ContainmentService(centre, link),
            ),
            (audit_service_pb2, audit_service_pb2_grpc, services.AuditService(centre, link)),
            (threat_service_pb2, threat_service_pb2_grpc, ThreatService(centre, link)),
            (link_service_pb2, link_service_pb2_grpc, link),
        ]
        names = []
        for module, made, servicer in given:
            name, described = next(iter(module.DESCRIPTOR.services_by_name.items()))
            getattr(made, f"add_{name}Servicer_to_server")(servicer, server)
            names.append(described.full_name)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(
            [*names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME],
            server,
        )
        return names

    async def stop(self) -> None:
        """Refuse new calls, end running ones; everything is on disk."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for gate in self.gates.values():
            gate.close()
        await asyncio.gather(*(server.stop(STOP_SECONDS) for server in self._servers))
        self._executor.shutdown()
        with contextlib.suppress(FlowError):
            self.book.settle()
        self.centre.close()
        with contextlib.suppress(OSError):
            self.config.unix.unlink()


def _options(door: Door) -> list[tuple[str, Any]]:
    return [
        *OPTIONS,
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
        ("grpc.max_connection_idle_ms", IDLE_MS),
        ("grpc.max_allowed_incoming_connections", MAX_CONNECTIONS[door]),
    ]


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")
