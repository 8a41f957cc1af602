# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What every test with a fast path ends with: packets conserved, packet buffers back, each drop with a reason.

`Account` reads a fast path's counters from its stats segment with the tests' own client. `watch()` opens one for every
fast path that the appliance or `Dpu.launch` starts in this process, and `check_open()` looks at those that run.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from appliance.flow import FastpathProcess
from tests.support.waiting import wait_for
from tests.support.wire import Wire, ffi

REST_SECONDS = 30.0
STEERING = "steering.sock"


def port_names(client: Wire) -> list[str]:
    """Ports by index, as the fast path lists them now; "" for an index without one."""
    infos = client.ports()
    names = [""] * (1 + max((info.index for info in infos), default=-1))
    for info in infos:
        names[info.index] = ffi.string(info.name).decode()
    return names


class Account:
    """The counters of a fast path since it started; packet buffers are compared with the moment this was made."""

    def __init__(self, socket: Path) -> None:
        """Map the counters; raises OSError when nobody answers."""
        self.socket = socket
        with self._reader() as client:
            self._names_at_start = port_names(client)
            self.stats = client.stats()
        self.mbufs_at_start = int(self.stats.header.mbufs_free)

    def _reader(self) -> Wire:
        client = Wire(self.socket)
        try:
            client.hello()
        except BaseException:
            client.close()
            raise
        return client

    def close(self) -> None:
        """Unmap the counters."""
        self.stats.close()

    def port_names(self) -> list[str]:
        """See `port_names`."""
        with self._reader() as client:
            return port_names(client)

    def counters(self) -> dict[str, dict[str, int]]:
        """Packet counters by port name."""
        names = self.port_names()
        return {name: sums for name, sums in zip(names, self.stats.ports(len(names)), strict=True) if name}

    def imbalance(self) -> int:
        """What the conservation law misses, in packets; 0 when it holds."""
        workers = self.stats.workers()
        total: dict[str, int] = {}
        for port in self.stats.ports(_port_max()):
            for name, packets in port.items():
                total[name] = total.get(name, 0) + packets
        made = total["received"] + total["injected"] + sum(w.generated + w.copies for w in workers)
        # What a client transmits enters and leaves in one counter pair.
        gone = total["sent"] - total["transmitted"] + total["software"] + total["dropped"]
        return int(made - gone - sum(w.held for w in workers))

    def check(self, seconds: float = REST_SECONDS) -> None:
        """The law holds and all buffers are back, at the latest when packets in flight landed."""
        _wait(
            "conservation",
            lambda: self.imbalance() == 0,
            seconds,
            lambda: f"packets not conserved: {self.imbalance():+d} unaccounted\n{self.dump()}",
        )
        if self.port_names() == self._names_at_start:  # a tap that came or went holds buffers of its own
            # There may be more than at the start: a first packet was under way then, or a namespace took its tap along.
            _wait(
                "buffers",
                lambda: self.missing_buffers() <= 0,
                seconds,
                lambda: f"{self.missing_buffers()} packet buffers did not come back\n{self.dump()}",
            )
        for port in self.stats.ports(_port_max()):
            reasons = sum(count for name, count in port.items() if name.startswith("drops."))
            assert reasons == port["dropped"], f"a drop without a reason\n{self.dump()}"

    def missing_buffers(self) -> int:
        """Packet buffers that are not back; fragments that wait for their first one have theirs."""
        waiting = sum(worker.held for worker in self.stats.workers())
        return int(self.mbufs_at_start - self.stats.header.mbufs_free - waiting)

    def dump(self) -> str:
        """Counters that are not zero, for a person who looks for what went wrong."""
        try:
            ports = self.counters()
        except OSError as error:
            return f"no counters: {error}"
        lines = [
            f"{name}: " + " ".join(f"{key}={count}" for key, count in sums.items() if count)
            for name, sums in ports.items()
        ]
        lines += [f"copies={w.copies} generated={w.generated} held={w.held}" for w in self.stats.workers()]
        return "\n".join(lines)


def _wait(what: str, condition: Callable[[], bool], seconds: float, failure: Callable[[], str]) -> None:
    try:
        wait_for(what, condition, seconds)
    except TimeoutError:
        raise AssertionError(failure()) from None


def _port_max() -> int:
    return int(ffi.typeof("struct stats_worker").fields[-1][1].type.length)


@contextmanager
def audited(directory: Path) -> Iterator[Account]:
    """A fast path that is served from a directory by another process: its account for the length of a block."""
    account = Account(directory / STEERING)
    try:
        yield account
        account.check()
    finally:
        account.close()


_open: dict[FastpathProcess, Account] = {}
_failures: list[str] = []


def check_open() -> None:
    """All fast paths that run in this process's care keep the law, and so did those that ended since the last look."""
    failures = [*_failures]
    _failures.clear()
    for process, account in list(_open.items()):
        if process.alive:
            with _noted(failures):
                account.check()
    assert not failures, "\n".join(failures)


@contextmanager
def _noted(failures: list[str]) -> Iterator[None]:
    try:
        yield
    except AssertionError as error:
        failures.append(str(error))
    except OSError:
        pass  # it went meanwhile, as tests have it


@contextmanager
def watch() -> Iterator[None]:
    """Inside the block every `FastpathProcess` has an account, which is looked at before it is ended in order."""
    begin, end = FastpathProcess._wait_ready, FastpathProcess.stop

    def wait_ready(process: FastpathProcess) -> None:
        begin(process)
        with suppress(OSError):
            _open[process] = Account(process.runtime_dir / STEERING)

    def stop(process: FastpathProcess, *, kill: bool = False) -> int | None:
        account = _open.pop(process, None)
        if account is not None:
            if process.alive and not kill:
                with _noted(_failures):
                    account.check()
            account.close()
        return end(process, kill=kill)

    FastpathProcess._wait_ready = wait_ready  # type: ignore[method-assign,assignment]
    FastpathProcess.stop = stop  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        FastpathProcess._wait_ready = begin  # type: ignore[method-assign]
        FastpathProcess.stop = end  # type: ignore[method-assign]
