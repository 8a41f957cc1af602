# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A workload of the laboratory: runs inside a namespace, takes commands as JSON lines, answers as JSON lines.

Standard library only and no import of the package, so that it starts at once and what it measures is the network.
Commands run side by side; each answer repeats the command's id.
"""

import asyncio
import ipaddress
import json
import socket
import sys
import time
from typing import Any

Reply = dict[str, Any]
ANY = str(ipaddress.IPv4Address(0))  # every address of the namespace


class Datagrams(asyncio.DatagramProtocol):
    """Counts what arrives."""

    def __init__(self) -> None:
        self.count = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """One more."""
        self.count += 1


class Agent:
    """Servers of this workload, and connections that it tries."""

    def __init__(self) -> None:
        self.udp: dict[int, Datagrams] = {}
        self.keep: list[Any] = []

    async def serve_tcp(self, port: int, name: str) -> Reply:
        """A server that answers a line 'GET n' with its name and n bytes."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                words = (await reader.readline()).split()
                size = int(words[1]) if len(words) == 2 else 0
                writer.write(name.encode() + b"\n" + b"x" * size)
                await writer.drain()
            except (OSError, ValueError):
                pass
            finally:
                writer.close()

        self.keep.append(
            await asyncio.start_server(answer, ANY, port, family=socket.AF_INET, reuse_port=True)
        )
        return {"ok": True}

    async def serve_udp(self, port: int) -> Reply:
        """A receiver of datagrams."""
        protocol = Datagrams()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: protocol, local_addr=(ANY, port), family=socket.AF_INET
        )
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
        return {"ok": True, "seconds": time.perf_counter() - started}

    async def count_udp(self, port: int) -> Reply:
        """Datagrams that have arrived at a receiver."""
        return {"ok": True, "count": self.udp[port].count}

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
        reader = asyncio.StreamReader()
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
