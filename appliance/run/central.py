# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""An appliance that obeys a centre: the link, and segmentation as what it moves. And the centre's own configuration."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import structlog

from appliance.errors import FlowError
from appliance.intelligence.agent import Agent
from appliance.intelligence.receiver import Held
from appliance.intelligence.server import CentreConfig
from appliance.intelligence.slices import ContainedAt, own_at, peer_at
from appliance.policy.audit import Actor
from appliance.policy.control import Segmentation
from appliance.policy.imposed import Imposed, Imposing
from appliance.policy.model import Overlay
from appliance.policy.readback import ReadBack
from appliance.rpc.centre_service import CentreServicer
from appliance.rpc.server import Registers
from appliance.run.document import Node, read_document

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CentralConfig:
    """The ``central:`` section of an appliance's configuration."""

    state_dir: Path
    """Key, certificate, and what the centre said last."""


def read_central(node: Node | None, base: Path, runtime_dir: Path) -> CentralConfig | None:
    """The section; None: the appliance is its own master."""
    if node is None:
        return None
    given = node.get("state_dir")
    made = CentralConfig(state_dir=base / given.as_text() if given is not None else runtime_dir / "central")
    node.done()
    return made


class SegmentationEnforcer:
    """Segmentation that does what a centre says."""

    def __init__(self, control: Segmentation) -> None:
        self._control = control
        self._imposing = Imposing(control)
        self._read = ReadBack()

    def obey(self, centre: str) -> None:
        """See ``agent.Enforcer``."""
        self._imposing.obey(centre)

    def impose(self, before: Held, after: Held, actor: Actor) -> None:
        """See ``agent.Enforcer``. Containment alone takes the short way."""
        contained = {name: one.contained for name, one in after.containment.contained.items()}
        held = after.slice
        if held is None:
            return  # nothing was published yet: its containment comes into force with the first slice
        strangers = [
            peer_at(peer)
            for name, peer in sorted(after.containment.places.items())
            if name not in held.own and name not in held.peers
        ]
        if before.slice is not None and before.slice.digest == held.digest:
            if before.containment.digest != after.containment.digest:
                self._imposing.contain(contained, strangers, actor)
            return
        self._imposing.impose(
            Imposed(
                revision=held.revision, networks=held.networks, policy=held.policy.text, contained=contained,
                vteps=held.vteps,
                workloads=(
                    *(own_at(one, after.appliance) for one in held.own.values()),
                    *(peer_at(one) for one in held.peers.values()),
                    *strangers,
                ),
            ),
            actor,
        )  # fmt: skip

    def let_go(self, actor: Actor, reason: str) -> None:
        """See ``agent.Enforcer``."""
        self._imposing.let_go(actor, reason)

    def health(self) -> tuple[bool, str]:
        """See ``agent.Enforcer``."""
        return self._control.enforced, self._control.fault

    def read_back(self) -> tuple[bytes, bytes]:
        """See ``agent.Enforcer``."""
        force = self._control.force
        try:
            with force.lock, force.use(1.0) as dpu:
                return self._read.digests(force.reconciler, dpu, force.in_force.program)
        except FlowError as error:
            log.debug("the program cannot be read back", reason=error.reason)
            return b"", b""

    def local(self) -> list[ContainedAt]:
        """See ``agent.Enforcer``."""
        return [ContainedAt(one) for one in self._control.contained.local()]

    def overlay(self) -> Overlay | None:
        """See ``agent.Enforcer``."""
        return self._control.workloads.overlay


class Central:
    """The link of a running appliance."""

    def __init__(self, config: CentralConfig, control: Segmentation) -> None:
        """What the centre said last is in force from here on, as soon as there is a fast path."""
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.agent = Agent(config.state_dir, SegmentationEnforcer(control), version("ringfield"))
        control.force.on_change.append(lambda now: self.agent.report())

    def start(self) -> None:
        """Dial."""
        self.agent.start()

    def servicers(self) -> list[Registers]:
        """What it serves over gRPC."""
        return [CentreServicer(self.agent)]

    def close(self) -> None:
        """Hang up."""
        self.agent.close()


def read_centre(path: Path) -> CentreConfig:
    """The configuration of ``ringfield central run`` (docs/central.md). ``ConfigError``."""
    root = read_document(path)
    base = path.resolve().parent
    directory = base / root.text("state_dir", "state")
    listen = root.get("listen")

    def address(key: str, default: str) -> str:
        node = listen.get(key) if listen is not None else None
        if node is None:
            return default
        if not node.as_text().rpartition(":")[2].isdigit():
            node.fail("is written HOST:PORT")
        return node.raw

    given = root.get("workloads_dir")
    made = CentreConfig(
        state_dir=directory,
        unix=base / (listen.text("unix", "central.sock") if listen is not None else "central.sock"),
        name=root.text("name", ""),
        appliances=address("appliances", "127.0.0.1:7443"),
        enrolment=address("enrolment", "127.0.0.1:7444"),
        hosts=root.list_of("hosts", Node.as_text),
        workloads_dir=base / given.as_text() if given is not None else None,
        certificate_seconds=float(root.number("certificate_seconds", 7 * 86400, 2, 366 * 86400)),
    )
    if len(str(made.unix).encode()) > 107:
        root.fail("listen.unix: a socket's path has at most 107 bytes")
    if listen is not None:
        listen.done()
    root.done()
    return made
