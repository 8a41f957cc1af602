# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who is contained, why and for how long. Values and a file; enforcing it is the controller's business.

A quarantine is a state of a workload, one of four that are compiled ahead, so that it changes the identity numbers of
its addresses and compiles nothing. Paths that are kept open for one workload become rules of the ``system`` band.

Time that is left runs on the monotonic clock, and only while an appliance runs: a quarantine never ends while nobody
watches.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from appliance.errors import InvalidValue, NotFound, NotPermitted
from appliance.policy.model import Band, Baseline, Containment, Rule, State, Workload
from appliance.policy.selector import named, parse_selector
from appliance.policy.store import Store

SAVE_SECONDS: Final = 5.0
"""How much of a time to live a crash may give back."""
MAX_TTL: Final = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class KeptPath:
    """A path that stays open: who may open (``source``), or be opened to (``target``), with which services. The side
    that is empty is the contained workload; at least one must be.
    """

    source: str = ""
    target: str = ""
    services: tuple[str, ...] = ("any",)


@dataclass(frozen=True, slots=True)
class Contained:
    """One workload."""

    workload: str
    state: State
    since: float
    """Seconds since the epoch."""
    left: float
    """Seconds until it is released by itself; 0: never."""
    reason: str
    actor: str
    keep: tuple[KeptPath, ...] = ()
    baseline: tuple[Rule, ...] = ()
    """Restricted: what it was known to do when it was restricted; all that is left to it."""
    reset: bool = False
    """Quarantined: its peers are answered (TCP RST), not left waiting."""

    def to_dict(self) -> dict[str, Any]:
        """For a file."""
        return {
            **{
                name: getattr(self, name)
                for name in ("workload", "since", "left", "reason", "actor", "reset")
            },
            "state": self.state.name.lower(),
            "keep": [asdict(path) for path in self.keep],
            "baseline": [
                {"name": r.name, "from": r.source.texts(), "to": r.target.texts(), "services": r.services}
                for r in self.baseline
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Contained:
        """The inverse."""
        keep = tuple(
            KeptPath(item["source"], item["target"], tuple(item["services"])) for item in data["keep"]
        )
        baseline = tuple(
            Rule(
                name=item["name"],
                band=Band.SYSTEM,
                source=parse_selector(item["from"]),
                target=parse_selector(item["to"]),
                services=tuple(item["services"]),
            )
            for item in data["baseline"]
        )
        state = State[str(data["state"]).upper()]
        return cls(**{**data, "keep": keep, "baseline": baseline, "state": state})


def check_keep(keep: Sequence[KeptPath]) -> None:
    """``InvalidValue`` names the path and what is wrong with it."""
    for number, path in enumerate(keep):
        for side in ("source", "target"):
            try:
                if text := getattr(path, side):
                    parse_selector(text)
            except ValueError as error:
                raise InvalidValue(f"keep[{number}].{side}: {error}") from None
        if path.source and path.target:
            raise InvalidValue(
                f"keep[{number}]: source or target must be empty: that side is the contained workload"
            )
        if not path.source and not path.target:
            raise InvalidValue(f"keep[{number}]: without source and target everything would stay open")


def check_request(reason: str, ttl: float) -> None:
    """What can be wrong with any request."""
    if not reason.strip():
        raise InvalidValue("reason: say why; it goes into the audit log")
    if not 0 <= ttl <= MAX_TTL:
        days = f"{MAX_TTL:.0f} ({MAX_TTL / 86400:.0f} days)"
        raise InvalidValue(f"ttl_seconds: {ttl:g} is not between 0 (never by itself) and {days}")


def kept_rules(contained: Contained) -> Iterable[Rule]:
    """The kept paths of one workload as rules."""
    me = named(contained.workload)
    for number, path in enumerate(contained.keep):
        yield Rule(
            name=f"keep-{contained.workload}-{number}",
            band=Band.SYSTEM,
            source=parse_selector(path.source) if path.source else me,
            target=parse_selector(path.target) if path.target else me,
            services=path.services,
            comment=f"kept open by {contained.actor}: {contained.reason}",
        )


def baselines_of(given: Iterable[Contained]) -> tuple[Baseline, ...]:
    """As the compiler takes them."""
    return tuple(dict.fromkeys(Baseline(one.workload, rule) for one in given for rule in one.baseline))


class ContainmentBook:
    """What is contained at the moment. Any thread may call."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._clock, self._monotonic = store, clock, monotonic
        self._lock = threading.RLock()
        self._byname = {name: Contained.from_dict(data) for name, data in store.containment().items()}
        self._above: dict[str, Contained] = {}
        self.master = ""
        """Name of the centre that this appliance obeys: what is done here may only tighten then."""
        self._at = self._saved = monotonic()

    def _merged(self) -> dict[str, Contained]:
        """By name; of two the stricter. Of two that restrict the centre's: what is known here could be wider."""
        made = dict(self._byname)
        for name, one in self._above.items():
            here = made.get(name)
            if here is None or here.state < one.state or here.state is one.state is State.RESTRICTED:
                made[name] = one
        return made

    @property
    def states(self) -> dict[str, State]:
        """State by name of workload."""
        with self._lock:
            return {name: one.state for name, one in self._merged().items()}

    def all(self) -> list[Contained]:
        """All, by name, with the time that is left now."""
        with self._lock:
            self._run()
            merged = self._merged()
            return [merged[name] for name in sorted(merged)]

    def local(self) -> list[Contained]:
        """Those that were contained here, by name."""
        with self._lock:
            self._run()
            return [self._byname[name] for name in sorted(self._byname)]

    def get(self, name: str) -> Contained | None:
        """One, if it is contained."""
        with self._lock:
            return self._merged().get(name)

    def kept(self, names: Iterable[str]) -> dict[str, tuple[Contained | None, Contained | None]]:
        """By name: what was done here, and what a centre says; for ``put_back``."""
        with self._lock:
            return {name: (self._byname.get(name), self._above.get(name)) for name in names}

    def impose(self, above: Mapping[str, Contained]) -> dict[str, Contained]:
        """What a centre says of the fleet, beside what is contained here; kept by the caller. What it said before."""
        with self._lock:
            self._run()
            before, self._above = self._above, dict(above)
            return before

    def model(self, *, reject: bool = False) -> Containment:
        """As the compiler takes it."""
        with self._lock:
            merged = self._merged()
            all_ = [merged[name] for name in sorted(merged)]
            # A path that stays open is the centre's to give, where there is one.
            paths = (self._above.get(one.workload, None if self.master else one) for one in all_)
            keep = tuple(rule for one in paths if one is not None for rule in kept_rules(one))
            # Those of states that are covered now too: when the stricter word goes, nothing is compiled.
            above = self._above
            mine = (
                one
                for name, one in self._byname.items()
                if name not in above or above[name].state is not State.RESTRICTED
            )
            baselines = baselines_of(sorted([*mine, *above.values()], key=lambda one: one.workload))
            resets = tuple(one.workload for one in all_ if one.reset)
            return Containment(
                states=self.states, keep=keep, baselines=baselines, reject=reject, resets=resets
            )

    def contain(
        self,
        workloads: Iterable[Workload],
        state: State,
        *,
        reason: str,
        actor: str,
        ttl: float = 0.0,
        keep: Sequence[KeptPath] = (),
        baseline: Sequence[Rule] = (),
        reset: bool = False,
    ) -> list[Contained]:
        """Put workloads into a state, in one step. ``NotPermitted``: it opens a path, and a centre is the master."""
        with self._lock:
            if self.master and keep:
                raise NotPermitted(
                    f"keep: managed by centre {self.master}: what is done here may only tighten"
                )
            self._run()
            made = [
                Contained(
                    workload.name,
                    state,
                    self._clock(),
                    ttl,
                    reason,
                    actor,
                    tuple(keep),
                    tuple(baseline),
                    reset,
                )
                for workload in workloads
            ]
            with self._store.transaction():
                for one in made:
                    self._store.set_containment(one.workload, one.to_dict())
            self._byname |= {one.workload: one for one in made}
            return made

    def release(self, names: Iterable[str]) -> list[Contained]:
        """End containment; ``NotFound`` when one is not contained, and then nothing is released."""
        with self._lock:
            given = list(names)
            over = {name for name in given if 0 < getattr(self._above.get(name), "left", 0.0) <= _OVER}
            for name in given:
                if name in self._above and name not in self._byname and name not in over:
                    raise NotPermitted(
                        f"workload {name!r} was contained by centre {self.master}: use `ringfield central release`"
                    )
                if name not in self._byname and name not in over:
                    raise NotFound(f"workload {name!r} is not contained")
            with self._store.transaction():
                for name in given:
                    self._store.set_containment(name, None)
            ended = [self._above.pop(name) for name in given if name in over]
            return ended + [self._byname.pop(name) for name in given if name in self._byname]

    def put_back(self, before: Mapping[str, tuple[Contained | None, Contained | None]]) -> None:
        """As it was (``kept``), when a change could not be brought into force."""
        with self._lock, self._store.transaction():
            for name, (one, above) in before.items():
                if above is not None:
                    self._above.setdefault(name, above)
                self._store.set_containment(name, None if one is None else one.to_dict())
                if one is None:
                    self._byname.pop(name, None)
                else:
                    self._byname[name] = one

    def due(self) -> list[str]:
        """Workloads whose time is up. Keeps the time that is left on disk, now and then."""
        with self._lock:
            self._run()
            now = self._monotonic()
            if now - self._saved >= SAVE_SECONDS:
                self._saved = now
                with self._store.transaction():
                    for name, one in self._byname.items():
                        if one.left:
                            self._store.set_containment(name, one.to_dict())
            return [
                name
                for name in sorted(self._byname.keys() | self._above.keys())
                for one in (self._byname.get(name), self._above.get(name))
                if one is not None and 0 < one.left <= _OVER
            ]

    def _run(self) -> None:
        """Let the time that is left run on."""
        now = self._monotonic()
        passed, self._at = now - self._at, now
        for book in (self._byname, self._above):
            for name, one in book.items():
                if one.left:
                    book[name] = replace(one, left=max(_OVER, one.left - passed))


_OVER: Final = 1e-9
"""Left of a time that is over; 0 would be for ever."""
