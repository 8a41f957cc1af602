# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield demo`: an AI factory on one appliance; visibility, policy, enforcement, containment, each measured.

The set-up is examples/factory. Everything shown comes over gRPC, as any client would get it; what is measured comes
from real connections between namespaces.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.panel import Panel

from appliance.cli.common import DEADLINE_SECONDS, err, out, print_json
from appliance.demo import containment, enforcement, evidence, policy, visibility
from appliance.demo.factory_data import HOSTS, REACHES, VICTIM, Service
from appliance.demo.factory_lab import Factory
from appliance.demo.stage import (
    PREFIX,
    Interrupts,
    Stage,
    drops_of,
    example,
    interruptible,
    invite,
    others,
    runtime_directory,
    until_interrupted,
)
from appliance.rpc.client import Client, calls
from appliance.run.config import RunConfig, read_config
from appliance.v1 import observer_pb2, observer_service_pb2

RECORD_SECONDS: Final = 5.0
"""How long a record may take on a busy machine; first ones leave the fast path within 0.2 s."""

PICTURE: Final = """\
[cyan]10.80.1.0/24  fd52:80:1::/64[/]                [cyan]10.80.2.0/24  fd52:80:2::/64[/]

[b]portal[/]     443  the door     ─┐             ┌─ [b]context[/]    6379  KV cache
[b]agent[/]     9000  plans, calls ─┤             ├─ [b]embeddings[/] 6333
[b]tool[/]      7000               ─┼─ [b]Ringfield[/] ─┼─ [b]dataset[/]    2049
[b]inference[/] 8000  the model    ─┤             ├─ [b]prep[/]       9090
[b]soc[/]         22  watches      ─┘             └─ [b]training[/]   8470

Ten namespaces, real TCP and UDP over IPv4 and IPv6. Each packet between
them passes the appliance."""


TRY: Final = (
    ("{ringfield} status", "one screen: what is in force, what is wrong"),
    ("{ringfield} observe --follow", "records as they come"),
    ("{ringfield} can portal agent tcp/9000", "one question, answered with its rule"),
    ("{ringfield} release agent --reason 'tried it'", "end the quarantine"),
    ("ip netns exec ai-prep bash -c ': </dev/tcp/10.80.2.30/2049' && echo open", "a connection of your own"),
)


class FactoryDemo(Stage):
    """The walk: what steps need, and what they leave for the end."""

    def __init__(
        self, client: Client, console: Console, factory: Factory, expected: dict[tuple[str, str], set[str]]
    ) -> None:
        super().__init__(client, console)
        self.factory = factory
        self.expected = expected
        """Who is meant to reach whom."""
        self.matrix: list[dict[str, object]] = []

    # -- what the appliance says

    def drops(self) -> dict[str, int]:
        """Drops by reason, all ports."""
        return drops_of(self.settled())

    def flows(self, filter_text: str) -> list[observer_pb2.Flow]:
        """Flow records that a filter takes, oldest first."""
        found: list[observer_pb2.Flow] = []
        request = observer_service_pb2.ListFlowsRequest(filter=filter_text, page_size=10000)
        while True:
            page = self.client.observer.ListFlows(request, timeout=DEADLINE_SECONDS)
            found += page.flows
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def wait_for_flows(self, filter_text: str, enough: Any) -> list[observer_pb2.Flow]:
        """Records that a filter takes, as soon as ``enough(records)``, else what is there in the end."""
        end = time.monotonic() + RECORD_SECONDS
        while True:
            found = self.flows(filter_text)
            if enough(found) or time.monotonic() > end:
                return found
            time.sleep(0.1)


def expectations(more: Iterable[str]) -> dict[tuple[str, str], set[str]]:
    """``REACHES`` and what an option adds: ``agent>dataset=tcp/2049``."""
    expected = {pair: set(services) for pair, services in REACHES.items()}
    for text in more:
        pair, _, service = text.partition("=")
        source, _, target = pair.partition(">")
        if source not in HOSTS or target not in HOSTS:
            raise click.BadParameter(
                f"{text!r} is not SOURCE>TARGET=SERVICE with names of {', '.join(HOSTS)}"
            )
        expected.setdefault((source, target), set()).add(str(Service.parse(service)))
    return expected


def observing(config: RunConfig, file: Path) -> RunConfig:
    """The configuration with another policy to begin with: that of a roll-out, under which everything passes."""
    if config.segmentation is None:
        raise click.ClickException(f"{config.file} has no segmentation")
    changed = dataclasses.replace(config.segmentation, policy=file, policy_text=file.read_text())
    return dataclasses.replace(config, segmentation=changed)


def run(*, quiet: bool, keep: bool, as_json: bool, more: Iterable[str] = ()) -> bool:
    """Walk through it; whether everything was as expected."""
    console = Console(quiet=quiet or as_json, highlight=False)
    if os.geteuid() != 0:
        raise click.ClickException(
            "namespaces and taps need root: sudo ./ringfield demo; without root: ./ringfield demo --rootless"
        )
    expected = expectations(more)
    if pid := others(HOSTS[VICTIM].namespace):
        raise click.ClickException(
            f"a demonstration runs already (pid {pid}): end it first, or try with its factory"
        )
    with ExitStack() as stack:
        interrupts = stack.enter_context(interruptible())
        directory = stack.enter_context(runtime_directory())
        files = example("factory")
        config = observing(read_config(files / "factory.yaml", runtime_dir=directory), files / "observe.yaml")
        try:
            return _run(config, console, stack, interrupts, expected, quiet=quiet, keep=keep, as_json=as_json)
        except KeyboardInterrupt:
            err.print("interrupted: cleaning up", style="dim")
            return False
        finally:
            interrupts.over()


def _run(
    config: RunConfig,
    console: Console,
    stack: ExitStack,
    interrupts: Interrupts,
    expected: dict[tuple[str, str], set[str]],
    *,
    quiet: bool,
    keep: bool,
    as_json: bool,
) -> bool:
    from appliance.cli.run import set_up_logging
    from appliance.run.appliance import Appliance, sweep

    set_up_logging("text", level="error")
    console.print(
        Panel(PICTURE, title="Ringfield: an AI factory on one appliance", border_style="cyan", expand=False)
    )
    if sweep(f"{PREFIX}*", [space.name for space in config.namespaces]):
        console.print("took down what a killed demonstration had left", style="dim")
    started = time.monotonic()
    with console.status("starting the fast path and ten workloads"):
        with interrupts.later():
            appliance = stack.enter_context(Appliance(config))
            factory = stack.enter_context(Factory())
        factory.wait_for_addresses()
    console.print(
        f"fast path (pid {appliance.fastpath_pid}), {len(config.ports)} ports and {len(HOSTS)} workloads"
        f" after {time.monotonic() - started:.1f} s"
    )
    target = f"unix:{config.grpc.unix}"
    with calls(target), Client(target) as client:
        demo = FactoryDemo(client, console, factory, expected)
        visibility.walk(demo)
        policy.walk(demo, example("factory") / "policy.yaml")
        enforcement.walk(demo)
        containment.walk(demo)
        if quiet and not as_json:
            demo.console = out
        good = evidence.walk(demo, everything=quiet)
        if as_json:
            print_json(summary(demo, good, time.monotonic() - started))
        if keep:
            invite(TRY, ringfield=f"./ringfield -t {config.grpc.unix}")
            until_interrupted()
        return good


def summary(demo: FactoryDemo, good: bool, seconds: float) -> dict[str, object]:
    """For programs."""
    return demo.summary(good, seconds) | {
        "matrix": demo.matrix,
        "evidence": [
            {"what": what, "figure": figure, "where": where} for what, figure, where in demo.evidence
        ],
    }
