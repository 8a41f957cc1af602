# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield pipe ...`"""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.table import Table

from appliance.cli.common import Context, complete_pipe, number, out, pass_context, table
from appliance.rpc.client import Client
from appliance.rpc.convert import flow as convert
from appliance.rpc.convert.base import PortNames
from appliance.rpc.show import fwd_text, match_text, type_name
from appliance.run.document import Node, parse_document, read_document
from appliance.run.pipeline import Names, read_fwd, read_pipe
from appliance.v1 import (
    entry_pb2,
    entry_service_pb2,
    pipe_pb2,
    pipe_service_pb2,
    port_service_pb2,
)

FORMATS = {
    "text": pipe_pb2.PIPELINE_FORMAT_TEXT,
    "json": pipe_pb2.PIPELINE_FORMAT_JSON,
    "mermaid": pipe_pb2.PIPELINE_FORMAT_MERMAID,
}


def port_ids(client: Client, timeout: float) -> dict[str, int]:
    """Logical ids of the started ports by name."""
    response = client.ports.ListPorts(port_service_pb2.ListPortsRequest(), timeout=timeout)
    return {port.name: port.port_id for port in response.ports if port.started}


def document(source: str) -> Node:
    """A YAML document: a file, or ``-`` for standard input."""
    return parse_document(sys.stdin.read(), "stdin") if source == "-" else read_document(Path(source))


def pipes_table(pipes: list[pipe_pb2.Pipe]) -> Table:
    """Pipes, one a line."""
    made = table("pipe", "type", "port", "entries", "match", "fwd", "miss", right=["entries"])
    for pipe in pipes:
        name = f"[bold]{pipe.name}[/]" + (" [yellow]root[/]" if pipe.is_root else "")
        domain = "/egress" if pipe.domain == pipe_pb2.PIPE_DOMAIN_EGRESS else ""
        mask = pipe.match_mask if pipe.HasField("match_mask") else None
        made.add_row(
            name,
            type_name(pipe) + domain,
            pipe.port,
            f"{number(pipe.used_entries)}/{number(pipe.nr_entries or 8192)}",
            match_text(pipe.match, mask),
            fwd_text(pipe.fwd),
            fwd_text(pipe.fwd_miss) or "default",
        )
    return made


@click.group()
def pipe() -> None:
    """Pipes: list, show, create, change, destroy."""


@pipe.command("list")
@click.option("--port", default="", help="Only pipes of this port.")
@pass_context
def list_pipes(context: Context, port: str) -> None:
    """All pipes, one a line."""
    with context.client() as client:
        response = client.pipes.ListPipes(
            pipe_service_pb2.ListPipesRequest(port=port), timeout=context.timeout
        )
    context.show(response, lambda: pipes_table(list(response.pipes)))


@pipe.command("show")
@click.argument("names", nargs=-1, shell_complete=complete_pipe)
@click.option("--format", "how", type=click.Choice(list(FORMATS)), default="text", show_default=True)
@click.option(
    "--entries",
    type=click.IntRange(0, 100_000),
    default=16,
    show_default=True,
    help="Entries shown per pipe.",
)
@pass_context
def show_pipes(context: Context, names: tuple[str, ...], how: str, entries: int) -> None:
    """A pipeline as text, JSON or Mermaid; all pipes, or those named."""
    request = pipe_service_pb2.ShowPipelineRequest(
        names=names, format=FORMATS["json" if context.json else how], max_entries=entries
    )
    with context.client() as client:
        sys.stdout.write(client.pipes.ShowPipeline(request, timeout=context.timeout).text.rstrip("\n") + "\n")


@pipe.command("create")
@click.argument("file")
@pass_context
def create_pipe(context: Context, file: str) -> None:
    """Create the pipes of a YAML FILE ('-': standard input), with their entries.

    One pipe, or a list of them, written as under 'pipes:' in the configuration file.
    """
    root = document(file)
    given = root.get("pipes") if root.is_mapping else None
    nodes = list((given or root).items())
    with context.client() as client:
        ids = port_ids(client, context.timeout)
        names = PortNames({number: name for name, number in ids.items()})
        pipes = [read_pipe(node, Names(ids)) for node in nodes]
        created = []
        for item in pipes:
            message = convert.pipe_to(item.spec, item.port, names)
            request = pipe_service_pb2.CreatePipeRequest(pipe=message)
            created.append(client.pipes.CreatePipe(request, timeout=context.timeout).pipe)
            for entry in item.entries:
                add_entry(client, convert.entry_to(entry, 0, item.spec.name, names), context.timeout)
            created[-1].used_entries = len(item.entries)
    response = pipe_service_pb2.ListPipesResponse(pipes=created)
    context.show(response, lambda: pipes_table(created))


def add_entry(client: Client, message: entry_pb2.Entry, timeout: float) -> int:
    """Add one entry; its number."""
    request = entry_service_pb2.AddEntryRequest(entry=message)
    return int(client.entries.AddEntry(request, timeout=timeout).id)


@pipe.command("destroy")
@click.argument("name", shell_complete=complete_pipe)
@pass_context
def destroy_pipe(context: Context, name: str) -> None:
    """Destroy a pipe and its entries."""
    with context.client() as client:
        client.pipes.DestroyPipe(pipe_service_pb2.DestroyPipeRequest(name=name), timeout=context.timeout)
    if not context.json:
        out.print(f"pipe {name} is gone")


@pipe.command("miss")
@click.argument("name", shell_complete=complete_pipe)
@click.argument("fwd")
@pass_context
def update_miss(context: Context, name: str, fwd: str) -> None:
    """Change where the packets go that no entry of pipe NAME matches.

    FWD is written as in the configuration file: drop, kernel, or '{pipe: other}'.
    """
    with context.client() as client:
        ids = port_ids(client, context.timeout)
        wanted = read_fwd(parse_document(fwd, "FWD"), Names(ids))
        message = convert.fwd_to(wanted, PortNames({number: port for port, number in ids.items()}))
        request = pipe_service_pb2.UpdatePipeMissRequest(name=name, fwd_miss=message)
        client.pipes.UpdatePipeMiss(request, timeout=context.timeout)


@pipe.command("resize")
@click.argument("name", shell_complete=complete_pipe)
@click.argument("entries", type=click.IntRange(1, 1 << 24))
@pass_context
def resize_pipe(context: Context, name: str, entries: int) -> None:
    """Change how many ENTRIES a resizable pipe holds."""
    request = pipe_service_pb2.ResizePipeRequest(name=name, nr_entries=entries)
    with context.client() as client:
        response = client.pipes.ResizePipe(request, timeout=context.timeout)
    context.show(response, lambda: f"pipe {name} holds {number(response.nr_entries)} entries")
