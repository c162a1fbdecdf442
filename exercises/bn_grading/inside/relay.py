"""A kernel in a container, and its sockets through the container's pipes.

Such a container has no network, and on macOS it shares no sockets with the machine. So what a client says to a kernel's
socket goes into the container by standard input, and what the kernel answers comes back by standard output. Each piece
says which connection it belongs to.

Inside, this is the first process: it starts the kernel, and everything ends with it. `bn_grading.relay` is the other
end. It ends, and with it this one, when who started the kernel ends it.
"""

import asyncio
import json
import os
import signal
import struct
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

# Of a piece: the number of the connection, what it says, how many bytes follow.
_HEAD = struct.Struct("!IBI")
MOST = 1 << 16

BEGIN, INTERRUPT, OPEN, DATA, CLOSE = range(5)

_FOLDER = "/tmp/kernel"
_SECONDS_BETWEEN = 0.05
_LAST_SECONDS = 1


class Wire:
    """Pieces of many connections, by one pipe to and one pipe from the other end."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.connections: dict[int, StreamWriter] = {}

    async def send(self, connection: int, says: int, data: bytes = b"") -> None:
        """Send a piece."""
        self._writer.write(_HEAD.pack(connection, says, len(data)) + data)
        await self._writer.drain()

    async def end(self) -> None:
        """Send nothing more, once what was written is sent."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def pieces(self) -> AsyncIterator[tuple[int, int, bytes]]:
        """What the other end sends, until it ends, or says what it never would: a student's code may write here."""
        with suppress(asyncio.IncompleteReadError):
            while True:
                connection, says, size = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
                if size > MOST:
                    return
                yield connection, says, await self._reader.readexactly(size)

    async def carry(self, connection: int, reader: StreamReader) -> None:
        """Send what comes from a socket, to its end. What comes for it, `deliver` writes."""
        with suppress(ConnectionError):
            while data := await reader.read(MOST):
                await self.send(connection, DATA, data)
        await self.send(connection, CLOSE)

    async def deliver(self, connection: int, says: int, data: bytes) -> None:
        """Give a piece to its socket, if that is still there."""
        writer = self.connections.get(connection)
        if writer is None:
            return
        with suppress(ConnectionError):
            if says == DATA:
                writer.write(data)
                await writer.drain()
            elif says == CLOSE:
                del self.connections[connection]
                writer.close()


async def _pipes() -> Wire:
    loop = asyncio.get_running_loop()
    reader = StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    out = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    return Wire(reader, StreamWriter(*out, None, loop))


async def _open(wire: Wire, connection: int, port: int) -> None:
    """Connect to a socket of the kernel, as soon as it has made it, and say so: before that, nothing is to be sent."""
    while True:
        try:
            reader, writer = await asyncio.open_unix_connection(f"{_FOLDER}/socket-{port}")
        except OSError:
            await asyncio.sleep(_SECONDS_BETWEEN)
            continue
        wire.connections[connection] = writer
        await wire.send(connection, OPEN)
        await wire.carry(connection, reader)
        return


async def _begin(told: dict[str, Any]) -> asyncio.subprocess.Process:
    """Start the kernel. What it prints goes where this process's errors go: the other pipe is the wire's."""
    os.mkdir(_FOLDER)
    file = f"{_FOLDER}/kernel.json"
    with open(file, "w", encoding="utf-8") as out:
        json.dump(told["connection"] | {"transport": "ipc", "ip": f"{_FOLDER}/socket"}, out)
    command = [each.replace(told["file"], file) for each in told["command"]]
    return await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr)


async def _relay() -> None:
    wire = await _pipes()
    kernel = None
    carried: set[asyncio.Task[None]] = set()
    async for connection, says, data in wire.pieces():
        if says == BEGIN:
            kernel = await _begin(json.loads(data))
            ends = asyncio.create_task(_end_with(kernel, wire, carried))
        elif says == INTERRUPT and kernel is not None:
            kernel.send_signal(signal.SIGINT)
        elif says == OPEN:
            carried.add(asyncio.create_task(_open(wire, connection, int.from_bytes(data, "big"))))
        else:
            await wire.deliver(connection, says, data)
    if kernel is not None:
        ends.cancel()


async def _end_with(kernel: asyncio.subprocess.Process, wire: Wire, carried: set[asyncio.Task[None]]) -> None:
    """End everything in the container when the kernel has ended and its last words are sent."""
    status = await kernel.wait()
    with suppress(TimeoutError, ValueError):
        await asyncio.wait_for(asyncio.gather(*carried), _LAST_SECONDS)
    await wire.end()
    os._exit(status & 0xFF)


if __name__ == "__main__":
    # Nobody inside ends it; a kernel that it starts takes signals as ever.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: None)
    asyncio.run(_relay())
