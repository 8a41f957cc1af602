# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield entry ...`"""

from __future__ import annotations

import click
from rich.table import Table

from appliance.cli.common import Context, amount, complete_pipe, out, pass_context, table
from appliance.cli.pipe import add_entry, document, port_ids
from appliance.rpc.convert import flow as convert
from appliance.rpc.convert.base import PortNames
from appliance.rpc.convert.flow import PIPE_TYPES
from appliance.rpc.show import entry_text
from appliance.run.document import parse_document
from appliance.run.pipeline import Names, read_entry
from appliance.v1 import entry_pb2, entry_service_pb2, pipe_pb2, pipe_service_pb2


def entries_table(entries: list[entry_pb2.Entry], counters: dict[int, entry_pb2.Counter]) -> Table:
    """Entries, one a line, with what they counted."""
    made = table("entry", "pipe", "what", "tag", "packets", right=["entry", "tag", "packets"])
    for entry in entries:
        counter = counters.get(entry.id, entry_pb2.Counter())
        tag = str(entry.tag) if entry.tag else "-"
        made.add_row(
            str(entry.id), entry.pipe, entry_text(entry), tag, amount(counter.packets, counter.bytes)
        )
    return made


@click.group()
def entry() -> None:
    """Entries of pipes."""


@entry.command("list")
@click.argument("pipe", shell_complete=complete_pipe)
@click.option("--limit", type=click.IntRange(0), default=100, show_default=True, help="0: all.")
@pass_context
def list_entries(context: Context, pipe: str, limit: int) -> None:
    """Entries of a PIPE with their counters."""
    with context.client() as client:
        request = entry_service_pb2.ListEntriesRequest(pipe=pipe, limit=limit)
        entries = [
            e for page in client.entries.ListEntries(request, timeout=context.timeout) for e in page.entries
        ]
        counters: dict[int, entry_pb2.Counter] = {}
        if entries:
            query = entry_service_pb2.QueryEntriesRequest(ids=[entry.id for entry in entries])
            answer = client.entries.QueryEntries(query, timeout=context.timeout)
            counters = dict(zip(answer.ids, answer.counters, strict=True))
    response = entry_service_pb2.ListEntriesResponse(entries=entries)
    context.show(response, lambda: entries_table(entries, counters))


@entry.command("show")
@click.argument("number", type=click.IntRange(1))
@pass_context
def show_entry(context: Context, number: int) -> None:
    """One entry by its NUMBER."""
    with context.client() as client:
        response = client.entries.GetEntry(
            entry_service_pb2.GetEntryRequest(id=number), timeout=context.timeout
        )
    counters = {number: response.counter} if response.HasField("counter") else {}
    context.show(response, lambda: entries_table([response.entry], counters))


@entry.command("add")
@click.argument("pipe", shell_complete=complete_pipe)
@click.argument("entry")
@pass_context
def add(context: Context, pipe: str, entry: str) -> None:
    """Add an ENTRY to a PIPE, written as in the configuration file.

    \b
    ringfield entry add web '{match: {outer.ipv4.dst_ip: 10.0.0.7}, fwd: {port: p1}, monitor: {counter: true}}'
    """
    root = document("-") if entry == "-" else parse_document(entry, "ENTRY")
    with context.client() as client:
        ids = port_ids(client, context.timeout)
        found = client.pipes.GetPipe(pipe_service_pb2.GetPipeRequest(name=pipe), timeout=context.timeout).pipe
        kind = PIPE_TYPES[found.type or pipe_pb2.PIPE_TYPE_BASIC]
        spec = read_entry(root, kind, Names(ids))
        names = PortNames({number: port for port, number in ids.items()})
        number = add_entry(client, convert.entry_to(spec, 0, pipe, names), context.timeout)
    context.show(entry_service_pb2.AddEntryResponse(id=number), lambda: f"entry {number}")


@entry.command("remove")
@click.argument("numbers", type=click.IntRange(1), nargs=-1, required=True)
@pass_context
def remove(context: Context, numbers: tuple[int, ...]) -> None:
    """Remove entries by their NUMBERS."""
    with context.client() as client:
        for number in numbers:
            client.entries.RemoveEntry(
                entry_service_pb2.RemoveEntryRequest(id=number), timeout=context.timeout
            )
    if not context.json:
        out.print(f"{len(numbers)} removed")
