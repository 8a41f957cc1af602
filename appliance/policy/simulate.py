# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a draft would change for flows that were seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.policy.evaluate import MISSING, Evaluator, Service, evaluator_of
from appliance.policy.layout import SOURCE
from appliance.policy.program import Program, Verdict
from appliance.policy.service import Protocol


@dataclass(frozen=True, slots=True)
class Flows:
    """Connections as they were opened; arrays of one length."""

    zone: NDArray[np.uint32]
    version: NDArray[np.uint8]
    source: NDArray[np.uint8]
    """Rows of 16 bytes, IPv4 in the first four."""
    target: NDArray[np.uint8]
    protocol: NDArray[np.uint8]
    port: NDArray[np.uint16]
    """Destination port, or ICMP type."""

    @classmethod
    def from_records(cls, records: NDArray[np.void]) -> Flows:
        """From flow records (``FLOW_RECORD``)."""
        icmp = (records["protocol"] == Protocol.ICMP) | (records["protocol"] == Protocol.ICMP6)
        return cls(
            records["zone"], records["ip_version"], records["src_ip"], records["dst_ip"], records["protocol"],
            np.where(icmp, records["icmp_type"].astype(np.uint16), records["dst_port"]),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.zone)

    def identities(self, evaluator: Evaluator) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Of both ends, as a program has them."""
        found = []
        for addresses in (self.source, self.target):
            made = np.full(len(self), MISSING, np.uint32)
            four, six = self.version == 4, self.version == 6
            numbers = np.ascontiguousarray(addresses[four, :4]).view(">u4").reshape(-1).astype(np.uint64)
            made[four] = evaluator.identities(self.zone[four], 4, numbers)
            made[six] = evaluator.identities(self.zone[six], 6, addresses[six])
            found.append(made)
        return found[0], found[1]

    def tags(self, evaluator: Evaluator) -> NDArray[np.uint64]:
        """The verdicts of a program on them."""
        source, target = self.identities(evaluator)
        return evaluator.tags(source, target, self.protocol, self.port)


@dataclass(frozen=True, slots=True)
class Change:
    """Connections whose verdict would change, of one pair of identities on one service."""

    source: int
    target: int
    """Identity numbers, as the draft has them."""
    service: Service
    before: Verdict
    after: Verdict
    count: int = 1

    @property
    def passes_differ(self) -> bool:
        """Whether packets would be treated otherwise, or only explained otherwise."""
        return self.before.passes != self.after.passes


def what_if(before: Program, after: Program, flows: Flows) -> tuple[list[Change], NDArray[np.int64]]:
    """The flows whose verdict differs: grouped, most frequent first; and their indices."""
    old, new = evaluator_of(before), evaluator_of(after)
    old_tags, new_tags = flows.tags(old), flows.tags(new)
    differ = np.flatnonzero(old_tags != new_tags)  # tags are made of what verdicts say
    source, target = (one[differ] for one in flows.identities(new))
    packed = np.stack([
        source.astype(np.uint64), target.astype(np.uint64), flows.protocol[differ].astype(np.uint64),
        flows.port[differ].astype(np.uint64), old_tags[differ], new_tags[differ],
    ])  # fmt: skip
    if not len(differ):
        return [], differ
    groups, count = np.unique(packed, axis=1, return_counts=True)
    changes = [
        Change(int(s), int(t), Service(int(p), int(port)), old.verdict(int(a)), new.verdict(int(b)), int(n))
        for (s, t, p, port, a, b), n in zip(groups.T, count, strict=True)
    ]
    changes.sort(
        key=lambda one: (not one.passes_differ, -one.count, one.source, one.target, str(one.service))
    )
    return changes, differ


def used_identities(program: Program) -> NDArray[np.int64]:
    """The identities that some address has."""
    columns = [program.table(name).arg(SOURCE) for name in ("seg/src4", "seg/src6")]
    return np.unique(np.concatenate(columns)).astype(np.int64)
