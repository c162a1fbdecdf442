"""The first process in the sandbox: imports everything once, then forks for each notebook of the submission.

    python zygote.py INSIDE SCRATCH

The grader writes a line of JSON for each thing to be done, and reads lines of JSON: from standard output what the
notebook's process sends of each cell, and from standard error, which only this process has, that it has ended.
Students' code can write lines of the first kind, too. So the grader takes nothing from them but outputs of the
submission that runs here.
"""

import base64
import contextlib
import ctypes
import gc
import importlib.abc
import importlib.util
import itertools
import json
import marshal
import os
import random
import resource
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

INSIDE, SCRATCH = sys.argv[1], sys.argv[2]
sys.path[:0] = [INSIDE, f"{INSIDE}/packages"]

FRAMES = os.dup(1)
# Only this process says that a notebook has ended.
OWN = os.dup(2)
# Of the files that a notebook wrote, so many come back, and so many bytes of them.
MOST_FILES, MOST_WRITTEN = 100, 4 << 20
MOST_LOOKS, LONGEST_NAME = 10_000, 200


def send(frame: dict[str, Any], descriptor: int = FRAMES) -> None:
    """Tell the grader. The first newline ends whatever a process left unfinished."""
    rest = b"\n" + json.dumps(frame).encode() + b"\n"
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def limit(limits: dict[str, int]) -> None:
    """Set limits for this process and all that begin in it; nobody can raise them again."""
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def become(account: int | None) -> None:
    """Leave root for an account that owns nothing, where the grader is root; and what could make anybody root again."""
    libc = ctypes.CDLL(None)
    if account is not None:
        # PR_CAPBSET_DROP, for each capability that the kernel knows.
        for capability in range(64):
            libc.prctl(24, capability)
        os.setgroups([])
        os.setresgid(account, account, account)
        os.setresuid(account, account, account)
        # No capability is left to be inherited. The number is the version of the two structures.
        libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
        # PR_SET_PDEATHSIG: it ends with its parent. A change of the account takes that away.
        libc.prctl(1, signal.SIGKILL)


def refuse(calls: bytes) -> None:
    """Set a filter of system calls, for this process and all that begin here."""
    count = len(calls) // 8
    held = ctypes.create_string_buffer(calls, len(calls))

    class Program(ctypes.Structure):
        _fields_ = (("count", ctypes.c_ushort), ("lines", ctypes.c_void_p))

    # PR_SET_SECCOMP, SECCOMP_MODE_FILTER; a container's processes get no new rights, which it needs.
    if ctypes.CDLL(None).prctl(22, 2, ctypes.byref(Program(count, ctypes.addressof(held))), 0, 0):
        raise OSError("the filter of system calls could not be set")


def closed(whether: bool) -> None:
    """Close this process to others of the same account: its memory, and what it has open."""
    if sys.platform == "linux":
        # PR_SET_DUMPABLE
        ctypes.CDLL(None).prctl(4, int(not whether))


class Sent(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Modules that the grader sent for this notebook only, compiled."""

    def __init__(self, modules: dict[str, str]) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find a module that was sent."""
        if name not in self._modules:
            return None
        package = any(other.startswith(f"{name}.") for other in self._modules)
        return importlib.util.spec_from_loader(name, self, is_package=package)

    def get_source(self, name: str) -> None:
        """No source was sent, only the compiled module."""

    def get_code(self, name: str) -> Any:
        """Return the module's code."""
        return marshal.loads(base64.b64decode(self._modules[name]))


def run_notebook(order: dict[str, Any], warm: Any) -> None:
    """In a process of its own: set up what this notebook needs, run its cells, and end."""
    import numpy as np
    import shell

    import bn_exercises.notebook

    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    sys.stdin = os.fdopen(0)
    os.setsid()
    # This process is a copy, and would draw the same random numbers as every other copy.
    random.seed()
    np.random.seed()  # noqa: NPY002 - students' code may use it
    os.chdir(SCRATCH)
    for name, content in order["files"].items():
        path = Path(SCRATCH, name)
        # With the folder before it a name may be too long for a path; the notebook runs without that file.
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(content))
    sys.argv = [""]
    # A student's own module may be called `shell`, too.
    sys.path[:] = ["", *[each for each in sys.path if each != INSIDE]]
    del sys.modules["shell"]
    sys.meta_path.append(Sent(order["modules"]))
    bn_exercises.notebook.SHEET.update(order["sheet"])
    shell.run(warm, order["cells"], order["skip"], send)
    send({"finished": True})


def fork(order: dict[str, Any], warm: Any, mine: tuple[int, ...]) -> int:
    """Start the notebook's process, without the descriptors that are only for this one."""
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        for descriptor in mine:
            os.close(descriptor)
        closed(False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            run_notebook(order, warm)
        finally:
            # Nothing that was registered for the end, by anyone.
            os._exit(0)
    return child


def ended() -> set[int]:
    """The processes that ended; whose parent ended before them, they are children of the first one."""
    found = set()
    with contextlib.suppress(ChildProcessError):
        while process := os.waitpid(-1, os.WNOHANG)[0]:
            found.add(process)
    return found


def end_all() -> None:
    """End every process but this one."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def written(before: dict[str, str]) -> tuple[dict[str, str], int]:
    """The new files in the scratch folder, in base64, and how many were left out: too many, or too large.

    Hidden ones are a program's own. Links are not followed, and nobody looks at the rest of a folder without end.
    """
    found: dict[str, str] = {}
    # Without a sandbox these lie there, too.
    own = {os.environ.get("IPYTHONDIR"), os.environ.get("MPLCONFIGDIR")}
    folders, room, looks, left = [""], MOST_WRITTEN, MOST_LOOKS, 0
    while folders and looks > 0:
        above = folders.pop(0)
        with contextlib.suppress(OSError), os.scandir(os.path.join(SCRATCH, above)) as entries:
            for entry in sorted(itertools.islice(entries, looks), key=lambda each: each.name):
                looks -= 1
                name = os.path.join(above, entry.name)
                if entry.name.startswith(".") or name in before or len(name) > LONGEST_NAME or entry.path in own:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif entry.is_file(follow_symlinks=False):
                    size = entry.stat(follow_symlinks=False).st_size
                    if len(found) < MOST_FILES and size <= room and name.isprintable():
                        with contextlib.suppress(OSError):
                            found[name] = base64.b64encode(Path(entry.path).read_bytes()).decode()
                            room -= size
                    else:
                        left += 1
    return found, left


def empty() -> None:
    """Empty every folder that can be written to."""
    for folder in (SCRATCH, "/tmp", "/dev/shm"):
        if not os.path.isdir(folder):
            continue
        # Where the account is the same as that of the sandbox, it may have been closed.
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o1777)
        for entry in os.scandir(folder):
            # An environment may lie there.
            if not os.path.ismount(entry.path):
                remove(entry)


def remove(entry: os.DirEntry[str]) -> None:
    """Remove a file or a folder, even if it is closed or nested deeper than a path may be long."""
    try:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
    except (OSError, RecursionError):
        for program in (("chmod", "-R", "u+rwx"), ("rm", "-rf")):
            with contextlib.suppress(OSError):
                subprocess.run([*program, "--", entry.path], stderr=subprocess.DEVNULL, check=False)


def main() -> None:
    """Serve the grader until it closes the line."""
    first = json.loads(sys.stdin.readline())
    become(first["account"])
    closed(True)
    limit(first["limits"])
    if first["refusals"]:
        refuse(base64.b64decode(first["refusals"]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Once for all notebooks: their processes are copies of this one, which runs nothing of theirs.
    import numpy.random  # noqa: F401
    import shell

    import bn_exercises.notebook  # noqa: F401

    warm = shell.make_shell(first["most_output"], first["most_sent"])
    # IPython makes some of itself when it runs its first cell.
    warm.run_cell("None", store_history=False)
    if first["alone"]:
        end_all()
        empty()
    # What is there by now stays: no copy has to be made of it only to see that.
    gc.collect()
    gc.freeze()

    # What could not be imported was said; from here on nothing but frames goes that way.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.EpollSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(wake, selectors.EVENT_READ)
    send({"ready": importlib.util.MAGIC_NUMBER.hex()}, OWN)
    waiting, child, before = b"", 0, {}
    while True:
        for key, _ in selector.select():
            if key.fd == wake:
                os.read(wake, 1000)
                if child in ended():
                    child = 0
                    if first["alone"]:
                        end_all()
                    new, left = written(before)
                    if first["alone"]:
                        empty()
                    # Two ways lead to the grader, and neither waits for the other. Behind this word, which nobody
                    # knew, there is no more to come.
                    word = secrets.token_hex(8)
                    os.set_blocking(FRAMES, True)
                    send({"last": word})
                    send({"ended": word, "written": new, "left": left}, OWN)
                continue
            if not (read := os.read(0, 1 << 20)):
                return
            *lines, waiting = (waiting + read).split(b"\n")
            for line in lines:
                order = json.loads(line)
                if "run" in order:
                    before = order["run"]["files"]
                    child = fork(order["run"], warm, (OWN, wake, woken, selector.fileno()))
                elif child:
                    os.kill(child, signal.SIGINT)


if __name__ == "__main__":
    main()
