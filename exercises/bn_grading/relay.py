"""The outer end of a kernel in a container: `inside/relay.py` says what for.

    python -m bn_grading.relay IMAGE ENGINE NAME KIT CONNECTION_FILE COMMAND...

To jupyter_client this process is the kernel. It makes the kernel's sockets, carries what is said there into the
container, and passes on an interrupt. The container ends when it does.
"""

import asyncio
import itertools
import json
import signal
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from bn_grading.container import Container
from bn_grading.inside.relay import BEGIN, INTERRUPT, OPEN, Wire
from bn_grading.places import KIT
from bn_grading.sandbox import Limits


async def relay(container: Container, name: str, kit: Path, file: Path, command: list[str]) -> int:
    """Run the kernel until it ends.

    Args:
        container: what it runs in.
        name: of the container.
        kit: what of this project enters.
        file: of the connection, as jupyter_client wrote it, with `transport` "ipc".
        command: of the kernel, with the name of that file in it.

    Returns:
        The exit status of the container.
    """
    connection: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    # An interrupt is for the kernel, not for the engine.
    engine = await asyncio.create_subprocess_exec(
        *container.command(kit, Limits(), name, f"{KIT}/relay.py"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert engine.stdin is not None
    assert engine.stdout is not None
    wire = Wire(engine.stdout, engine.stdin)
    begin = {"connection": connection, "file": str(file), "command": command}
    await wire.send(0, BEGIN, json.dumps(begin).encode())
    running: set[asyncio.Task[None]] = set()

    def soon(what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        running.add(task)
        task.add_done_callback(running.discard)

    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: soon(wire.send(0, INTERRUPT)))
    numbers = itertools.count(1)
    waiting: dict[int, tuple[StreamReader, StreamWriter]] = {}

    async def ask(port: int, reader: StreamReader, writer: StreamWriter) -> None:
        number = next(numbers)
        waiting[number] = reader, writer
        await wire.send(number, OPEN, port.to_bytes(4, "big"))

    ports = sorted({value for key, value in connection.items() if key.endswith("_port")})
    servers = [await asyncio.start_unix_server(partial(ask, port), f"{connection['ip']}-{port}") for port in ports]
    async for number, says, data in wire.pieces():
        if says == OPEN and number in waiting:
            reader, wire.connections[number] = waiting.pop(number)
            soon(wire.carry(number, reader))
        else:
            await wire.deliver(number, says, data)
    for server in servers:
        server.close()
    engine.stdin.close()
    return await engine.wait()


def main() -> None:
    """Run the command."""
    image, engine, name, kit, file, *command = sys.argv[1:]
    sys.exit(asyncio.run(relay(Container(image, engine), name, Path(kit), Path(file), command)))


if __name__ == "__main__":
    main()
