# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A whole appliance, as a process of its own, to be measured from outside."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Self

from appliance.bench.machine import BenchError, opened
from appliance.rpc.client import Client
from appliance.run.appliance import kill_recorded


class Served:
    """``ringfield run``, which may be killed and started again; serves when its block begins and is gone with
    everything of it when the block ends.
    """

    def __init__(self, directory: Path, config: str, policy: str) -> None:
        """``directory``, made here, is its runtime directory and holds its files; ``config`` is all but its name."""
        directory.mkdir()
        self.directory = directory
        self._file, self._log = directory / "bench.yaml", directory / "run.log"
        self._file.write_text(f"runtime_dir: {directory}\n{config}")
        (directory / "policy.yaml").write_text(policy)
        self._process: subprocess.Popen[str] | None = None
        self._client: Client | None = None

    def start(self) -> None:
        """Returns when it serves; ``BenchError`` if it does not."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "appliance", "run", "-c", str(self._file)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        if not any(line.startswith("READY") for line in opened(self._process.stdout)):
            words = self._log.read_text().strip().splitlines()[-1:]
            raise BenchError(f"the appliance does not start: {' '.join(words)}")
        self._client = Client(f"unix:{self.directory / 'ringfield.sock'}")

    @property
    def client(self) -> Client:
        """Calls to it."""
        if self._client is None:
            raise BenchError("the appliance is not there")
        return self._client

    def kill(self) -> None:
        """kill -9 of the management plane; the fast path goes on."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def close(self) -> None:
        """Take everything down."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=20)
        self.kill()
        kill_recorded(self.directory)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
