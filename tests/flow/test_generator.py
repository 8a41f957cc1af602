# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Generator ports: what they make is counted as on any port, nothing starts before there is a pipeline."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from appliance.flow import Dpu
from appliance.flow.types import CHANGEABLE, FwdChangeable, FwdDrop, FwdPort, Match, ParserMeta, PipeSpec
from tests.support.fastpath import Fastpath, refused, wait_for

START = Callable[..., Fastpath]
NEW = 50_000


def generators(**args: str) -> dict[str, Mapping[str, object]]:
    """Generators on one switch, an uplink and its representors."""
    place = {"backend": "gen", "pci": "0000:03:00.0"}
    return {
        name: {**place, "args": text, **({} if name == "p0" else {"representor": name})}
        for name, text in args.items()
    }


def wire(dpu: Dpu) -> None:
    """What comes in by one port leaves by the other, from the first packet on."""
    port = dpu.port_start("p0", 0)
    dpu.port_start("pf0vf0", 1)
    with dpu.transaction():
        pipe = port.pipe_create(
            PipeSpec(
                name="wire",
                is_root=True,
                nr_entries=2,
                match=Match(parser_meta=ParserMeta(port_id=CHANGEABLE)),
                fwd=FwdChangeable(),
                fwd_miss=FwdDrop(),
            )
        )
        for here, there in ((0, 1), (1, 0)):
            pipe.add(match=Match(parser_meta=ParserMeta(port_id=here)), fwd=FwdPort(there))


@pytest.mark.parametrize("options", [{}, {"workers": 3}, {"one_core": "yes"}])
def test_new_connections_and_their_answers_are_counted(fastpath: START, options: dict[str, object]) -> None:
    running = fastpath(generators(p0=f"new={NEW}", pf0vf0="reply=p0"), options)
    with Dpu.attach(running.directory, session="test", mode="switch") as dpu:
        assert running.counters()["p0"]["received"] == 0, "quiet without a pipeline"
        wire(dpu)
        wait_for("all packets", lambda: running.counters()["pf0vf0"]["received"] >= NEW, 30.0)
        wait_for("the last ones to leave", lambda: running.counters()["p0"]["sent"] >= NEW)
        counters = running.counters()
        assert {name: (one["received"], one["sent"]) for name, one in counters.items()} == {
            "p0": (NEW, NEW),
            "pf0vf0": (NEW, NEW),
        }
        running.check_conserved()


def test_a_rate_is_kept_and_a_port_taken_away(fastpath: START) -> None:
    running = fastpath(generators(p0="flows=100,rate=20000", pf0vf0="rate=20000"))
    with Dpu.attach(running.directory, session="test", mode="switch") as dpu:
        wire(dpu)
        wait_for("packets", lambda: running.counters()["pf0vf0"]["received"] > 2000)
        assert running.counters()["p0"]["sent"] > 0
    wait_for("both to be quiet", lambda: running.imbalance() == 0)  # nobody's ports have no pipeline
    before = running.counters()
    with Dpu.attach(running.directory, session="test", mode="switch") as dpu:
        dpu.port_remove("pf0vf0")
    assert running.counters()["p0"]["received"] == before["p0"]["received"]
    running.check_conserved()


def test_the_worker_tells_where_its_time_goes(fastpath: START) -> None:
    running = fastpath(generators(p0="flows=1000,size=imix", pf0vf0="reply=p0"))
    with Dpu.attach(running.directory, session="test", mode="switch") as dpu:
        assert not any(dpu.stages().cycles.values()), "nothing without packets"
        wire(dpu)
        wait_for("turns that were watched", lambda: dpu.stages().turns > 20)
        found, busy = dpu.stages(), dpu.stats().cycles_busy
    assert list(found.cycles) == ["receive", "parse", "cache", "ct", "pipes", "actions", "send"]
    assert found.packets >= found.turns
    assert all(found.cycles[name] > 0 for name in ("receive", "parse", "pipes", "actions", "send"))
    assert sum(found.cycles.values()) < busy, "a sample"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"p0": "flows=5000000"}, "port p0: gen: flows must be a number from 1 to 4194304"),
        ({"p0": "reply=pf0vf0", "pf0vf0": ""}, 'port p0: there is no gen port "pf0vf0" yet to reply to'),
        (
            {"p0": "", "pf0vf0": "reply=p0", "p2": "reply=pf0vf0"},
            "only what opens UDP connections can be replied to",
        ),
        ({"p0": "kind=syn", "pf0vf0": "reply=p0"}, "only what opens UDP connections can be replied to"),
    ],
)
def test_wrong_arguments_are_refused_whole(tmp_path: Path, args: dict[str, str], words: str) -> None:
    text = "huge = no\n" + "".join(
        f"[port {name}]\nbackend = gen\nargs = {one}\n" for name, one in args.items()
    )
    assert words in refused(tmp_path, text)
