# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The gRPC server: where it listens, with which credentials, and what it serves.

The unix socket is made with mode 0600. TCP needs a certificate; without one it must have been asked for by name, which
the configuration checks.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from concurrent import futures
from pathlib import Path
from typing import Final, Protocol

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from appliance.errors import BadConfig
from appliance.rpc.client import OPTIONS
from appliance.rpc.errors import ErrorInterceptor

log = structlog.get_logger(__name__)

THREADS: Final = 24
STOP_SECONDS: Final = 2.0


class TcpAddress(Protocol):
    """Where and how to listen on TCP."""

    @property
    def address(self) -> str: ...
    @property
    def certificate(self) -> Path | None: ...
    @property
    def key(self) -> Path | None: ...
    @property
    def client_ca(self) -> Path | None: ...
    @property
    def insecure(self) -> bool: ...
    @property
    def any_client(self) -> bool: ...


class Registers(Protocol):
    """A servicer that adds itself to a server and says its full service name."""

    service: str

    def add_to(self, server: grpc.Server) -> None:
        """Register with the server."""


def _socket_is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


class Server:
    """A running server; ``close`` or the end of the block ends it."""

    def __init__(self, servicers: Sequence[Registers], unix: Path, tcp: TcpAddress | None = None) -> None:
        self.unix = unix
        self.tcp_port = 0
        self._server = grpc.server(
            futures.ThreadPoolExecutor(THREADS, thread_name_prefix="grpc"),
            interceptors=[ErrorInterceptor()],
            options=[*OPTIONS, ("grpc.so_reuseport", 0)],
        )
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [servicer.service for servicer in servicers]
        for servicer in servicers:
            servicer.add_to(self._server)
        reflection.enable_server_reflection(
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )
        self._names = ["", *names]
        self.serving(False)
        self._bind_unix()
        if tcp is not None:
            self._bind_tcp(tcp)
        self._server.start()
        # The socket was made under a narrow umask by a thread of gRPC's: say it again.
        self.unix.chmod(0o600)
        self._closed = threading.Event()

    def _bind_unix(self) -> None:
        self.unix.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.unix.exists():
            if _socket_is_alive(self.unix):
                raise BadConfig(f"another appliance serves {self.unix} already")
            self.unix.unlink()
        before = os.umask(0o177)
        try:
            bound = self._server.add_insecure_port(f"unix:{self.unix}")
        except RuntimeError as error:
            raise BadConfig(f"cannot listen on {self.unix}: {error}") from None
        finally:
            os.umask(before)
        if not bound:
            raise BadConfig(f"cannot listen on {self.unix}")

    def _bind_tcp(self, tcp: TcpAddress) -> None:
        try:
            if tcp.certificate is not None and tcp.key is not None:
                if tcp.client_ca is None and not tcp.any_client:
                    raise BadConfig(
                        f"TLS without certificates of clients is refused at {tcp.address}: give client_ca"
                    )
                if tcp.client_ca is None:
                    log.warning(
                        "gRPC takes clients without certificate: anyone who reaches it owns the DPU, and the audit log "
                        "cannot name him",
                        address=tcp.address,
                    )
                credentials = grpc.ssl_server_credentials(
                    [(tcp.key.read_bytes(), tcp.certificate.read_bytes())],
                    tcp.client_ca.read_bytes() if tcp.client_ca else None,
                    require_client_auth=tcp.client_ca is not None,
                )
                self.tcp_port = self._server.add_secure_port(tcp.address, credentials)
            elif tcp.insecure:
                self.tcp_port = self._server.add_insecure_port(tcp.address)
                log.warning(
                    "gRPC listens on TCP without TLS: anyone who reaches it owns the DPU", address=tcp.address
                )
            else:
                raise BadConfig(f"TCP without TLS is refused at {tcp.address}: give a certificate")
        except (RuntimeError, OSError) as error:
            raise BadConfig(f"cannot listen on {tcp.address}: {error}") from None
        if not self.tcp_port:
            raise BadConfig(f"cannot listen on {tcp.address}: is the port in use?")

    def serving(self, ready: bool) -> None:
        """What the health service answers."""
        state = (
            health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in self._names:
            self._health.set(name, state)

    def close(self) -> None:
        """Refuse new calls, give running ones a moment, end them."""
        self.serving(False)
        self._server.stop(STOP_SECONDS).wait()
        self.unix.unlink(missing_ok=True)
