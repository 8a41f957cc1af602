# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the commands of `ringfield central` share: where the centre is, and as whom one speaks to it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import grpc

from appliance.cli.common import failures
from appliance.rpc.errors import call_error
from appliance.run.config import default_runtime_dir


def place() -> str:
    """The centre that this run of the command is about: HOST:PORT, or ``unix:PATH``."""
    where = click.get_current_context().find_root().meta.get("central", "")
    address = where or os.environ.get("RINGFIELD_CENTRAL") or f"unix:{default_runtime_dir() / 'central.sock'}"
    return f"unix:{address}" if address.startswith("/") else address


def token_given() -> str:
    """The operator's token."""
    token = os.environ.get("RINGFIELD_CENTRAL_TOKEN", "")
    if not token:
        raise click.ClickException(f"{place()}: give a token (RINGFIELD_CENTRAL_TOKEN)")
    return token


def channel() -> grpc.Channel:
    """To the centre, as whom the environment says."""
    address = place()
    if address.startswith("unix:"):
        return grpc.insecure_channel(address)
    from appliance.intelligence import enrol

    with failures():
        certificate = os.environ.get("RINGFIELD_CENTRAL_CERTIFICATE", "")
        if certificate:
            return grpc.secure_channel(address, enrol.credentials(Path(certificate)), enrol.OPTIONS)
        return enrol.token_channel(token_given(), address)


@contextlib.contextmanager
def stub(service: str, package: str = "appliance.intelligence.v1") -> Iterator[Any]:
    """A service of the centre; refusals become messages."""
    word = service.removesuffix("Service").lower()
    module = import_module(f"{package}.{word}_service_pb2_grpc")
    with channel() as made:
        try:
            yield getattr(module, f"{service}Stub")(made)
        except grpc.RpcError as error:
            raise call_error(error) from None


def when(seconds: float) -> str:
    """A time for people."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")
