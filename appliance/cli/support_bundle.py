# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield support-bundle`: one file with what somebody else needs to understand a bad day, and no secrets.

Nothing is taken that could hold one: no key, no database, no packet. What is text goes through ``redact`` besides.
"""

from __future__ import annotations

import functools
import io
import json
import os
import platform
import re
import tarfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import click
import grpc
from google.protobuf.message import Message
from rich.markup import escape

from appliance.cli.common import Context, as_dict, out, pass_context, print_json
from appliance.cli.doctor_checks import all_checks
from appliance.rpc.client import Client, calls
from appliance.rpc.errors import CallError
from appliance.run.config import default_runtime_dir
from appliance.telemetry.text import octets
from appliance.v1 import (
    audit_service_pb2,
    containment_service_pb2,
    observer_service_pb2,
    pipe_service_pb2,
    policy_service_pb2,
    port_service_pb2,
    stats_service_pb2,
    system_service_pb2,
    workload_service_pb2,
)

LOG_BYTES: Final = 1 << 20
"""Of each log, its end."""
AUDIT_ENTRIES: Final = 500
FLOWS: Final = 1000
"""The newest ones: headers of connections, no packet."""
LOGS: Final = ("fastpath.log", "fastpath.conf", "appliance.log")
REDACTED: Final = "<redacted>"

_PEM: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_SECRET: Final = re.compile(
    r"""((?:[\w.-]*)(?:password|passwd|passphrase|secret|token|psk|api[_-]?key|private[_-]?key)[\w.-]*
        ["']?\s*[:=]\s*)(?:"[^"\n]*"|'[^'\n]*'|[^\s,}\]]+)""",
    re.IGNORECASE | re.VERBOSE,
)
_BEARER: Final = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9+/._~=-]{8,}", re.IGNORECASE)
_USER: Final = re.compile(r"(://)[^/\s@]+@")


def redact(text: str) -> str:
    """The text without private keys, and without the values of what is called like a secret."""
    text = _PEM.sub(REDACTED, text)
    text = _SECRET.sub(rf"\1{REDACTED}", text)
    text = _BEARER.sub(rf"\1 {REDACTED}", text)
    return _USER.sub(rf"\1{REDACTED}@", text)


class Bundle:
    """Files that go into the archive; what could not be had is named in ``missing``."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.missing: dict[str, str] = {}

    def text(self, name: str, content: str) -> None:
        """A text, redacted."""
        self.files[name] = redact(content).encode()

    def json(self, name: str, content: object) -> None:
        """Something as JSON, redacted."""
        self.text(name, json.dumps(content, indent=2, default=str) + "\n")

    def attempt(self, name: str, make: Callable[[], object]) -> None:
        """What may fail: then it is missing, with the reason."""
        try:
            made = make()
        except (CallError, OSError) as error:
            if isinstance(error, CallError) and error.status is grpc.StatusCode.UNIMPLEMENTED:
                return  # an appliance without segmentation
            self.missing[name] = error.reason if isinstance(error, CallError) else str(error)
            return
        if isinstance(made, str):
            self.text(name, made)
        else:
            self.json(name, made)

    def write(self, file: Path, folder: str) -> None:
        """The archive, readable by its owner alone; no half of it is ever left."""
        partial = file.with_name(f".{file.name}.part")
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
                for name, content in sorted(self.files.items()):
                    item = tarfile.TarInfo(f"{folder}/{name}")
                    item.size, item.mtime, item.mode = len(content), int(time.time()), 0o600
                    archive.addfile(item, io.BytesIO(content))
            partial.rename(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def tail(path: Path) -> str:
    """The end of a log, from the start of a line."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LOG_BYTES))
        data = file.read()
    text = data.decode(errors="replace")
    return text if size <= LOG_BYTES else f"[{size - LOG_BYTES} bytes before]\n" + text.split("\n", 1)[-1]


def listing(directory: Path) -> str:
    """Names, sizes and modes; no contents."""
    lines = []
    for path in sorted(directory.rglob("*")):
        about = path.lstat()
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(about.st_mtime))
        lines.append(f"{about.st_mode:06o} {about.st_size:>12} {when} {path.relative_to(directory)}\n")
    return "".join(lines)


def machine() -> dict[str, object]:
    """Kernel, processor, memory: nothing that names a person or a network."""
    cpu = [
        line
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith(("model name", "flags"))
    ]
    return {
        "ringfield": version("ringfield"),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "cpu": cpu[:2],
        "meminfo": Path("/proc/meminfo").read_text().splitlines()[:8],
    }


def _messages(client: Client, timeout: float) -> Iterable[tuple[str, Callable[[], Message]]]:
    """What is asked over gRPC, by file name."""
    yield (
        "status.json",
        lambda: client.system.GetStatus(system_service_pb2.GetStatusRequest(), timeout=timeout),
    )
    yield "ports.json", lambda: client.ports.ListPorts(port_service_pb2.ListPortsRequest(), timeout=timeout)
    yield "pipes.json", lambda: client.pipes.ListPipes(pipe_service_pb2.ListPipesRequest(), timeout=timeout)
    yield (
        "stats.json",
        lambda: client.stats.GetStats(stats_service_pb2.GetStatsRequest(include_pipes=True), timeout=timeout),
    )
    yield (
        "policy.json",
        lambda: client.policy.GetPolicy(policy_service_pb2.GetPolicyRequest(), timeout=timeout),
    )
    yield (
        "revisions.json",
        lambda: client.policy.ListRevisions(
            policy_service_pb2.ListRevisionsRequest(limit=100), timeout=timeout
        ),
    )
    yield "draft.json", lambda: client.policy.GetDraft(policy_service_pb2.GetDraftRequest(), timeout=timeout)
    yield (
        "workloads.json",
        lambda: client.workloads.ListWorkloads(workload_service_pb2.ListWorkloadsRequest(), timeout=timeout),
    )
    yield (
        "networks.json",
        lambda: client.workloads.ListNetworks(workload_service_pb2.ListNetworksRequest(), timeout=timeout),
    )
    yield (
        "contained.json",
        lambda: client.containment.ListContainment(
            containment_service_pb2.ListContainmentRequest(), timeout=timeout
        ),
    )
    yield (
        "audit.json",
        lambda: client.audit.ListAuditEntries(
            audit_service_pb2.ListAuditEntriesRequest(limit=AUDIT_ENTRIES), timeout=timeout
        ),
    )
    yield (
        "audit-verify.json",
        lambda: client.audit.VerifyAuditLog(audit_service_pb2.VerifyAuditLogRequest(), timeout=timeout),
    )
    yield (
        "flows.json",
        lambda: client.observer.ListFlows(
            observer_service_pb2.ListFlowsRequest(newest_first=True, page_size=FLOWS), timeout=timeout
        ),
    )


def ask(bundle: Bundle, context: Context) -> None:
    """Everything that the appliance says about itself."""
    try:
        with (
            calls(context.target),
            Client(context.target, tls=context.tls, insecure=context.insecure) as client,
        ):
            client.system.GetVersion(system_service_pb2.GetVersionRequest(), timeout=context.timeout)
            for name, call in _messages(client, context.timeout):
                bundle.attempt(name, _as_dict(context.target, call))
    except CallError as error:
        bundle.missing["what the appliance says"] = error.reason


def _as_dict(target: str, call: Callable[[], Message]) -> Callable[[], dict[str, Any]]:
    def made() -> dict[str, Any]:
        with calls(target):
            return as_dict(call())

    return made


def collect(context: Context, directory: Path, config: Path | None) -> Bundle:
    """All files of the bundle."""
    bundle = Bundle()
    bundle.json("machine.json", machine())
    rows = [asdict(finding) | {"mark": finding.mark.value} for finding in all_checks(directory, config)]
    bundle.json("doctor.json", rows)
    ask(bundle, context)
    for name in LOGS:
        if (directory / name).exists():
            bundle.attempt(f"runtime/{name}", functools.partial(tail, directory / name))
    if directory.exists():
        bundle.attempt("runtime/listing.txt", lambda: listing(directory))
    if config is not None:
        bundle.attempt(f"config/{config.name}", lambda: config.read_text())
    bundle.json(
        "manifest.json",
        {
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "target": context.target,
            "files": sorted(bundle.files),
            "missing": bundle.missing,
        },
    )
    return bundle


def runtime_directory(context: Context) -> Path:
    """Where the appliance on this machine says that it runs; else where one would."""
    if not context.target.startswith("unix:"):
        return default_runtime_dir()
    try:
        with context.client() as client:
            status = client.system.GetStatus(system_service_pb2.GetStatusRequest(), timeout=context.timeout)
    except CallError:
        return default_runtime_dir()
    return Path(status.runtime_dir)


@click.command(name="support-bundle")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write; else a name with the time."
)
@click.option(
    "-c",
    "--config",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Take this configuration along.",
)
@click.option("--runtime-dir", type=click.Path(path_type=Path), help="Where the appliance runs.")
@pass_context
def support_bundle(
    context: Context, output: Path | None, file: Path | None, runtime_dir: Path | None
) -> None:
    """Collect state, counters, policy, logs and versions in one file; no keys, no passwords, no packets."""
    name = f"ringfield-support-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    target = output or Path(f"{name}.tar.gz")
    bundle = collect(context, runtime_dir or runtime_directory(context), file)
    try:
        bundle.write(target, name)
    except OSError as error:
        raise click.ClickException(f"cannot write {target}: {error.strerror}") from None
    if context.json:
        print_json({"file": str(target), "files": sorted(bundle.files), "missing": bundle.missing})
        return
    out.print(
        f"[bold]{target}[/]  {len(bundle.files)} files, {octets(target.stat().st_size)}", soft_wrap=True
    )
    for what, reason in bundle.missing.items():
        out.print(f"[yellow]without {what}[/]: {escape(reason)}", soft_wrap=True)
    out.print("Look through it before you hand it on: it names workloads, addresses and policy.", style="dim")
