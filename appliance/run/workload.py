# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Workloads of the laboratory, from the outside: one agent process in each namespace, told what to do over a pipe."""

from __future__ import annotations

import contextlib
import importlib.resources
import itertools
import json
import queue
import subprocess
import sys
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final

from appliance.errors import InitializationFailed

START_SECONDS: Final = 10.0


class Workload:
    """A process in a namespace that serves and connects. Calls may overlap; each returns a future."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._ready: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._resources = contextlib.ExitStack()
        agent = self._resources.enter_context(
            importlib.resources.as_file(importlib.resources.files("appliance.run") / "workload_agent.py")
        )
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-I", "-S", str(agent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C is for us, who then end it
        )
        self._reader = threading.Thread(target=self._read, name=f"workload {namespace}", daemon=True)
        self._reader.start()
        try:
            if not self._ready.get(timeout=START_SECONDS):
                raise InitializationFailed(f"the workload in {namespace} ended at once")
        except queue.Empty:
            self.close()
            raise InitializationFailed(f"the workload in {namespace} does not start") from None

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101
        for line in self._process.stdout:
            reply = json.loads(line)
            number = reply.pop("id")
            if number == 0:
                self._ready.put(True)
                continue
            with self._lock:
                future = self._waiting.pop(number)
            future.set_result(reply)
        self._ready.put(False)
        with self._lock:
            lost, self._waiting = self._waiting, {}
        for future in lost.values():
            future.set_result({"ok": False, "why": "the workload ended"})

    def call(self, operation: str, **arguments: object) -> Future[dict[str, Any]]:
        """Start an operation of the agent."""
        number = next(self._numbers)
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            self._waiting[number] = future
            assert self._process.stdin is not None  # noqa: S101
            self._process.stdin.write(json.dumps({"id": number, "op": operation, **arguments}) + "\n")
            self._process.stdin.flush()
        return future

    def do(self, operation: str, **arguments: object) -> dict[str, Any]:
        """An operation, to its end."""
        return self.call(operation, **arguments).result(timeout=60)

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(2)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._resources.close()

    def __enter__(self) -> Workload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
