# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Fixtures of all tests. The work is in tests/support."""

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support import netns as netns_support
from tests.support.accounts import check_open, watch
from tests.support.fastpath import Fastpath, running
from tests.support.log import log_to_stderr
from tests.support.netns import Netns, namespace
from tests.support.tree import BUILD

# The same examples each day, so that a change is judged by what it does; `./ringfield test --random` looks for others.
settings.register_profile("same", derandomize=True)
settings.register_profile("random")
settings.load_profile("random" if os.environ.get("RINGFIELD_RANDOM") else "same")


def pytest_sessionstart() -> None:
    log_to_stderr()
    # A shell starts background jobs with SIGINT ignored, which our children would inherit.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.geteuid() == 0:
        netns_support.sweep()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that make namespaces or taps need root, which the `root` marker says."""
    if os.geteuid() == 0:
        return
    for item in items:
        fixtures = getattr(item, "fixturenames", [])
        if item.get_closest_marker("root") or "netns" in fixtures:
            item.add_marker(pytest.mark.skip(reason="needs root: namespaces and taps"))


FAILED = pytest.StashKey[bool]()
TEST_SECONDS = 600  # of one test with its fixtures; soak tests take what they need


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that hangs, so that its fixtures still clean up."""

    def too_long(number: int, frame: object) -> None:
        raise TimeoutError(f"the test takes longer than {TEST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(0 if item.get_closest_marker("soak") else TEST_SECONDS)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know that their test failed."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session", autouse=True)
def _every_fast_path() -> Iterator[None]:
    with watch():
        yield


@pytest.fixture(scope="module", autouse=True)
def _conserved_by_module(_every_fast_path: None) -> Iterator[None]:
    # Before all other fixtures of the module, so that it looks after them.
    yield
    check_open()


@pytest.fixture(autouse=True)
def _conserved(_conserved_by_module: None) -> Iterator[None]:
    """After every test: each fast path that runs keeps the conservation law and has its packet buffers back."""
    yield
    check_open()


@pytest.fixture(scope="session")
def build_dir() -> Path:
    """The build under test."""
    return BUILD


@pytest.fixture
def netns() -> Iterator[Callable[[str], Netns]]:
    """Makes namespaces: `netns("web")`. All of them are gone after the test, also when it fails."""
    with ExitStack() as stack:

        def make(what: str = "ns") -> Netns:
            return stack.enter_context(namespace(what))

        yield make


@pytest.fixture
def fastpath(request: pytest.FixtureRequest) -> Iterator[Callable[..., Fastpath]]:
    """Starts fast paths: `fastpath({"p0": {"backend": "net_ring"}})`, see tests.support.fastpath.running.

    After the test: packets conserved, buffers back, exit status 0, nothing left. On failure counters and log are
    printed.
    """
    with ExitStack() as stack:
        started: list[Fastpath] = []

        def start(*args: Any, **kwargs: Any) -> Fastpath:
            started.append(stack.enter_context(running(*args, **kwargs)))
            return started[-1]

        yield start
        if FAILED in request.node.stash:
            for one in started:
                print(one.dump(), one.log_tail(), sep="\n")
