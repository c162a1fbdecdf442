"""Control groups: all that the processes of a sandbox use together, counted and limited by the kernel.

A limit of a process counts the memory that it maps. What the kernel keeps for it is counted for none: data in a socket
that nobody reads, a file's entry in a folder. A control group counts it all. The grader makes one for each sandbox
where it may: beside its own group or above it (version 2), in its own group (version 1), or through systemd. Where it
may not, `execute` looks at what it can see from outside.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_KIND = "bn-grade-"
# A process enters before it becomes the sandbox, so that all of the sandbox is in the group.
_ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 1; shift; done; shift; exec "$@"'
_SECONDS_TO_END = 2
# bubblewrap's own.
_MORE_PROCESSES = 4


@dataclass(frozen=True)
class Group:
    """A control group that was made for a sandbox.

    Attributes:
        folders: of the group: one, or one for memory and one for processes (version 1).
        locks: which say that somebody uses them.
    """

    folders: tuple[Path, ...]
    locks: tuple[int, ...]

    def command(self, command: list[str]) -> list[str]:
        """The same command, in the group from its first moment."""
        return ["sh", "-c", _ENTER, "sh", *(str(folder / "cgroup.procs") for folder in self.folders), "--", *command]

    def kills(self) -> int:
        """How often the kernel had to end a process, because all together took too much memory."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                said = dict(line.split() for line in (self.folders[0] / name).read_text().splitlines())
                return int(said.get("oom_kill", 0))
        return 0

    def close(self) -> None:
        """End what is left in it, and remove it."""
        until = time.monotonic() + _SECONDS_TO_END
        for folder in self.folders:
            while True:
                with contextlib.suppress(OSError):
                    for process in map(int, (folder / "cgroup.procs").read_text().split()):
                        # 0 stands for one that cannot be seen from here, and means something else to `kill`.
                        if process > 0:
                            os.kill(process, signal.SIGKILL)
                    folder.rmdir()
                if not folder.exists() or time.monotonic() > until:
                    break
                time.sleep(0.01)
        for lock in self.locks:
            os.close(lock)


def make(memory: int, processes: int) -> Group | None:
    """A group with these limits, or None, if none can be made.

    Args:
        memory: bytes, of every kind, swapped or not.
        processes: threads included.
    """
    pids = {"pids.max": processes + _MORE_PROCESSES}
    two = {"memory.max": memory, "memory.swap.max": 0}
    # TCP's memory has a limit of its own there.
    one = {f"memory.{name}limit_in_bytes": memory for name in ("", "memsw.", "kmem.tcp.")}
    for parent in _version_2():
        if group := _made((parent,), (two | pids,)):
            return group
    memory_1, pids_1 = _version_1("memory"), _version_1("pids")
    if memory_1 and pids_1:
        return _made((memory_1, pids_1), (one, pids))
    return _made((memory_1,), (one,)) if memory_1 else None


def through_systemd(memory: int, processes: int) -> list[str]:
    """What comes before a command to run it in a group that systemd makes; nothing, where it does not."""
    limits = (f"MemoryMax={memory}", "MemorySwapMax=0", f"TasksMax={processes + _MORE_PROCESSES}")
    options = [part for limit in limits for part in ("-p", limit)]
    return [*_systemd_run(), *options, "--"] if _systemd_run() else []


def environment() -> dict[str, str]:
    """The variables by which systemd is found."""
    return {name: os.environ[name] for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS") if name in os.environ}


@cache
def kind() -> str:
    """What counts a sandbox's memory on this machine: "cgroup v2", "cgroup v1", "systemd", or "" for nothing."""
    if group := make(1 << 30, 64):
        is_two = (group.folders[0] / "memory.max").exists()
        group.close()
        return "cgroup v2" if is_two else "cgroup v1"
    return "systemd" if _systemd_run() else ""


def protection() -> str:
    """What limits, on this machine, the memory that all processes of a sandbox use together: half a sentence."""
    if how := kind():
        named = {"cgroup v2": "version 2", "cgroup v1": "version 1", "systemd": "made by systemd"}[how]
        return f"the kernel counts it all, in a control group ({named})"
    return "the grader looks at processes, sockets, files and what the machine has left, several times a second"


@cache
def _systemd_run() -> tuple[str, ...]:
    """Its command, if it answers."""
    command = ["systemd-run", *(["--user"] if os.geteuid() else []), "--scope", "--quiet", "--collect"]
    if not shutil.which(command[0]):
        return ()
    with contextlib.suppress(subprocess.TimeoutExpired):
        tried = [*command, "-p", "MemoryMax=1G", "-p", "TasksMax=64", "--", "true"]
        if subprocess.run(tried, capture_output=True, check=False, timeout=10).returncode == 0:
            return tuple(command)
    return ()


def _made(parents: tuple[Path, ...], limits: tuple[dict[str, int], ...]) -> Group | None:
    folders, locks = [], []
    try:
        for parent, values in zip(parents, limits, strict=True):
            _remove_left(parent)
            folder = parent / f"{_KIND}{secrets.token_hex(8)}"
            folder.mkdir()
            folders.append(folder)
            locks.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
            fcntl.flock(locks[-1], fcntl.LOCK_EX)
            for name, value in values.items():
                # A kernel may count no swap.
                if (folder / name).exists() or name in ("memory.max", "memory.limit_in_bytes"):
                    (folder / name).write_text(str(value))
    except OSError:
        Group(tuple(folders), tuple(locks)).close()
        return None
    return Group(tuple(folders), tuple(locks))


def _remove_left(parent: Path) -> None:
    """Remove groups whose grader was killed: nobody holds their lock, and their processes have ended."""
    for folder in parent.glob(f"{_KIND}*"):
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                folder.rmdir()
            finally:
                os.close(lock)


def _version_2() -> Iterator[Path]:
    """The groups in which one may be made, the nearest first: those that share memory out among the groups in them."""
    for mounted, _ in _mounted("cgroup2"):
        for own in _own(mounted, ""):
            for parent in (own, *own.parents):
                if not parent.is_relative_to(mounted[1]):
                    break
                with contextlib.suppress(OSError):
                    if "memory" in (parent / "cgroup.subtree_control").read_text().split():
                        yield parent


def _version_1(controller: str) -> Path | None:
    """This process's group in one of the hierarchies."""
    for mounted, options in _mounted("cgroup"):
        if controller in options:
            for own in _own(mounted, controller):
                return own
    return None


def _own(mounted: tuple[str, Path], controller: str) -> Iterator[Path]:
    root, point = mounted
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if (controller in controllers.split(",")) if controller else not controllers:
            # Seen from a container, a group may lie above what is mounted.
            yield point / os.path.relpath(path, root) if Path(path).is_relative_to(root) else point


def _mounted(system: str) -> Iterator[tuple[tuple[str, Path], list[str]]]:
    """Where such a file system is mounted, which part of it, and with which options."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        kind_, _, options = after.split(" ", 2)
        if kind_ == system:
            _, _, _, root, point, *_ = before.split(" ")
            yield (root, Path(point)), options.split(",")
