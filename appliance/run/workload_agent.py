# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A workload of the laboratory: runs inside a namespace, takes commands as JSON lines, answers as JSON lines.

Standard library only and no import of the package, so that it starts at once and what it measures is the network.
Commands run side by side; each answer repeats the command's id.
"""

import asyncio
import errno
import functools
import ipaddress
import json
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import Any

Reply = dict[str, Any]
ANY = str(ipaddress.IPv4Address(0))  # every address of the namespace
ANY6 = "::"
NAMED = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EACCES: "prohibited",
    errno.EPERM: "prohibited",
    errno.ETIMEDOUT: "no answer",
}
LINE_BYTES = 16 << 20  # of one command
TOTAL_RETRANSMITS = 100  # offset of tcpi_total_retrans in struct tcp_info


def why(error: OSError) -> str:
    """What became of a connection that failed."""
    if isinstance(error, TimeoutError):
        return "no answer"
    return NAMED.get(error.errno or 0, f"{type(error).__name__}: {error}")


class Datagrams(asyncio.DatagramProtocol):
    """Counts what arrives, and sends it back if asked to."""

    def __init__(self, echo: bool = False) -> None:
        self.count = 0
        self.echo = echo
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Ready."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """One more."""
        self.count += 1
        if self.echo:
            self.transport.sendto(data, addr)


class Stream:
    """A long-lived connection: numbers go out at a steady rate, the server sends them back, none may be missing.

    Times are of CLOCK_MONOTONIC, which all processes of the machine share.
    """

    def __init__(self, protocol: str, host: str, port: int, rate: float) -> None:
        self.protocol, self.host, self.port, self.rate = protocol, host, port, rate
        self.sent = self.received = self.disordered = self.retransmits = 0
        self.expected = 0
        self.last = 0.0
        self.longest = 0.0
        self.error = ""
        self.ending = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        self.sock: socket.socket | None = None

    def came(self, data: bytes) -> None:
        """A number came back."""
        now = time.monotonic()
        if self.received and now - self.last > self.longest:
            self.longest = now - self.last
        self.last = now
        number = int(data)
        self.disordered += number < self.expected
        self.expected = number + 1
        self.received += 1

    async def open(self, timeout: float) -> None:
        """Connect and start."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        kind = socket.SOCK_STREAM if self.protocol == "tcp" else socket.SOCK_DGRAM
        self.sock = sock = socket.socket(family, kind)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                await loop.sock_connect(sock, (self.host, self.port))
                if kind == socket.SOCK_STREAM:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    await loop.sock_sendall(sock, b"ECHO\n")
        except BaseException:
            sock.close()
            raise
        work = (self.send(sock), self.take(sock, kind == socket.SOCK_STREAM))
        self.tasks = [asyncio.create_task(one) for one in work]

    async def send(self, sock: socket.socket) -> None:
        """Numbers, until told to end."""
        loop = asyncio.get_running_loop()
        started = time.monotonic()
        while not self.ending.is_set():
            try:
                await loop.sock_sendall(sock, b"%d\n" % self.sent)
            except OSError as error:
                self.error = self.error or why(error)
                return
            self.sent += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, started + self.sent / self.rate - time.monotonic())):
                    await self.ending.wait()

    async def take(self, sock: socket.socket, stream: bool) -> None:
        """What comes back."""
        loop = asyncio.get_running_loop()
        rest = b""
        while True:
            try:
                data = await loop.sock_recv(sock, 65536)
            except OSError as error:
                self.error = self.error or why(error)
                return
            if stream and not data:
                self.error = self.error or "closed by the other side"
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self.came(line)

    def report(self) -> Reply:
        """The state, for the judge."""
        if self.protocol == "tcp" and self.sock is not None and self.sock.fileno() >= 0:
            info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
            (self.retransmits,) = struct.unpack_from("=I", info, TOTAL_RETRANSMITS)
        return {
            "ok": True,
            "sent": self.sent,
            "received": self.received,
            "disordered": self.disordered,
            "retransmits": self.retransmits,
            "last": self.last,
            "longest_ms": 1000 * self.longest,
            "error": self.error,
        }

    async def close(self, patience: float) -> Reply:
        """Stop sending, wait for what is under way, report."""
        self.ending.set()
        end = time.monotonic() + patience
        while self.received < self.sent and not self.error and time.monotonic() < end:
            await asyncio.sleep(0.01)
        reply = self.report()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if self.sock is not None:
            self.sock.close()
        return reply


class Agent:
    """Servers of this workload, and connections that it tries."""

    def __init__(self) -> None:
        self.udp: dict[int, Datagrams] = {}
        self.keep: list[Any] = []
        self.streams: dict[str, Stream] = {}

    async def serve_tcp(self, port: int, name: str, ipv6: bool = False) -> Reply:
        """A server that answers a line 'GET n' with its name and n bytes, and after a line 'ECHO' sends all back."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                words = (await reader.readline()).split()
                if words[:1] == [b"ECHO"]:
                    while data := await reader.read(65536):
                        writer.write(data)
                        await writer.drain()
                    return
                size = int(words[1]) if len(words) == 2 else 0
                writer.write(name.encode() + b"\n" + b"x" * size)
                await writer.drain()
            except (OSError, ValueError):
                pass
            finally:
                writer.close()

        hosts = [ANY, ANY6] if ipv6 else [ANY]
        self.keep.append(await asyncio.start_server(answer, hosts, port, reuse_port=True))
        return {"ok": True}

    async def serve_udp(self, port: int, echo: bool = False, ipv6: bool = False) -> Reply:
        """A receiver of datagrams."""
        protocol = Datagrams(echo)
        loop = asyncio.get_running_loop()
        for host in [ANY, ANY6] if ipv6 else [ANY]:
            sock = socket.socket(socket.AF_INET6 if host == ANY6 else socket.AF_INET, socket.SOCK_DGRAM)
            if host == ANY6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, port))
            # A protocol per socket: what is sent back leaves where it came in.
            made = functools.partial(Datagrams, echo) if host == ANY6 else lambda: protocol
            transport, _ = await loop.create_datagram_endpoint(made, sock=sock)
            self.keep.append(transport)
        self.udp[port] = protocol
        return {"ok": True}

    async def connect(
        self, host: str, port: int, source_port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection, from a port of our choice even when a server of ours has it."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if source_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                sock.bind((ANY, source_port))
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except BaseException:
            sock.close()
            raise
        return await asyncio.open_connection(sock=sock)

    async def get(
        self, host: str, port: int, size: int = 0, source_port: int = 0, timeout: float = 1.0
    ) -> Reply:
        """Connect, ask for some bytes, read them all."""
        started = time.perf_counter()
        writer = None
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await self.connect(host, port, source_port)
                connected = time.perf_counter()
                writer.write(b"GET %d\n" % size)
                name = (await reader.readline()).decode().strip()
                got = len(await reader.read(-1)) if size else 0
        except TimeoutError:
            return {"ok": False, "why": "no answer"}
        except ConnectionRefusedError:
            return {"ok": False, "why": "refused"}
        finally:
            if writer is not None:
                writer.close()
        done = time.perf_counter()
        return {
            "ok": got == size,
            "name": name,
            "bytes": got,
            "connect_ms": 1000 * (connected - started),
            "seconds": done - connected,
        }

    async def send_udp(self, host: str, port: int, count: int, seconds: float) -> Reply:
        """Datagrams, spread evenly over some time."""
        started = time.perf_counter()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(count):
                sender.sendto(b"telemetry %d" % number, (host, port))
                ahead = started + (number + 1) * seconds / count - time.perf_counter()
                if ahead > 0:
                    await asyncio.sleep(ahead)
        return {"ok": True, "sent": count, "seconds": time.perf_counter() - started}

    async def count_udp(self, port: int) -> Reply:
        """Datagrams that have arrived at a receiver."""
        return {"ok": True, "count": self.udp[port].count}

    async def probe(self, targets: list[list[Any]], timeout: float, at_once: int = 64) -> Reply:
        """Try each of (protocol, host, port) once, side by side; what became of each, in their order.

        ``open`` needs an answer of the server, not just of its kernel.
        """
        gate = asyncio.Semaphore(at_once)

        async def one(protocol: str, host: str, port: int) -> str:
            async with gate:
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
                loop = asyncio.get_running_loop()
                with socket.socket(family, kind) as sock:
                    sock.setblocking(False)
                    try:
                        async with asyncio.timeout(timeout):
                            await loop.sock_connect(sock, (host, port))
                            await loop.sock_sendall(sock, b"GET 0\n")
                            return "open" if await loop.sock_recv(sock, 256) else "closed"
                    except OSError as error:
                        return why(error)

        return {"ok": True, "outcomes": await asyncio.gather(*(one(*target) for target in targets))}

    async def open_stream(
        self, stream: str, protocol: str, host: str, port: int, rate: float, timeout: float = 5.0
    ) -> Reply:
        """Start a long-lived connection under a name."""
        made = Stream(protocol, host, port, rate)
        try:
            await made.open(timeout)
        except OSError as error:
            return {"ok": False, "why": why(error)}
        self.streams[stream] = made
        return {"ok": True}

    async def report_streams(self) -> Reply:
        """All long-lived connections as they stand."""
        return {"ok": True, "streams": {name: stream.report() for name, stream in self.streams.items()}}

    async def close_streams(self, patience: float = 2.0) -> Reply:
        """End all long-lived connections; what each of them says at its end."""
        found, self.streams = self.streams, {}
        reports = await asyncio.gather(*(stream.close(patience) for stream in found.values()))
        return {"ok": True, "streams": dict(zip(found, reports, strict=True))}

    async def send_frames(self, interface: str, frames: list[str], count: int, seconds: float) -> Reply:
        """Frames in hex, as they stand, past the kernel's stack: ``count`` in all, in turn, over some time."""
        data = [bytes.fromhex(frame) for frame in frames]
        started = time.perf_counter()
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.bind((interface, 0))
            for number in range(count):
                with suppress(BlockingIOError, OSError):
                    sender.send(data[number % len(data)])
                if number % 32 == 31:
                    ahead = started + (number + 1) * seconds / count - time.perf_counter()
                    await asyncio.sleep(max(0.0, ahead))
        return {"ok": True, "seconds": time.perf_counter() - started}

    async def run(self, line: bytes) -> None:
        """One command."""
        command = json.loads(line)
        number, operation = command.pop("id"), command.pop("op")
        try:
            reply: Reply = await getattr(self, operation)(**command)
        except Exception as error:
            reply = {"ok": False, "why": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps({"id": number, **reply}) + "\n")
        sys.stdout.flush()

    async def main(self) -> None:
        """Until standard input ends."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LINE_BYTES)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        sys.stdout.write('{"id": 0, "ok": true}\n')
        sys.stdout.flush()
        tasks = set()
        while line := await reader.readline():
            task = asyncio.create_task(self.run(line))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    asyncio.run(Agent().main())
