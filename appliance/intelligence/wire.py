# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Slices, deltas and containment as messages. Peers travel as packed little-endian arrays. ``BadField``: malformed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.intelligence.slices import (
    ContainedAt,
    Delta,
    FleetContainment,
    Own,
    Peer,
    Place,
    Policy,
    Slice,
)
from appliance.intelligence.v1 import statement_pb2
from appliance.policy.containment import Contained
from appliance.policy.model import KINDS, ORIGINS, Band, Network, Rule, State, Vtep
from appliance.policy.overlay import check_vtep
from appliance.policy.selector import parse_selector
from appliance.rpc.convert.base import BadField, at
from appliance.rpc.convert.workload import STATE_OF, STATES, keep_from, spec_to, workload_from
from appliance.v1 import workload_pb2

ROW: Final = np.dtype(
    [
        ("address", "V16"), ("mac", "V6"), ("name", "<u4"), ("network", "<u2"), ("owner", "<u2"), ("version", "u1"),
        ("length", "u1"),
    ]
)  # fmt: skip
MAX_POLICY: Final = 64 << 20
MAX_PEERS: Final = 1_000_000


# --- networks ---------------------------------------------------------------------------------------------------------


def network_to(one: Network) -> statement_pb2.SliceNetwork:
    """A network."""
    return statement_pb2.SliceNetwork(
        name=one.name, vlan=one.vlan, vni=one.vni, prefixes=one.prefixes, gateways=one.gateways,
        gateway_mac=one.gateway_mac,
    )  # fmt: skip


def network_from(message: statement_pb2.SliceNetwork, path: str = "network") -> Network:
    """A network; what only an inventory can tell is not checked."""
    if not message.name:
        raise BadField(f"{path}.name", "is required")
    made = Network(
        name=message.name, vlan=message.vlan, vni=message.vni, prefixes=tuple(message.prefixes),
        gateways=tuple(message.gateways),
    )  # fmt: skip
    return replace(made, gateway_mac=message.gateway_mac) if message.gateway_mac else made


# --- workloads and peers ----------------------------------------------------------------------------------------------


def own_to(own: Own) -> workload_pb2.Workload:
    """A workload behind the appliance."""
    return workload_pb2.Workload(name=own.workload.name, spec=spec_to(own.workload))


def own_from(messages: Iterable[workload_pb2.Workload]) -> dict[str, Own]:
    """Workloads behind the appliance, by name."""
    return {one.name: Own(workload_from(one)) for one in messages}


def peers_to(peers: Mapping[str, Peer]) -> statement_pb2.PeerTable:
    """Peers as packed arrays."""
    names = sorted(peers)
    networks: dict[str, int] = {}
    owners: dict[str, int] = {}
    identities: dict[tuple[str, str, tuple[tuple[str, str], ...]], int] = {}
    identity_of = np.empty(len(names), "<u4")
    rows = bytearray()
    for index, name in enumerate(names):
        peer = peers[name]
        identity_of[index] = identities.setdefault((peer.kind, peer.origin, peer.labels), len(identities))
        for place in peer.places:
            rows += place.address.to_bytes(16, "big")
            rows += place.mac.to_bytes(6, "big")
            rows += index.to_bytes(4, "little")
            rows += networks.setdefault(place.network, len(networks)).to_bytes(2, "little")
            rows += owners.setdefault(place.owner, len(owners)).to_bytes(2, "little")
            rows += bytes((place.version, place.length))
    return statement_pb2.PeerTable(
        names=names,
        identity_of=identity_of.tobytes(),
        identities=[
            statement_pb2.SliceIdentity(kind=kind, origin=origin, labels=dict(labels))
            for kind, origin, labels in identities
        ],
        rows=bytes(rows),
        networks=list(networks),
        owners=list(owners),
    )


def _column(data: bytes, dtype: np.dtype[np.void] | str, path: str) -> NDArray[np.void]:
    wanted = np.dtype(dtype)
    if len(data) % wanted.itemsize:
        raise BadField(path, f"{len(data)} bytes are no whole number of {wanted.itemsize}")
    found: NDArray[np.void] = np.frombuffer(data, wanted)
    return found


def peers_from(table: statement_pb2.PeerTable, path: str = "peers") -> dict[str, Peer]:
    """Peers by name; every index and number is checked."""
    identity_of = _column(table.identity_of, "<u4", f"{path}.identity_of").astype(np.int64)
    rows = _column(table.rows, ROW, f"{path}.rows")
    names = list(table.names)
    if len(identity_of) != len(names) or len(names) > MAX_PEERS:
        raise BadField(f"{path}.identity_of", f"{len(identity_of)} for {len(names)} names")
    if len(set(names)) != len(names) or not all(names):
        raise BadField(f"{path}.names", "a name is empty or comes twice")
    for column, limit in (
        (identity_of, len(table.identities)), (rows["name"], len(names)), (rows["network"], len(table.networks)),
        (rows["owner"], len(table.owners)),
    ):  # fmt: skip
        if len(column) and int(column.max()) >= limit:
            raise BadField(path, f"an index of {int(column.max())} into a table of {limit}")
    identities = []
    for index, one in enumerate(table.identities):
        if one.kind not in KINDS or one.origin not in ORIGINS:
            raise BadField(
                f"{path}.identities[{index}]", f"no such kind or origin: {one.kind!r}, {one.origin!r}"
            )
        identities.append((one.kind, one.origin, tuple(sorted(one.labels.items()))))
    places: list[list[Place]] = [[] for _ in names]
    for address, mac, name, network, owner, version, length in rows.tolist():
        bits = {4: 32, 6: 128}.get(version, -1)
        number = int.from_bytes(address, "big")
        if length > bits or number >> max(bits, 0):
            raise BadField(
                f"{path}.rows", f"{names[name]}: no address of version {version} and length {length}"
            )
        places[name].append(
            Place(
                table.networks[network],
                version,
                number,
                length,
                int.from_bytes(mac, "big"),
                table.owners[owner],
            )
        )
    made = {}
    for index, name in enumerate(names):
        kind, origin, labels = identities[int(identity_of[index])]
        made[name] = Peer(name, kind, origin, labels, tuple(places[index]))
    return made


def vteps_to(vteps: Mapping[str, Vtep]) -> statement_pb2.SliceVteps:
    """Where tunnels end, by appliance."""
    return statement_pb2.SliceVteps(
        vteps=[
            statement_pb2.SliceVtep(appliance=name, address=one.address, mac=one.next_hop_mac)
            for name, one in sorted(vteps.items())
        ]
    )


def vteps_from(message: statement_pb2.SliceVteps, path: str = "vteps") -> dict[str, Vtep]:
    """The inverse; every value is checked."""
    made: dict[str, Vtep] = {}
    for number, one in enumerate(message.vteps):
        if not one.appliance or one.appliance in made:
            raise BadField(f"{path}[{number}].appliance", "it is empty or comes twice")
        with at(f"{path}[{number}]"):
            made[one.appliance] = check_vtep(one.address, one.mac)
    return made


# --- policy -----------------------------------------------------------------------------------------------------------

_packed: dict[bytes, bytes] = {}


def policy_to(policy: Policy) -> bytes:
    """Compressed; the last one is remembered, since every slice has it."""
    found = _packed.get(policy.digest)
    if found is None:
        _packed.clear()
        found = _packed[policy.digest] = zlib.compress(policy.text.encode(), 6)
    return found


_unpacked: list[tuple[bytes, Policy]] = []


def policy_from(data: bytes) -> Policy:
    """The text; bounded. The last one is remembered, since all appliances of a simulator have it."""
    if _unpacked and _unpacked[0][0] == data:
        return _unpacked[0][1]
    made = _policy_from(data)
    _unpacked[:] = [(data, made)]
    return made


def _policy_from(data: bytes) -> Policy:
    try:
        worker = zlib.decompressobj()
        text = worker.decompress(data, MAX_POLICY)
        if worker.unconsumed_tail or not worker.eof:
            raise BadField("policy", f"it is cut, or larger than {MAX_POLICY >> 20} MiB")
        return Policy(text.decode())
    except (zlib.error, UnicodeDecodeError) as error:
        raise BadField("policy", f"cannot be read: {error}") from None


# --- slices -----------------------------------------------------------------------------------------------------------


def slice_to(one: Slice, containment: FleetContainment) -> statement_pb2.Slice:
    """A snapshot."""
    return statement_pb2.Slice(
        revision=one.revision, networks=[network_to(n) for n in one.networks], policy=policy_to(one.policy),
        workloads=[own_to(one.own[name]) for name in sorted(one.own)], peers=peers_to(one.peers),
        containment=containment_to(containment), vteps=vteps_to(one.vteps),
    )  # fmt: skip


def slice_from(message: statement_pb2.Slice) -> tuple[Slice, FleetContainment]:
    """The inverse."""
    made = Slice(
        message.revision,
        tuple(network_from(one, f"networks[{n}]") for n, one in enumerate(message.networks)),
        policy_from(message.policy),
        own_from(message.workloads),
        peers_from(message.peers),
        vteps_from(message.vteps),
    )
    return made, containment_from(message.containment)


def delta_to(one: Delta, containment: FleetContainment) -> statement_pb2.SliceDelta:
    """A change."""
    return statement_pb2.SliceDelta(
        revision=one.revision,
        networks=[] if one.networks is None else [network_to(n) for n in one.networks],
        policy=None if one.policy is None else policy_to(one.policy),
        workloads=[own_to(one.own[name]) for name in sorted(one.own)],
        workloads_removed=one.own_removed,
        peers=peers_to(one.peers),
        peers_removed=one.peers_removed,
        containment=containment_to(containment),
        vteps=None if one.vteps is None else vteps_to(one.vteps),
    )


def delta_from(
    message: statement_pb2.SliceDelta, base: bytes, result: bytes
) -> tuple[Delta, FleetContainment]:
    """The inverse."""
    networks = tuple(network_from(one, f"networks[{n}]") for n, one in enumerate(message.networks))
    made = Delta(
        base,
        result,
        message.revision,
        networks or None,
        policy_from(message.policy) if message.HasField("policy") else None,
        own_from(message.workloads),
        tuple(message.workloads_removed),
        peers_from(message.peers),
        tuple(message.peers_removed),
        vteps_from(message.vteps) if message.HasField("vteps") else None,
    )
    return made, containment_from(message.containment)


# --- containment ------------------------------------------------------------------------------------------------------


def contained_to(one: ContainedAt) -> statement_pb2.ContainedWorkload:
    """A contained workload."""
    what = one.contained
    return statement_pb2.ContainedWorkload(
        workload=what.workload, state=STATES[what.state], since=what.since, seconds_left=what.left, reason=what.reason,
        actor=what.actor, origin=one.origin, reset=what.reset,
        keep=[
            statement_pb2.ContainedPath(source=path.source, target=path.target, services=path.services)
            for path in what.keep
        ],
        baseline=[
            statement_pb2.BaselineRule(
                name=rule.name, source=str(rule.source), target=str(rule.target), services=rule.services
            )
            for rule in what.baseline
        ],
    )  # fmt: skip


def baseline_from(messages: Iterable[statement_pb2.BaselineRule], path: str = "baseline") -> tuple[Rule, ...]:
    """What a restricted workload may still do."""
    with at(path):
        return tuple(
            Rule(
                name=one.name, band=Band.SYSTEM, source=parse_selector(one.source or "any"),
                target=parse_selector(one.target or "any"), services=tuple(one.services) or ("any",),
            )
            for one in messages
        )  # fmt: skip


def contained_from(message: statement_pb2.ContainedWorkload, path: str = "contained") -> ContainedAt:
    """The inverse."""
    state = STATE_OF.get(message.state, State.NORMAL)
    if not message.workload or state is State.NORMAL:
        raise BadField(path, "a contained workload needs a name and a state")
    baseline = baseline_from(message.baseline, f"{path}.baseline")
    with at(f"{path}.keep"):
        for one in message.keep:
            parse_selector(one.source or "any")
            parse_selector(one.target or "any")
    contained = Contained(
        message.workload,
        state,
        message.since,
        message.seconds_left,
        message.reason,
        message.actor,
        keep_from(message.keep),
        baseline,
    )
    return ContainedAt(contained, message.origin)


def containment_to(one: FleetContainment) -> statement_pb2.ContainmentState:
    """Containment of the fleet."""
    return statement_pb2.ContainmentState(
        number=one.number, contained=[contained_to(one.contained[name]) for name in sorted(one.contained)],
        places=peers_to(one.places),
    )  # fmt: skip


def containment_from(message: statement_pb2.ContainmentState) -> FleetContainment:
    """The inverse."""
    contained = [contained_from(one, f"contained[{n}]") for n, one in enumerate(message.contained)]
    return FleetContainment(
        message.number,
        {one.contained.workload: one for one in contained},
        peers_from(message.places, "places"),
    )
