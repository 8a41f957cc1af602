# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""An appliance's end of the link: it dials again and again, never in step, and tells what it contains."""

from __future__ import annotations

import json
import queue
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.intelligence import agent, enrol
from appliance.intelligence.authority import Authority, new_key, signing_request
from appliance.intelligence.receiver import Held
from appliance.intelligence.slices import ContainedAt
from appliance.intelligence.v1 import link_pb2
from appliance.policy.audit import Actor
from appliance.policy.containment import Contained
from appliance.policy.model import Overlay, State
from tests.support.waiting import wait_for


class Idle:
    """Obeys, and has nothing to enforce."""

    def obey(self, centre: str) -> None: ...

    def impose(self, before: Held, after: Held, actor: Actor) -> None: ...

    def let_go(self, actor: Actor, reason: str) -> None: ...

    def health(self) -> tuple[bool, str]:
        return True, ""

    def read_back(self) -> tuple[bytes, bytes]:
        return b"", b""

    def local(self) -> list[ContainedAt]:
        return []

    def overlay(self) -> Overlay | None:
        return None


class Waits(threading.Event):
    """Tells how long it was waited for it, and does not wait so long."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return super().wait(0.001)


def test_it_dials_again_later_and_later_at_random(tmp_path: Path) -> None:
    authority, (pem, key) = Authority(tmp_path / "ca", "lab"), new_key()
    member = enrol.Membership("lab", "dpu1", "127.0.0.1:1", "00" * 32)
    (tmp_path / enrol.LINK).write_text(json.dumps({name: getattr(member, name) for name in member.__slots__}))
    (tmp_path / enrol.KEY).write_bytes(pem)
    (tmp_path / enrol.AUTHORITY).write_bytes(authority.pem)
    (tmp_path / enrol.CERTIFICATE).write_bytes(
        authority.issue(signing_request(key, "dpu1"), "appliance", "dpu1")
    )
    made = agent.Agent(tmp_path, Idle(), "test")
    waits = made._stop = Waits()
    made.start()
    try:
        wait_for("it to dial often", lambda: len(waits.seconds) >= 16)
    finally:
        made.close()
    assert made.status.error  # it says why
    shortest, longest = agent.BACKOFF
    most = 2 * shortest
    for seconds in waits.seconds:
        assert most / 2 <= seconds <= most
        most = min(longest, 2 * most)
    assert most == longest
    last = waits.seconds[8:]
    assert len(set(last)) == len(last)
    assert max(last) - min(last) > 0.05 * longest


def test_it_tells_what_is_contained_here_whenever_that_is_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for the time that runs, but when it begins anew: else it would end at the centre before."""
    contained: list[Contained] = []

    class Contains(Idle):
        def local(self) -> list[ContainedAt]:
            return [ContainedAt(one) for one in contained]

    made = agent.Agent(tmp_path, Contains(), "test")
    monkeypatch.setattr(made, "_heartbeat", lambda _: link_pb2.LinkUp(heartbeat=link_pb2.Heartbeat()))
    out: queue.Queue[link_pb2.LinkUp | None] = queue.Queue()
    receiver: Any = SimpleNamespace(held=SimpleNamespace(hello=lambda *_: link_pb2.LinkUp(), slice=None))
    said = made._messages(receiver, out)

    def told() -> list[float] | None:
        """The time that is left of what it says next; None: it says something else."""
        out.put(link_pb2.LinkUp())
        up = next(said).up
        return [one.seconds_left for one in up.local.contained] if up.WhichOneof("what") == "local" else None

    assert [told() for _ in range(2)] == [None, None]  # hello, heartbeat
    assert [told(), told()] == [[], None]  # of what it contained before, nothing is left
    contained.append(Contained("w1", State.QUARANTINED, 1.0, 60.0, "a test", "somebody"))
    assert [told(), told()] == [[60.0], None]
    contained[0] = replace(contained[0], left=50.0)
    assert [told(), told()] == [None, None]
    contained[0] = replace(contained[0], since=11.0, left=3600.0)
    assert [told(), told()] == [[3600.0], None]
    contained.clear()
    assert [told(), told()] == [[], None]
