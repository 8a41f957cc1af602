# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a centre does by itself: ends of containment, the audit log's head, a look whether it can still write.

A centre that cannot write goes on serving what is published: its appliances enforce, connect and are told. It takes no
change, says so by an alarm and by its health, and takes changes again as soon as there is room.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from appliance.errors import FlowError
from appliance.intelligence.centre import Centre
from appliance.intelligence.fleet import Book

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0
PROBE_SECONDS: Final = 30.0
"""How often it tries to write when nothing is wrong."""


class Upkeep:
    """See the module. ``run`` is a task of the event loop."""

    def __init__(
        self,
        centre: Centre,
        book: Book,
        core: Callable[[Callable[[], str]], Awaitable[str]],
        told: Callable[[bool], Awaitable[None]],
        settle: Callable[[], None],
    ) -> None:
        """``core`` runs something in the one thread for it; ``told`` whether changes are taken; ``settle`` writes down
        what the doors have counted.
        """
        self._centre, self._book, self._core, self._told = centre, book, core, told
        self._settle = settle
        self._probe_at = 0.0
        self.fault = ""
        """Why nothing can be written; empty: it can."""

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self._settle()
                await self._look(await self._core(self._keep))
            except Exception:
                log.exception("the upkeep stumbled")

    def _keep(self) -> str:
        """What is due; why nothing can be written. In the core's thread."""
        failed, self._centre.failed = self._centre.failed, ""
        try:
            self._book.settle()
            self._centre.tick()
            if failed or self.fault or time.monotonic() >= self._probe_at:
                self._probe_at = time.monotonic() + PROBE_SECONDS
                self._centre.probe()
        except FlowError as error:
            failed = error.reason
        return failed

    async def _look(self, failed: str) -> None:
        before, self.fault = self.fault, failed
        if bool(before) == bool(failed):
            return
        self._book.alarm(
            "disk",
            "",
            f"no change is taken: {failed}" if failed else "changes are taken again: there is room",
        )
        await self._told(not failed)
