# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The configuration file of ``ringfield run``, read and checked in full before anything starts (docs/config.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path
from typing import Final, Literal

from appliance.flow import types as flow
from appliance.flow.values import parse_mac
from appliance.run.central import CentralConfig, read_central
from appliance.run.document import Node, read_document
from appliance.run.pipeline import Names, PipeConfig, SharedConfig, read_pipe, read_shared
from appliance.run.segconfig import SegmentationConfig, read_segmentation
from appliance.run.telemetry import MetricsConfig, RecordsConfig, read_metrics, read_records

BACKENDS: Final = (
    "net_tap", "net_ring", "net_pcap", "net_af_packet", "net_memif", "net_null", "pci",
    "gen",
)  # fmt: skip
MISSES: Final = {miss.name.lower(): miss for miss in flow.DefaultMiss}
FASTPATH_NUMBERS: Final = ("workers", "memory_mb", "mbufs", "mbuf_bytes", "counters", "max_clients")
NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")


@dataclass(frozen=True, slots=True)
class PortConfig:
    """A declared port. ``options`` go to the fast path as they are."""

    name: str
    port_id: int
    options: Mapping[str, str]
    default_miss: flow.DefaultMiss
    where: str = ""

    @property
    def netns(self) -> str:
        """Namespace of a tap, empty for the fast path's own."""
        return self.options.get("netns", "")


@dataclass(frozen=True, slots=True)
class TcpConfig:
    """Where gRPC listens on TCP. Without certificate only when ``insecure`` says so; clients without certificate only
    when ``any_client`` says so.
    """

    address: str
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    insecure: bool = False
    any_client: bool = False


@dataclass(frozen=True, slots=True)
class GrpcConfig:
    """Where gRPC listens."""

    unix: Path
    tcp: TcpConfig | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """What is reserved at the ports, as ``doca_flow_port_cfg_set_nr_resources`` does; 0: the library's default."""

    counters: int = 0
    meters: int = 0
    shared_counters: int = 0
    shared_meters: int = 0
    shared_encaps: int = 0
    shared_decaps: int = 0


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace of the laboratory: made at start, removed at the end, with a port's tap set up inside."""

    name: str
    port: str
    addresses: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    """Destination and gateway."""
    neighbours: tuple[tuple[str, str], ...] = ()
    """Address and MAC."""
    sysctl: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RunConfig:
    """The whole file."""

    file: Path
    runtime_dir: Path
    mode: flow.Mode
    linger: bool
    """On SIGTERM leave the fast path running."""
    fastpath: Mapping[str, str]
    """Options of the fast path, as its own config file takes them."""
    ports: tuple[PortConfig, ...]
    grpc: GrpcConfig
    resources: Resources = Resources()
    shared: tuple[SharedConfig, ...] = ()
    pipes: tuple[PipeConfig, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    """vnf mode: ports that forward to each other."""
    segmentation: SegmentationConfig | None = None
    central: CentralConfig | None = None
    session: str = "appliance"
    log: Literal["text", "json"] = "text"
    port_ids: Mapping[str, int] = field(default_factory=dict)
    records: RecordsConfig = field(default_factory=RecordsConfig)
    metrics: MetricsConfig | None = None


def default_runtime_dir() -> Path:
    """``$XDG_RUNTIME_DIR/ringfield``, or ``/run/ringfield`` for root and ``/tmp/ringfield-UID`` for others."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base:
        return Path(base) / "ringfield"
    return Path("/run/ringfield") if os.geteuid() == 0 else Path(f"/tmp/ringfield-{os.geteuid()}")  # noqa: S108


def _name(node: Node, name: str) -> str:
    if not name or len(name) > 63 or set(name) - NAME_CHARACTERS or name[0] in ".-":
        node.fail(f"{name!r} cannot be a name: up to 63 letters, digits, '-', '_', '.', ':'")
    return name


def _port(name: str, node: Node, port_id: int) -> PortConfig:
    options = {"backend": node.need("backend").as_choice(*BACKENDS)}
    for key in ("args", "netns", "pci", "ibdev", "representor"):
        if (value := node.get(key)) is not None:
            if "\n" in value.as_text():
                value.fail("must be one line")
            options[key] = value.raw
    if (mac := node.get("mac")) is not None:
        mac.check(lambda: parse_mac(mac.as_text()))
        options["mac"] = mac.raw
    if (mtu := node.get("mtu")) is not None:
        options["mtu"] = str(mtu.as_number(68, 9600))
    if options["backend"] == "net_tap":
        # The tap outlives a crash of the fast path, so that its addresses and routes do.
        options["persist"] = "yes" if node.switch("persist", True) else "no"
    elif node.get("netns") is not None:
        node.need("netns").fail("only net_tap ports lie in namespaces")
    miss = MISSES[node.choice("default_miss", "drop", *MISSES)]
    port_id = node.number("port_id", port_id, 0, 0xFFFE)
    port = PortConfig(_name(node, name), port_id, options, miss, f"{node.file}:{node.line}")
    node.done()
    return port


def _ports(node: Node) -> tuple[PortConfig, ...]:
    ports: list[PortConfig] = []
    for name, item in node.children():
        port = _port(name, item, len(ports))
        if clash := next((other.name for other in ports if other.port_id == port.port_id), None):
            item.fail(f"port_id {port.port_id} is that of {clash}")
        ports.append(port)
    if not ports:
        node.fail("at least one port is needed")
    return tuple(ports)


def _tcp(node: Node, base: Path) -> TcpConfig:
    def path(key: str) -> Path | None:
        value = node.get(key)
        if value is None:
            return None
        found = base / value.as_text()
        if not found.is_file():
            value.fail(f"there is no file {found}")
        return found

    tcp = TcpConfig(
        node.text("address"),
        path("certificate"),
        path("key"),
        path("client_ca"),
        node.switch("insecure", False),
        node.switch("any_client", False),
    )
    if ":" not in tcp.address:
        node.need("address").fail("is written HOST:PORT")
    if (tcp.certificate is None) != (tcp.key is None):
        node.fail("certificate and key go together")
    if tcp.client_ca and not tcp.certificate:
        node.fail("client_ca needs certificate and key")
    if tcp.certificate is None and not tcp.insecure:
        node.fail("TCP without TLS is refused: give certificate and key, or say 'insecure: true'")
    if tcp.certificate is not None and tcp.insecure:
        node.fail("either a certificate or 'insecure: true', not both")
    if tcp.any_client and (tcp.client_ca or not tcp.certificate):
        node.fail("'any_client: true' is for a certificate without client_ca")
    if tcp.certificate and not tcp.client_ca and not tcp.any_client:
        node.fail(
            "TLS without client_ca lets anyone who reaches the port change policy: the certificate proves the "
            "appliance to its clients, not the clients to it. Give client_ca (mTLS), or say 'any_client: true'"
        )
    node.done()
    return tcp


def _grpc(node: Node | None, runtime_dir: Path, base: Path) -> GrpcConfig:
    unix = runtime_dir / "ringfield.sock"
    if node is None:
        return GrpcConfig(unix)
    if (given := node.get("unix")) is not None:
        unix = base / given.as_text()
        if len(str(unix).encode()) > 107:
            given.fail("a socket's path has at most 107 bytes")
    tcp = node.get("tcp")
    config = GrpcConfig(unix, None if tcp is None else _tcp(tcp, base))
    node.done()
    return config


def _fastpath(node: Node | None) -> dict[str, str]:
    options: dict[str, str] = {}
    if node is None:
        return options
    for key in FASTPATH_NUMBERS:
        if (value := node.get(key)) is not None:
            options[key] = str(value.as_number(1, 1 << 26))
    if (value := node.get("idle")) is not None:
        options["idle"] = value.as_choice("adaptive", "spin")
    if (value := node.get("hugepages")) is not None:
        options["huge"] = value.as_choice("auto", "no", "yes")
    if (value := node.get("one_core")) is not None:
        options["one_core"] = "yes" if value.as_switch() else "no"
    if (value := node.get("lcores")) is not None:
        options["lcores"] = value.as_text()
    node.done()
    return options


def _pair(node: Node, first: str, second: str) -> tuple[str, str]:
    pair = node.text(first), node.text(second)
    node.done()
    return pair


def _address(node: Node) -> str:
    return str(node.check(lambda: ip_interface(node.as_text())))


def _namespaces(node: Node | None, ports: Mapping[str, PortConfig]) -> tuple[Namespace, ...]:
    found: list[Namespace] = []
    for name, item in () if node is None else node.children():
        port = item.need("port")
        if port.as_text() not in ports:
            port.fail(f"there is no port {port.raw!r}")
        if ports[port.raw].netns != name:
            port.fail(f"the port's netns is {ports[port.raw].netns!r}, not {name!r}")
        sysctl = item.get("sysctl")
        found.append(
            Namespace(
                _name(item, name),
                port.raw,
                item.list_of("addresses", _address),
                item.list_of("routes", lambda n: _pair(n, "to", "via")),
                item.list_of("neighbours", lambda n: _pair(n, "address", "mac")),
                () if sysctl is None else tuple((key, value.raw) for key, value in sysctl.children()),
            )
        )
        item.done()
    return tuple(found)


def _pairs(node: Node | None, ports: tuple[PortConfig, ...]) -> tuple[tuple[str, str], ...]:
    """Ports that forward to each other: as given, else every two in their order."""
    names = [port.name for port in ports]
    if node is None:
        return tuple(zip(names[::2], names[1::2], strict=False))
    pairs: list[tuple[str, str]] = []
    seen: set[str] = set()
    for item in node.items():
        members = [member.as_choice(*names) for member in item.items()]
        if len(members) != 2:
            item.fail("a pair has two ports: [p0, p1]")
        if set(members) & seen or members[0] == members[1]:
            item.fail("a port is in one pair at most")
        seen |= set(members)
        pairs.append((members[0], members[1]))
    return tuple(pairs)


def _check_pipes(pipes: tuple[PipeConfig, ...], nodes: list[Node]) -> None:
    seen: dict[str, str] = {}
    for pipe, node in zip(pipes, nodes, strict=True):
        name = pipe.spec.name
        if name in seen:
            node.need("name").fail(f"there is a pipe {name!r} already, at {seen[name]}")
        seen[name] = pipe.where


def read_config(path: Path, *, runtime_dir: Path | None = None) -> RunConfig:
    """Read and check a file. ``runtime_dir`` overrides what it says. Raises ``ConfigError`` for the first fault."""
    return config_from(read_document(path), path, runtime_dir=runtime_dir)


def config_from(root: Node, path: Path, *, runtime_dir: Path | None = None) -> RunConfig:
    """The configuration in a document; relative paths are relative to ``path``."""
    base = path.resolve().parent
    given = root.text("runtime_dir", "")
    directory = runtime_dir or (base / given if given else default_runtime_dir())
    if len(str(directory).encode()) > 90:
        root.fail(f"runtime_dir {directory} is longer than 90 bytes")
    ports = _ports(root.need("ports"))
    names = Names({port.name: port.port_id for port in ports})
    shared = root.get("shared")
    pipe_nodes = root.list_of("pipes", lambda node: node)
    pipes = tuple(read_pipe(node, names) for node in pipe_nodes)
    _check_pipes(pipes, list(pipe_nodes))
    resources = Resources()
    if (node := root.get("resources")) is not None:
        resources = Resources(**{key: node.number(key, 0, 0, 1 << 24) for key in Resources.__slots__})
        node.done()
    section = root.get("segmentation")
    mtus = {port.name: int(port.options["mtu"]) for port in ports if "mtu" in port.options}
    mode = root.choice("mode", "vnf" if section is None else "switch", "vnf", "switch")
    if section is not None and mode != "switch":
        root.need("mode").fail("segmentation needs mode: switch")
    if section is not None and pipe_nodes:
        root.need("pipes").fail(
            "either 'segmentation' or 'pipes', not both: the segmentation program makes its own"
        )
    config = RunConfig(
        file=path,
        runtime_dir=directory,
        mode="switch" if mode == "switch" else "vnf",
        linger=root.switch("linger", False),
        fastpath=_fastpath(root.get("fastpath")),
        ports=ports,
        grpc=_grpc(root.get("grpc"), directory, base),
        resources=resources,
        shared=() if shared is None else read_shared(shared, names),
        pipes=pipes,
        namespaces=_namespaces(root.get("namespaces"), {port.name: port for port in ports}),
        pairs=_pairs(root.get("pairs"), ports),
        session=root.text("session", "appliance"),
        log="json" if root.choice("log", "text", "text", "json") == "json" else "text",
        port_ids=dict(names.ports),
        records=read_records(root.get("records"), base),
        metrics=read_metrics(root.get("metrics")),
        central=read_central(root.get("central"), base, directory),
        segmentation=None
        if section is None
        else read_segmentation(section, names.ports, mtus, base, directory),
    )
    if config.central is not None and section is None:
        root.need("central").fail("needs 'segmentation': that is what a centre steers")
    root.done()
    return config


def fastpath_file(config: RunConfig) -> str:
    """The fast path's own config file (docs/fastpath-config.md)."""
    lines = [f"{key} = {value}" for key, value in config.fastpath.items()]
    for port in config.ports:
        lines += ["", f"[port {port.name}]", *(f"{key} = {value}" for key, value in port.options.items())]
    return "\n".join(lines) + "\n"
