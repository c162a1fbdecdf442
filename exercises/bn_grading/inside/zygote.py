"""The first process in the sandbox: imports everything once, then forks for each notebook of the submission.

    python zygote.py KIT SCRATCH DESCRIPTOR

The grader writes a line of JSON for each thing to be done, and reads lines of JSON: what the notebook's process sends
of each cell, and by another descriptor, from here, that it has ended. Students' code can write lines of the first kind,
too. So the grader takes nothing from them but outputs of the submission that runs here.
"""

import base64
import contextlib
import importlib.abc
import importlib.util
import json
import marshal
import os
import random
import resource
import selectors
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

KIT, SCRATCH = sys.argv[1], sys.argv[2]
# Only this process says that a notebook has ended.
OWN = int(sys.argv[3])
sys.path.insert(0, KIT)

FRAMES = os.dup(1)


def send(frame: dict[str, Any], descriptor: int = FRAMES) -> None:
    """Tell the grader. The first newline ends whatever a process left unfinished."""
    rest = b"\n" + json.dumps(frame).encode() + b"\n"
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def limit(limits: dict[str, int]) -> None:
    """For all processes that begin here, and for good."""
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def become(account: int | None) -> None:
    """Leave root for an account that owns nothing, where the grader is root."""
    if account is not None:
        os.setgroups([])
        os.setresgid(account, account, account)
        os.setresuid(account, account, account)


class Sent(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Modules that the grader sent for this notebook only, compiled."""

    def __init__(self, modules: dict[str, str]) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Of those, or nothing."""
        if name not in self._modules:
            return None
        package = any(other.startswith(f"{name}.") for other in self._modules)
        return importlib.util.spec_from_loader(name, self, is_package=package)

    def get_source(self, name: str) -> None:
        """It was not sent."""

    def get_code(self, name: str) -> Any:
        """As sent."""
        return marshal.loads(base64.b64decode(self._modules[name]))


def sender(first: socket.socket) -> Callable[[dict[str, Any]], None]:
    """What sends frames from a notebook's process; it says that a cell has ended only if the first process lives.

    So a cell that ends or stops the first process does not end, and is known by that.
    """

    def send_if_there(frame: dict[str, Any]) -> None:
        if "ends" in frame:
            first.sendall(b"?")
            if not first.recv(1):
                os._exit(1)
        send(frame)

    return send_if_there


def run_notebook(order: dict[str, Any], first: socket.socket) -> None:
    """In a process of its own: set up what this notebook needs, run its cells, and end."""
    import numpy as np
    import shell

    import bn_exercises.notebook

    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    sys.stdin = os.fdopen(0)
    os.setsid()
    # A copy of a process has its random numbers, too.
    random.seed()
    np.random.seed()  # noqa: NPY002 - students' code may use it
    os.chdir(SCRATCH)
    for name, content in order["files"].items():
        path = Path(SCRATCH, name)
        # A name may be longer than a path may be here, and nobody needs all the files.
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(content))
    sys.argv = [""]
    sys.path[:] = ["", *[each for each in sys.path if each != os.path.dirname(__file__)]]
    sys.meta_path.append(Sent(order["modules"]))
    bn_exercises.notebook.SHEET.update(order["sheet"])
    shell.run(shell.make_shell(order["most_output"]), order["cells"], order["skip"], sender(first))
    send({"finished": True})


def fork(order: dict[str, Any], mine: tuple[int, ...], first: socket.socket) -> int:
    """Start the notebook's process, without the descriptors that are only for this one."""
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        for descriptor in mine:
            os.close(descriptor)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            run_notebook(order, first)
        finally:
            # Nothing that was registered for the end, by anyone.
            os._exit(0)
    return child


def sweep() -> None:
    """End every process but this one and the sandbox's first, and empty every folder that can be written to."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    for folder in (SCRATCH, "/tmp", "/dev/shm"):
        for entry in os.scandir(folder) if os.path.isdir(folder) else ():
            # Nested too deeply, or closed: it stays, as any student's own file may.
            with contextlib.suppress(OSError, RecursionError):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)


def answer(asked: socket.socket, selector: selectors.BaseSelector) -> None:
    """Say to a notebook's process that this one lives."""
    try:
        if asked.recv(1 << 16, socket.MSG_DONTWAIT):
            asked.send(b"!", socket.MSG_DONTWAIT)
            return
    # Whoever asks all the time and does not listen has his answer.
    except BlockingIOError:
        return
    except OSError:
        pass
    selector.unregister(asked)
    asked.close()


def main() -> None:
    """Serve the grader until it closes the line."""
    first = json.loads(sys.stdin.readline())
    become(first["account"])
    limit(first["limits"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import shell  # noqa: F401

    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.EpollSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(wake, selectors.EVENT_READ)
    send({"ready": True}, OWN)
    waiting, child = b"", 0
    while True:
        for key, _ in selector.select():
            if key.fd == wake:
                os.read(wake, 1000)
                if child:
                    done, status = os.waitpid(child, os.WNOHANG)
                    if done:
                        child = 0
                        if first["alone"]:
                            sweep()
                        send({"ended": os.waitstatus_to_exitcode(status)}, OWN)
                continue
            if isinstance(key.fileobj, socket.socket):
                answer(key.fileobj, selector)
                continue
            if not (read := os.read(0, 1 << 20)):
                return
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                order = json.loads(line)
                if "run" in order:
                    asked, asks = socket.socketpair()
                    child = fork(order["run"], (OWN, wake, woken, selector.fileno(), asked.fileno()), asks)
                    asks.close()
                    selector.register(asked, selectors.EVENT_READ)
                elif child:
                    os.kill(child, signal.SIGINT)


if __name__ == "__main__":
    main()
