# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield run`: the appliance in the foreground."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Final

import click
import structlog

from appliance.cli.common import default_target, err, failures, out, table
from appliance.run.config import RunConfig, read_config

SWITCH_SECONDS: Final = 0.0001


class _Log:
    """Standard error, and no error of its own: what is logged onto a full disk is lost, and nothing else is."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def set_up_logging(how: str, level: str = "info") -> None:
    """Log lines on standard error, for people or as JSON."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso" if how == "json" else "%H:%M:%S"),
            structlog.processors.format_exc_info
            if how == "json"
            else structlog.processors.StackInfoRenderer(),
            structlog.processors.JSONRenderer()
            if how == "json"
            else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(_Log()),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )


class Signals:
    """SIGINT, SIGTERM and SIGHUP set an event instead of ending the process. Further ones change nothing: what is being
    taken down is taken down whole.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.last: signal.Signals | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._take)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.last = signal.Signals(number)
        self.event.set()

    def wait(self) -> signal.Signals:
        """Until one comes."""
        while not self.event.wait(3600):
            continue
        return self.last or signal.SIGTERM


def banner(config: RunConfig, tcp_port: int) -> None:
    """What now runs, for the person who started it."""
    made = table("port", "id", "backend", "netns", "mac")
    for port in config.ports:
        made.add_row(
            f"[bold]{port.name}[/]",
            str(port.port_id),
            port.options["backend"],
            port.netns or "-",
            port.options.get("mac", "-"),
        )
    out.print(made)
    if config.segmentation is None:
        entries = sum(len(pipe.entries) for pipe in config.pipes)
        out.print(f"\n{len(config.pipes)} pipes, {entries} entries in force.")
    else:
        out.print(f"\nWhat workloads open is judged by policy; {config.segmentation.state_dir} keeps it.")
    out.print(f"gRPC: unix:{config.grpc.unix}")
    if config.grpc.tcp is not None:
        out.print(
            f"gRPC: {config.grpc.tcp.address} (port {tcp_port}, {'TLS' if config.grpc.tcp.certificate else 'INSECURE'})"
        )
    where = "" if f"unix:{config.grpc.unix}" == default_target() else f"--target {config.grpc.unix} "
    look = "pipe show" if config.segmentation is None else "status"
    out.print(f"Try: [bold]./ringfield {where}{look}[/]   Ctrl-C ends.", style="dim", soft_wrap=True)


@click.command()
@click.option(
    "-c",
    "--config",
    "file",
    required=True,
    type=click.Path(path_type=Path),
    help="Configuration, see docs/config.md.",
)
@click.option("--runtime-dir", type=click.Path(path_type=Path), help="Overrides the configuration's.")
@click.option(
    "--fresh", is_flag=True, help="Take down what an earlier appliance left here, instead of adopting it."
)
@click.option("--check", is_flag=True, help="Only read and check the configuration.")
@click.option("--verbose", is_flag=True, help="Log refused calls too.")
def run(file: Path, runtime_dir: Path | None, fresh: bool, check: bool, verbose: bool) -> None:
    """Run an appliance: fast path, pipeline and gRPC, as a configuration file says.

    A fast path that runs already in the runtime directory is adopted without losing a packet. One that dies is started
    again and gets its pipeline back; until then nothing is forwarded. The end takes everything down, unless the
    configuration says 'linger: true' and the end is SIGTERM.
    """
    with failures():
        config = read_config(file, runtime_dir=runtime_dir)
        if check:
            out.print(f"{file}: {len(config.ports)} ports, {len(config.pipes)} pipes: good")
            return
        from appliance.run.appliance import Appliance
        from appliance.run.collector import AfterCompiles, settle

        set_up_logging(config.log, "debug" if verbose else "info")
        signals = Signals()
        # The thread that takes flow records gives the interpreter away in every numpy call. Others who are busy with
        # it should not keep it for 5 ms each time.
        sys.setswitchinterval(SWITCH_SECONDS)
        appliance = Appliance(config, fresh=fresh)
        linger = False
        try:
            settle()
            if appliance.segmentation is not None:
                force = appliance.segmentation.control.force
                force.on_change.append(AfterCompiles(force.in_force).changed)
            if config.log == "text":
                banner(config, appliance.server.tcp_port if appliance.server else 0)
            print(f"READY {config.grpc.unix}", flush=True)
            linger = signals.wait() is not signal.SIGINT and config.linger
        finally:
            if not linger:
                err.print("taking everything down", style="dim")
            appliance.close(linger=linger)
