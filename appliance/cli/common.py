# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What all commands share: where the appliance is, how answers are shown, how failures end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem
from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from appliance.errors import FlowError
from appliance.rpc.client import Client, Tls, calls
from appliance.rpc.errors import CallError
from appliance.run.config import default_runtime_dir
from appliance.telemetry.text import octets

F = TypeVar("F", bound=Callable[..., Any])
DEADLINE_SECONDS: Final = 10.0

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@dataclass(slots=True)
class Context:
    """Options before the command's name."""

    target: str
    tls: Tls | None
    insecure: bool
    json: bool
    timeout: float

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client for the length of a block; failures of calls become messages."""
        with calls(self.target), Client(self.target, tls=self.tls, insecure=self.insecure) as client:
            yield client

    def show(self, message: Message, table: Callable[[], object]) -> None:
        """The message as JSON, or what ``table`` makes of it for people."""
        if self.json:
            print_json(as_dict(message))
        else:
            out.print(table())


pass_context = click.make_pass_decorator(Context)


def default_target() -> str:
    """``$RINGFIELD_TARGET``, else the unix socket in the default runtime directory."""
    return os.environ.get("RINGFIELD_TARGET") or f"unix:{default_runtime_dir() / 'ringfield.sock'}"


def make_context(
    target: str | None,
    ca: str | None,
    certificate: str | None,
    key: str | None,
    insecure: bool,
    as_json: bool,
    timeout: float,
) -> Context:
    """The context of a run of the command."""
    tls = (
        Tls(Path(ca), Path(certificate) if certificate else None, Path(key) if key else None) if ca else None
    )
    where = target or default_target()
    if where.startswith("/"):
        where = f"unix:{where}"
    return Context(where, tls, insecure, as_json, timeout)


def as_dict(message: Message) -> dict[str, Any]:
    """A message as JSON's types, field names as in the protos, zeros included."""
    found: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found


def print_json(value: object) -> None:
    """JSON for programs, on standard output, without colours."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def table(*columns: str, title: str | None = None, right: Sequence[str] = ()) -> Table:
    """An empty table in the style of all tables."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold cyan",
        box=None,
        pad_edge=False,
    )
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def number(value: int) -> str:
    """12,345."""
    return f"{value:,}"


def amount(packets: int, size: int) -> str:
    """Packets and bytes of a counter."""
    return f"{packets:,} ({octets(size)})" if packets else "-"


@contextmanager
def failures() -> Iterator[None]:
    """Refusals and lost connections end the command with one sentence and status 1."""
    try:
        yield
    except (FlowError, CallError) as error:
        raise click.ClickException(error.reason) from None
    except BrokenPipeError:
        # The reader of our output went away, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


def names_from(
    list_names: Callable[[Client, float], Sequence[str]],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Shell completion by asking the appliance; silent when there is none."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        target = context.find_root().params.get("target") or default_target()
        try:
            with Client(target if ":" in target else f"unix:{target}") as client:
                return [CompletionItem(n) for n in list_names(client, 1.0) if n.startswith(incomplete)]
        except Exception:
            return []

    return complete


def _port_names(client: Client, timeout: float) -> list[str]:
    from appliance.v1 import port_service_pb2

    response = client.ports.ListPorts(port_service_pb2.ListPortsRequest(), timeout=timeout)
    return [port.name for port in response.ports]


def _pipe_names(client: Client, timeout: float) -> list[str]:
    from appliance.v1 import pipe_service_pb2

    response = client.pipes.ListPipes(pipe_service_pb2.ListPipesRequest(), timeout=timeout)
    return [pipe.name for pipe in response.pipes]


complete_port = names_from(_port_names)
complete_pipe = names_from(_pipe_names)


def fields_option(pairs: Sequence[str]) -> Mapping[str, str]:
    """``name=value`` words as a mapping."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not value:
            raise click.BadParameter(f"{pair!r} is not FIELD=VALUE")
        found[name.strip()] = value.strip()
    return found
