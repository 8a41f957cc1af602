# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield inject`, `transmit`, `receive` and `capture`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import IO, Any

import click
from rich.text import Text

from appliance.cli.common import Context, complete_port, err, out, pass_context, print_json
from appliance.cli.frames import PcapWriter, read_frames, summary
from appliance.v1 import packet_pb2, packet_service_pb2

POINTS = {
    "rx": packet_pb2.PACKET_POINT_RX,
    "tx": packet_pb2.PACKET_POINT_TX,
    "drop": packet_pb2.PACKET_POINT_DROP,
}
WORDS = {
    packet_pb2.PACKET_POINT_SOFTWARE: ("software", "magenta"),
    packet_pb2.PACKET_POINT_KERNEL: ("kernel", "magenta"),
    packet_pb2.PACKET_POINT_WIRE: ("wire", "green"),
    packet_pb2.PACKET_POINT_RX: ("rx", "cyan"),
    packet_pb2.PACKET_POINT_TX: ("tx", "green"),
    packet_pb2.PACKET_POINT_DROP: ("drop", "red"),
}
BATCH = 256


def packet_line(packet: packet_pb2.Packet) -> Text:
    """A packet in a line."""
    word, style = WORDS.get(packet.point, ("?", ""))
    line = Text.assemble((f"{word:9}", style), (f"{packet.port:10}", "bold"))
    if packet.point == packet_pb2.PACKET_POINT_SOFTWARE:
        line.append(f"queue {packet.queue} ", style="dim")
    if packet.drop_reason:
        line.append(f"{packet.drop_reason} ", style="red")
    return line.append(summary(packet.frame))


def packet_dict(packet: packet_pb2.Packet) -> dict[str, Any]:
    """A packet for programs."""
    return {
        "point": WORDS.get(packet.point, ("?", ""))[0],
        "port": packet.port,
        "timestamp_ns": packet.timestamp_ns,
        "queue": packet.queue,
        "drop_reason": packet.drop_reason,
        "pkt_meta": packet.pkt_meta,
        "frame": packet.frame.hex(),
    }


def _send(context: Context, port: str, frame: str, count: int, *, inject: bool) -> None:
    frames = read_frames(frame) * count
    accepted = 0
    with context.client() as client:
        for start in range(0, len(frames), BATCH):
            part = frames[start : start + BATCH]
            if inject:
                request = packet_service_pb2.InjectPacketsRequest(port=port, frames=part)
                answer = client.packets.InjectPackets(request, timeout=context.timeout)
                accepted += answer.accepted
            else:
                sent = packet_service_pb2.TransmitPacketsRequest(port=port, frames=part)
                accepted += client.packets.TransmitPackets(sent, timeout=context.timeout).accepted
    if context.json:
        print_json({"given": len(frames), "accepted": accepted})
    else:
        out.print(f"{accepted} of {len(frames)} accepted at {port}")
    if accepted < len(frames):
        raise click.ClickException(f"{len(frames) - accepted} did not fit the packet ring")


@click.command()
@click.argument("port", shell_complete=complete_port)
@click.argument("frame")
@click.option("--count", type=click.IntRange(1, 100_000), default=1, show_default=True)
@pass_context
def inject(context: Context, port: str, frame: str, count: int) -> None:
    """Hand a FRAME (hex, pcap file or scapy expression) to PORT as if it were received there."""
    _send(context, port, frame, count, inject=True)


@click.command()
@click.argument("port", shell_complete=complete_port)
@click.argument("frame")
@click.option("--count", type=click.IntRange(1, 100_000), default=1, show_default=True)
@pass_context
def transmit(context: Context, port: str, frame: str, count: int) -> None:
    """Send a FRAME (hex, pcap file or scapy expression) out of PORT, past the pipeline."""
    _send(context, port, frame, count, inject=False)


def _consume(
    context: Context, responses: Iterator[Any], file: IO[bytes] | None, count: int, snap: int
) -> None:
    writer = PcapWriter(file, snap) if file is not None else None
    seen = lost = 0
    with contextlib.suppress(KeyboardInterrupt):
        for response in responses:
            lost = response.lost
            for packet in response.packets:
                seen += 1
                if writer is not None:
                    writer.write(packet.frame, packet.timestamp_ns)
                elif context.json:
                    print_json(packet_dict(packet))
                else:
                    out.print(packet_line(packet))
                if seen == count:
                    break
            if count and seen >= count:
                break
    responses.cancel()  # type: ignore[attr-defined]
    err.print(f"{seen} packets" + (f", {lost} lost" if lost else ""), style="dim")


@click.command()
@click.option(
    "--port", "ports", multiple=True, shell_complete=complete_port, help="Only this port; may be repeated."
)
@click.option("--count", type=click.IntRange(0), default=0, help="End after this many; 0: until interrupted.")
@pass_context
def receive(context: Context, ports: tuple[str, ...], count: int) -> None:
    """Show packets that the pipeline forwards to software, and what ring ports send."""
    with context.client() as client:
        responses = client.packets.ReceivePackets(packet_service_pb2.ReceivePacketsRequest(ports=ports))
        _consume(context, responses, None, count, 0)


@click.command()
@click.option("--port", default="", shell_complete=complete_port, help="Only this port.")
@click.option(
    "--at",
    "points",
    multiple=True,
    type=click.Choice(list(POINTS)),
    help="Where; may be repeated. [default: rx, tx]",
)
@click.option("--reason", "reasons", multiple=True, help="Only drops of this reason; may be repeated.")
@click.option("--snap", type=click.IntRange(0, 65535), default=0, help="Bytes kept of each frame; 0: all.")
@click.option("--count", type=click.IntRange(0), default=0, help="End after this many; 0: until interrupted.")
@click.option("-w", "--write", type=click.File("wb"), help="Write a pcap file ('-': standard output).")
@pass_context
def capture(
    context: Context,
    port: str,
    points: tuple[str, ...],
    reasons: tuple[str, ...],
    snap: int,
    count: int,
    write: IO[bytes] | None,
) -> None:
    """Copies of packets: as received, as sent, as dropped.

    \b
    ringfield capture --port pf0vf0 -w pf0vf0.pcap
    ringfield capture --at drop --reason pipe
    """
    if reasons and not points:
        points = ("drop",)
    request = packet_service_pb2.CapturePacketsRequest(
        port=port,
        points=[POINTS[point] for point in points],
        drop_reasons=reasons,
        snap_length=snap,
        limit=count,
    )
    with context.client() as client:
        responses = client.packets.CapturePackets(request)
        next(responses)  # the first response says that packets are seen from now on
        if write is not None and write is not sys.stdout.buffer:
            err.print("capturing; Ctrl-C ends", style="dim")
        _consume(context, responses, write, count, snap)
