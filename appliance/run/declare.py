# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a configuration declares, as messages: the form in which the node keeps and compares it."""

from __future__ import annotations

import hashlib

from appliance.flow import PortConfig as FastpathPort
from appliance.flow import Reserves
from appliance.flow import types as flow
from appliance.rpc.convert import flow as convert
from appliance.rpc.convert import resources
from appliance.rpc.convert.base import PortNames
from appliance.rpc.declared import Declared
from appliance.run.config import RunConfig


def declared(config: RunConfig) -> Declared:
    """Ports, shared resources, pipes and entries of a configuration."""
    names = PortNames({port.port_id: port.name for port in config.ports})
    pipes = tuple(convert.pipe_to(pipe.spec, pipe.port, names) for pipe in config.pipes)
    entries = tuple(
        convert.entry_to(entry, 0, pipe.spec.name, names) for pipe in config.pipes for entry in pipe.entries
    )
    shared = tuple(resources.resource_to(item.id, item.resource) for item in config.shared)
    digest = hashlib.sha256()
    for message in (*pipes, *entries, *shared):
        digest.update(message.SerializeToString(deterministic=True))
        digest.update(b"\0")
    for port in port_specs(config):
        digest.update(repr(port).encode())
    return Declared(
        digest.digest(),
        port_specs(config),
        shared,
        pipes,
        entries,
        config.pairs if config.mode == "vnf" else (),
        {port.name: port.netns for port in config.ports if port.netns},
        {pipe.spec.name: pipe.where for pipe in config.pipes},
    )


def port_specs(config: RunConfig) -> tuple[flow.PortSpec, ...]:
    """What the ports are started with; in switch mode the first is the manager and starts first."""
    switch = config.mode == "switch"
    return tuple(
        flow.PortSpec(
            port_id=port.port_id,
            name=port.name,
            is_representor=switch and index > 0,
            default_miss=port.default_miss,
        )
        for index, port in enumerate(config.ports)
    )


def reserves(config: RunConfig) -> Reserves:
    """What the session reserves; zeros are the library's defaults."""
    given = {name: getattr(config.resources, name) for name in config.resources.__slots__}
    return Reserves(**{name: number for name, number in given.items() if number})


def fastpath_ports(config: RunConfig) -> list[FastpathPort]:
    """What the fast path is started with. Switch mode: the others are representors of the first."""
    found = []
    for index, port in enumerate(config.ports):
        options = dict(port.options)
        if config.mode == "switch":
            options.setdefault("pci", "0000:03:00.0")
            if index:
                options.setdefault("representor", port.name)
            else:
                options.setdefault("ibdev", "mlx5_0")
        else:
            options.setdefault("pci", f"0000:03:00.{index}")
            options.setdefault("ibdev", f"mlx5_{index}")
        found.append(
            FastpathPort(
                name=port.name,
                backend=options["backend"],
                args=options.get("args", ""),
                netns=options.get("netns", ""),
                mac=options.get("mac", ""),
                pci=options["pci"],
                ibdev=options.get("ibdev", ""),
                representor=options.get("representor", ""),
                mtu=int(options.get("mtu", "0")),
                persist=options.get("persist") == "yes",
            )
        )
    return found
