# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield trace`: where did my packet go, and why?"""

from __future__ import annotations

import click
from rich.text import Text
from rich.tree import Tree

from appliance.cli.common import Context, as_dict, complete_port, out, pass_context, print_json
from appliance.cli.frames import read_frames, summary
from appliance.rpc.show import fwd_text, short_name
from appliance.v1 import trace_pb2, trace_service_pb2

COLORS = {"green": "green", "yellow": "yellow", "red": "red"}


def _compared(field: trace_pb2.TraceField, hit: bool) -> str:
    if not hit or not field.value or field.value == field.packet:
        return f"{short_name(field.name)}={field.packet}"
    mask = f"/{field.mask}" if field.mask and not field.mask.startswith("/") else field.mask
    return f"{short_name(field.name)}={field.packet} in {field.value}{mask}"


def trace_tree(trace: trace_pb2.Trace, port: str, frame: bytes) -> Tree:
    """Hops from top to bottom, each with what it compared, did and where it sent the packet."""
    tree = Tree(Text.assemble((f"at {port}  ", "bold"), (summary(frame), "dim")), guide_style="dim")
    for hop in trace.hops:
        line = Text()
        line.append(f"{'copy ' + str(hop.copy) + ' ' if hop.copy else ''}{hop.pipe}", style="bold")
        if hop.domain == "egress":
            line.append(" (egress)", style="dim")
        if hop.hit:
            line.append("  hit", style="green")
            line.append(f" entry {hop.entry_id}" if hop.entry_id else "")
            line.append(f" tag {hop.tag}" if hop.tag else "", style="dim")
        else:
            line.append("  miss", style="yellow")
        branch = tree.add(line)
        if hop.fields:
            branch.add(Text(", ".join(_compared(field, hop.hit) for field in hop.fields), style="cyan"))
        for action in hop.actions:
            branch.add(Text(action, style="magenta"))
        if hop.meter_color not in ("", "green") or "meter" in " ".join(hop.actions):
            branch.add(Text(f"meter says {hop.meter_color}", style=COLORS.get(hop.meter_color, "")))
        branch.add(Text(f"-> {fwd_text(hop.fwd) or hop.fwd_text or 'default miss'}"))
    for outcome in trace.outcomes:
        tree.add(verdict_text(outcome, frame))
    return tree


def verdict_text(outcome: trace_pb2.TraceOutcome, frame: bytes = b"") -> Text:
    """How it ended, in a line."""
    line = Text(f"copy {outcome.copy} " if outcome.copy else "")
    if outcome.verdict == trace_pb2.VERDICT_DROP:
        return line.append(f"DROPPED ({outcome.drop_reason})", style="bold red")
    where = {
        trace_pb2.VERDICT_PORT: f"SENT to {outcome.port}",
        trace_pb2.VERDICT_RSS: f"TO SOFTWARE, queue {outcome.queue}",
        trace_pb2.VERDICT_KERNEL: "TO THE KERNEL",
    }.get(outcome.verdict, "?")
    line.append(where, style="bold green")
    if outcome.frame and frame and outcome.frame != frame:
        line.append(f"  as {summary(outcome.frame)}", style="dim")
    return line


@click.command()
@click.argument("port", shell_complete=complete_port)
@click.argument("frame")
@click.option("--meta", type=click.IntRange(0, 0xFFFFFFFF), default=0, help="meta.pkt_meta to start with.")
@pass_context
def trace(context: Context, port: str, frame: str, meta: int) -> None:
    """Follow a FRAME that arrives on PORT through the live tables, without side effects.

    FRAME is hexadecimal, a pcap file, or a scapy expression:

    \b
    ringfield trace pf0vf0 "Ether()/IP(src='10.77.0.1',dst='10.77.0.2')/TCP(dport=80)"
    """
    frames = read_frames(frame)
    found = []
    with context.client() as client:
        for one in frames:
            request = trace_service_pb2.TracePacketRequest(port=port, frame=one, pkt_meta=meta)
            found.append(client.trace.TracePacket(request, timeout=context.timeout).trace)
    if context.json:
        print_json([as_dict(one) for one in found])
        return
    for one, result in zip(frames, found, strict=True):
        out.print(trace_tree(result, port, one))
