# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Which workloads a selector means, without a compiled policy: for lists, containment and canaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network

from appliance.errors import InvalidValue
from appliance.policy.model import State, Workload
from appliance.policy.selector import Cidr, Op, Requirement, Selector, parse_selector


def matches(text: str, workloads: Iterable[Workload], states: Mapping[str, State]) -> list[Workload]:
    """The workloads that a selector means. ``InvalidValue``: it cannot be read, or names a group."""
    try:
        selector = parse_selector(text)
    except ValueError as error:
        raise InvalidValue(f"selector: {error}") from None
    return [one for one in workloads if means(selector, one, states.get(one.name, one.state))]


def means(selector: Selector, workload: Workload, state: State) -> bool:
    """Whether a selector means a workload in a state."""
    return any(all(_holds(part, workload, state) for part in term) for term in selector.terms)


def _holds(part: Requirement, workload: Workload, state: State) -> bool:
    match part.field:
        case "group":
            raise InvalidValue("selector: groups belong to a policy; write out what the group stands for")
        case "entity":
            return False
        case "cidr":
            cidrs = [Cidr.parse(value) for value in part.values]
            addresses = [address for one in workload.interfaces for address in one.addresses]
            return any(_inside(address, cidr) for address in addresses for cidr in cidrs)
        case "name" | "kind" | "origin":
            value: str | None = getattr(workload, part.field)
        case "state":
            value = state.name.lower()
        case _:
            value = workload.labels.get(part.key)
    match part.op:
        case Op.IN:
            return value in part.values
        case Op.NOT_IN:
            return value not in part.values
        case Op.EXISTS:
            return value is not None
        case Op.NOT_EXISTS:
            return value is None


def _inside(address: str, cidr: Cidr) -> bool:
    found = ip_address(address)

    def within(prefix: str) -> bool:
        network = ip_network(prefix)
        return found.version == network.version and found in network

    return within(cidr.prefix) and not any(within(prefix) for prefix in cidr.exceptions)
