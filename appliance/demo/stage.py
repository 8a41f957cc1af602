# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What every demonstration stands on: a console, a list of checks with its judgement, and an end that cleans up."""

from __future__ import annotations

import importlib.resources
import shutil
import signal
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from appliance.cli import stats as stats_view
from appliance.cli.common import DEADLINE_SECONDS, err, out, table
from appliance.rpc.client import Client
from appliance.run.lab import NETNS
from appliance.run.lock import locked
from appliance.v1 import stats_pb2, stats_service_pb2

PREFIX: Final = "ringfield-demo-"
"""Of runtime directories, so that the next demonstration finds what a killed one left."""
SETTLE_SECONDS: Final = 3.0
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the judgement."""

    what: str
    expected: str
    measured: str
    good: bool
    note: str = ""


def snapshot(client: Client) -> stats_pb2.Stats:
    """What an appliance counts."""
    request = stats_service_pb2.GetStatsRequest(include_pipes=True)
    return client.stats.GetStats(request, timeout=DEADLINE_SECONDS).stats


def settled(client: Client) -> stats_pb2.Stats:
    """A snapshot in which no packet is on its way: every one that came in has an end."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        stats = snapshot(client)
        if not stats_view.conservation(stats) or time.monotonic() > end:
            return stats
        time.sleep(0.02)


def conserved(stats: stats_pb2.Stats, where: str = "") -> Check:
    """Whether every packet is accounted for."""
    missing = stats_view.conservation(stats)
    packets = sum(port.received.packets + port.injected.packets for port in stats.ports)
    return Check(
        f"every packet{where} is accounted for",
        "0 missing",
        f"{missing:+d} of {packets:,}" if missing else f"0 missing of {packets:,}",
        not missing,
    )


def drops_of(stats: stats_pb2.Stats, noise: Collection[str] = ()) -> dict[str, int]:
    """Drops by reason, all ports; but for some reasons."""
    found: dict[str, int] = {}
    for port in stats.ports:
        for drop in port.drops:
            if drop.reason not in noise:
                found[drop.reason] = found.get(drop.reason, 0) + drop.packets
    return found


class Stage:
    """A running appliance, a client, a console, and what has been judged so far."""

    def __init__(self, client: Client, console: Console) -> None:
        self.client = client
        self.console = console
        self.checks: list[Check] = []
        self.seconds: dict[str, float] = {}
        self.evidence: list[tuple[str, str, str]] = []
        """What, figure, where to find it."""

    def section(self, title: str) -> None:
        """A heading."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold"), align="left", style="dim"))

    @contextmanager
    def step(self, title: str, command: str = "") -> Iterator[None]:
        """A step of the walk; told with its time."""
        self.section(f"{title}   ({command})" if command else title)
        started = time.monotonic()
        yield
        self.seconds[title] = round(time.monotonic() - started, 2)
        self.console.print(f"[dim]{self.seconds[title]:.1f} s[/]")

    def check(self, what: str, expected: str, measured: str, good: bool, note: str = "") -> bool:
        """Judge one thing and say so at once."""
        self.checks.append(Check(what, expected, measured, good, note))
        mark = "[green]✔[/]" if good else "[bold red]✘[/]"
        told = Text(f"{what}: ")
        told.append(f"expected {expected}, measured ", style="dim").append(
            measured, "" if good else "bold red"
        )
        line = Table.grid(padding=(0, 1))
        line.add_row(mark, told)
        self.console.print(line)
        return good

    def note(self, what: str, figure: str, where: str = "") -> None:
        """Something for the table of evidence."""
        self.evidence.append((what, figure, where))

    def stats(self) -> stats_pb2.Stats:
        """A snapshot."""
        return snapshot(self.client)

    def settled(self) -> stats_pb2.Stats:
        """A snapshot in which no packet is on its way."""
        return settled(self.client)

    def check_conservation(self) -> stats_pb2.Stats:
        """Judge that every packet is accounted for; the snapshot that it was judged by."""
        stats = self.settled()
        self.checks.append(conserved(stats))
        return stats

    def summary(self, good: bool, seconds: float) -> dict[str, object]:
        """For programs."""
        return {
            "good": good,
            "seconds": round(seconds, 2),
            "steps": self.seconds,
            "checks": [asdict(check) for check in self.checks],
        }

    def judge(self, *, everything: bool = True) -> bool:
        """The table of expected against measured, or only what is not as expected; whether all is."""
        self.section("Judgement")
        wide = self.console.width >= 100
        made = table("", "what", "expected", "measured", *([""] if wide else []))
        shown = self.checks if everything else [check for check in self.checks if not check.good]
        for check in shown:
            mark = "[green]✔[/]" if check.good else "[bold red]✘[/]"
            style = "" if check.good else "bold red"
            cells: list[str | Text] = [mark, check.what, check.expected, Text(check.measured, style=style)]
            made.add_row(*cells, *([f"[dim]{check.note}[/]"] if wide else []))
        if shown:
            self.console.print(made)
            self.console.print()
        good = all(check.good for check in self.checks)
        number = len(self.checks)
        self.console.print(
            f"[bold green]All {number} as expected.[/]"
            if good
            else f"[bold red]{sum(not c.good for c in self.checks)} of {number} not as expected.[/]"
        )
        return good


def example(name: str) -> Path:
    """A file or folder of examples/: in the source tree, or installed with the package."""
    here = Path(__file__).resolve().parents[2] / "examples" / name
    if here.exists():
        return here
    with importlib.resources.as_file(importlib.resources.files("appliance.demo") / name) as path:
        return path


def invite(commands: Iterable[tuple[str, str]], **words: str) -> None:
    """Commands to try while it runs, and what each is for."""
    out.print("\nTry in another shell:")
    for command, what in commands:
        out.print(f"  [bold]{command.format(**words)}[/]", soft_wrap=True)
        out.print(f"      [dim]{what}[/]")
    out.print("It runs until Ctrl-C.")


def until_interrupted() -> None:
    """Stay."""
    try:
        signal.pause()
    except KeyboardInterrupt:
        err.print("cleaning up", style="dim")


class Interrupts:
    """SIGINT, SIGTERM, SIGHUP while something is shown: the first one ends it, as Ctrl-C does; more change nothing."""

    def __init__(self) -> None:
        self._came = False
        self._waits = 0

    def take(self, number: int, frame: FrameType | None) -> None:
        """A signal came."""
        if not self._came:
            self._came = True
            if not self._waits:
                raise KeyboardInterrupt

    @contextmanager
    def later(self) -> Iterator[None]:
        """What is made in the block is made to its end before an interrupt shows: nothing half-made is left behind."""
        self._waits += 1
        try:
            yield
        finally:
            self._waits -= 1
        if self._came:
            raise KeyboardInterrupt

    def over(self) -> None:
        """From now on none shows: everything is taken down, undisturbed."""
        self._came = True


@contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Signals end the block, so that everything is cleaned up; in the background of a shell, too."""
    interrupts = Interrupts()
    before = {number: signal.signal(number, interrupts.take) for number in ENDING}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def others(namespace: str) -> str:
    """Process id of another demonstration that uses a namespace at this moment; empty: none does."""
    if not (NETNS / namespace).exists():
        return ""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/appliance.lock"):
        if locked(lock):
            return lock.read_text().strip()
    return ""


@contextmanager
def runtime_directory() -> Iterator[Path]:
    """A directory for the appliance, removed at the end."""
    made = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
