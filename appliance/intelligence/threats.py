# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What sensors report: checked, kept, bounded. What follows from it is somebody else's decision.

A report names a workload or a connection; an address alone proves nothing, so it may lead to ``watched`` at most.
Reports weigh less as time passes, and go after a week. Each sensor may send so many a second and has room for so many:
who sends more loses its own oldest, never another's.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import IntEnum
from ipaddress import ip_address
from typing import Final

from appliance.errors import AlreadyExists, Code, FlowError, InvalidValue
from appliance.intelligence.bucket import Bucket
from appliance.intelligence.store import Store
from appliance.policy.model import State

KEEP_SECONDS: Final = 7 * 86400.0
HALF_LIFE_SECONDS: Final = 3600.0
SKEW_SECONDS: Final = 60.0
"""So far ahead may a sensor's clock be."""
MAX_OF_ONE: Final = 1000
MAX_SENSORS: Final = 20
"""Reports of so many sensors are kept; those of the one that was silent longest go first."""
PER_SECOND: Final = 10.0
BURST: Final = 100.0
MAX_EVIDENCE: Final = 1024
MAX_NAME: Final = 64
"""Letters of a name that nobody has, in a refusal."""
_KEY: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")
_CATEGORY: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Severity(IntEnum):
    """How bad it is."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Threat:
    """What a sensor saw."""

    key: str
    """Unique among the sensor's."""
    observed: float
    """Seconds since the epoch."""
    category: str
    severity: Severity
    workload: str = ""
    connection: str = ""
    address: str = ""
    network: str = ""
    evidence: str = ""

    @property
    def at_most(self) -> State:
        """What it may lead to."""
        return State.QUARANTINED if self.workload or self.connection else State.WATCHED


@dataclass(frozen=True, slots=True)
class Report:
    """A threat, who reported it and when."""

    threat: Threat
    sensor: str
    received: float
    """Seconds since the epoch."""

    def weight(self, now: float) -> float:
        """Severity as it counts at a time."""
        age = max(0.0, now - self.threat.observed)
        return float(self.threat.severity) * math.pow(0.5, age / HALF_LIFE_SECONDS)

    @property
    def place(self) -> str:
        """Its key in the store."""
        return f"threat/{self.sensor}/{self.threat.key}"

    def to_bytes(self) -> bytes:
        """For the store."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Report:
        """The inverse."""
        found = json.loads(data)
        threat = found["threat"] | {"severity": Severity(found["threat"]["severity"])}
        return cls(Threat(**threat), found["sensor"], found["received"])


def check(threat: Threat, now: float, networks: object, workloads: object) -> None:
    """``InvalidValue`` names the field. ``networks`` and ``workloads`` are containers of names."""

    def wrong(field: str, why: str) -> InvalidValue:
        return InvalidValue(f"threat.{field}: {why}")

    if not _KEY.fullmatch(threat.key):
        raise wrong("key", "1 to 128 letters, digits, - _ . : / are expected")
    if not math.isfinite(threat.observed) or threat.observed > now + SKEW_SECONDS:
        raise wrong("observed", "it is no time, or one that has not come yet")
    if threat.observed < now - KEEP_SECONDS:
        raise wrong("observed", "it is older than a week")
    if not (threat.workload or threat.connection or threat.address):
        raise wrong("workload", "a workload, a connection or an address is required")
    if threat.workload and threat.workload not in workloads:  # type: ignore[operator]
        raise wrong("workload", f"there is no workload {threat.workload[:MAX_NAME]!r}")
    if threat.connection and not _KEY.fullmatch(threat.connection):
        raise wrong("connection_id", "it cannot be the id of a connection")
    if threat.address:
        try:
            ip_address(threat.address)
        except ValueError as error:
            raise wrong("address", str(error)) from None
        if threat.network not in networks:  # type: ignore[operator]
            raise wrong(
                "network", f"there is no network {threat.network[:MAX_NAME]!r}, and an address needs one"
            )
    elif threat.network:
        raise wrong("network", "it goes with an address")
    if not _CATEGORY.fullmatch(threat.category):
        raise wrong("category", "a word of small letters, digits and - is expected")
    if len(threat.evidence.encode()) > MAX_EVIDENCE:
        raise wrong("evidence", f"at most {MAX_EVIDENCE} bytes")


class Threats:
    """All reports. Any thread may call."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._clock, self._monotonic = store, clock, monotonic
        self._lock = threading.Lock()
        self._of: dict[str, dict[str, Report]] = {}
        """By sensor and key, the oldest first."""
        self._room: dict[str, Bucket] = {}
        """Per sensor."""
        kept = [Report.from_bytes(item.value) for item in store.range("threat/")]
        for one in sorted(kept, key=lambda report: report.received):
            # In order of the last report, as ``add`` leaves them.
            mine = self._of[one.sensor] = self._of.pop(one.sensor, {})
            mine[one.threat.key] = one

    def admit(self, sensor: str) -> None:
        """``FlowError`` (AGAIN): it sends too many."""
        with self._lock:
            if sensor not in self._room:
                self._room[sensor] = Bucket(PER_SECOND, BURST, self._monotonic)
            if not self._room[sensor].take():
                raise FlowError(f"{sensor} reports more than {PER_SECOND:g} threats a second", Code.AGAIN)

    def add(self, sensor: str, threat: Threat) -> bool:
        """Keep a report that was checked; whether it is new. ``AlreadyExists``: its key says something else."""
        with self._lock:
            mine = self._of.get(sensor, {})
            known = mine.get(threat.key)
            if known is not None and known.received >= self._clock() - KEEP_SECONDS:
                if known.threat != threat:
                    raise AlreadyExists(f"threat.key: {threat.key!r} was used for another report")
                return False
            made = Report(threat, sensor, self._clock())
            gone = self._surplus(sensor)
            self._store.commit({made.place: made.to_bytes()}, [one.place for one in gone])
            for one in gone:
                self._forget(one)
            # At the end again, so that sensors are in order of their last report.
            self._of[sensor] = {**self._of.pop(sensor, {}), threat.key: made}
            return True

    def _surplus(self, sensor: str) -> list[Report]:
        """What has to go for one more of a sensor's."""
        old = self._clock() - KEEP_SECONDS
        gone = [one for mine in self._of.values() for one in mine.values() if one.received < old]
        mine = [one for one in self._of.get(sensor, {}).values() if one.received >= old]
        gone += mine[: max(0, len(mine) - MAX_OF_ONE + 1)]
        if sensor not in self._of and len(self._of) >= MAX_SENSORS:
            gone += [one for one in next(iter(self._of.values())).values() if one.received >= old]
        return gone

    def _forget(self, one: Report) -> None:
        mine = self._of[one.sensor]
        del mine[one.threat.key]
        if not mine:
            del self._of[one.sensor]

    def all(self, workload: str = "", limit: int = 100) -> list[Report]:
        """The newest first; of one workload, or all."""
        with self._lock:
            found = [one for mine in self._of.values() for one in mine.values()]
        old = self._clock() - KEEP_SECONDS
        return sorted(
            (one for one in found if one.received >= old and workload in ("", one.threat.workload)),
            key=lambda one: (one.received, one.threat.observed), reverse=True,
        )[:limit]  # fmt: skip
