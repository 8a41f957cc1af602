# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a Dpu can say and ask about its connections."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

import numpy as np
from numpy.typing import NDArray

from appliance.flow.ct import CtStats
from appliance.steering import ct
from appliance.steering.records import FLOW_RECORD

_RECORDS = 4096  # taken by one call
_PAGE = 1024


class Tracking:
    """The part of ``Dpu`` that is about an autonomous CT pipe."""

    def __init__(self) -> None:
        self._records_lock = threading.Lock()
        self._records: ct.Records | None = None

    def ct_epoch(self, revision: int, identities: Iterable[int] | None = None) -> None:
        """The policy has changed, and packets see it: connections are judged again at their next packet.

        All of them, or (``identities``) those that name one as either side. ``revision`` goes into their
        records from here on. ``NotFound``: there is no CT pipe.
        """
        ct.epoch(revision, None if identities is None else list(identities))

    def ct_adopt(
        self, address: str | IPv4Address | IPv6Address | None = None, *, zone: int = 0, window: float = 60.0
    ) -> None:
        """For ``window`` seconds, out-of-state TCP from or to an address may be adopted; None: of all."""
        packed = b"" if address is None else ip_address(address).packed
        ct.adopt(packed, zone, int(window * 1000))

    def ct_list(self, limit: int | None = None) -> NDArray[np.void]:
        """Live connections as ``FLOW_RECORD`` rows with event UPDATE, in no order; at most ``limit``."""
        pages: list[NDArray[np.void]] = []
        cursor, number = 0, 0
        while limit is None or number < limit:
            page, cursor = ct.listed(cursor, _PAGE if limit is None else min(_PAGE, limit - number))
            pages.append(page)
            number += len(page)
            if not cursor:
                break
        rows = np.zeros(number, dtype=FLOW_RECORD)  # joining them would pack the dtype
        at = 0
        for page in pages:
            rows[at : at + len(page)] = page
            at += len(page)
        return rows

    def ct_stats(self) -> CtStats:
        """Numbers of connections; no call to the fast path."""
        return CtStats(**ct.stats())

    def flow_records(self, timeout: float = 0.0) -> tuple[NDArray[np.void], int]:
        """The next flow records, in ``FLOW_RECORD`` rows, waiting up to ``timeout`` seconds for the first;
        and how many have been lost since the session began because this reader was too slow.

        ``BadState``: the Dpu was opened without ``flow_ring_bytes``.
        """
        with self._records_lock:
            if self._records is None:
                self._records = ct.Records(_RECORDS)
            return self._records.take(int(timeout * 1e6))
