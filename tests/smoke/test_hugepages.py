# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The fast path with hugepages, and what it says and does without them."""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.flow import Dpu
from tests.support.fastpath import Fastpath, refused

START = Callable[..., Fastpath]
RINGS = {"p0": {"backend": "net_ring"}, "p1": {"backend": "net_ring"}}
PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
NEEDED = 64  # of 2 MiB
SMALL = {"mbufs": 2048}
NOTICE = "no hugepages"


def pages(what: str) -> int:
    return int((PAGES / f"{what}_hugepages").read_text())


def free() -> int:
    """Pages that nobody has and nobody was promised."""
    return pages("free") - pages("resv")


@pytest.fixture
def reserved() -> Iterator[None]:
    """Pages enough for a fast path; given back at the end."""
    if not PAGES.exists():
        pytest.skip("this kernel has no hugepages of 2 MiB")
    if "ASAN_OPTIONS" in os.environ:
        pytest.skip("hugepages are looked at in the ordinary build")
    with (Path(tempfile.gettempdir()) / "ringfield-hugepages-test.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        missing = max(0, NEEDED - free())
        try:
            (PAGES / "nr_hugepages").write_text(str(pages("nr") + missing))
            if free() < NEEDED:
                pytest.skip("no memory in one piece for hugepages here")
            yield
        finally:
            # Ours alone: another process may have given back its own meanwhile.
            (PAGES / "nr_hugepages").write_text(str(max(0, pages("nr") - missing)))


def in_hugepages(running: Fastpath) -> int:
    """Kilobytes of the process in hugepages."""
    found = re.search(r"HugetlbPages:\s+(\d+) kB", Path(f"/proc/{running.pid}/status").read_text())
    assert found is not None
    return int(found[1])


def carry(running: Fastpath) -> None:
    """Packets go through it."""
    with Dpu.attach(running.directory) as dpu:
        dpu.receive()
        dpu.transmit("p0", [bytes(60)] * 10)
        got: list[object] = []
        while len(got) < 10:
            more = dpu.packets(timeout=30.0)
            assert more, f"{len(got)} of 10 packets came"
            got += more


@pytest.mark.root
@pytest.mark.parametrize("huge", ["yes", "auto"])
def test_hugepages_are_used_and_given_back(fastpath: START, reserved: None, huge: str) -> None:
    before = free()
    running = fastpath(RINGS, {"huge": huge, **SMALL})
    assert in_hugepages(running) > 0
    assert NOTICE not in running.log_tail()
    carry(running)
    running.finish()
    assert free() == before


@pytest.mark.root
def test_pages_that_are_promised_to_others_are_not_counted_on(
    fastpath: START, reserved: None, tmp_path: Path
) -> None:
    flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | 0x40000  # MAP_HUGETLB
    with mmap.mmap(-1, free() * 2 << 20, flags=flags):
        assert pages("free") >= NEEDED
        running = fastpath(RINGS, {"huge": "auto", **SMALL})
        assert NOTICE in running.log_tail()
        assert in_hugepages(running) == 0
        carry(running)
        assert "hugepages are wanted and 0 MiB are free" in refused(tmp_path, "huge = yes\nmbufs = 2048\n")


def test_without_hugepages_it_says_so_and_serves(fastpath: START) -> None:
    if PAGES.exists() and free():
        pytest.skip("this machine has free hugepages")
    running = fastpath(RINGS, {"huge": "auto", **SMALL})
    assert NOTICE in running.log_tail()
    assert "costs speed" in running.log_tail()
    carry(running)
