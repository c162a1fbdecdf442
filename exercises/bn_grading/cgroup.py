"""Control groups, with which the kernel counts and limits what all processes of a sandbox use together.

The limit of a single process counts only the memory that the process maps. It does not count what the kernel keeps on
its behalf, such as data in a socket that nobody reads, or the entries of a folder. A control group counts both. The
grader makes a group for each sandbox where it has the right to: beside its own group or further up (version 2), inside
its own group (version 1), or through systemd. Where it has not, `execute` watches from outside what the processes use.
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
# A shell that enters the group and then becomes the sandbox's command, so that no part of the sandbox is outside.
_ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 1; shift; done; shift; exec "$@"'
_SECONDS_TO_END = 2
# Those that bubblewrap itself needs.
_MORE_PROCESSES = 4


@dataclass(frozen=True)
class Group:
    """A control group that was made for a sandbox.

    Attributes:
        folders: the group's folder; in version 1 two of them, for memory and for processes.
        locks: open files whose locks say that the folders are in use.
    """

    folders: tuple[Path, ...]
    locks: tuple[int, ...]

    def command(self, command: list[str]) -> list[str]:
        """The command, extended so that it runs in the group from the start."""
        return ["sh", "-c", _ENTER, "sh", *(str(folder / "cgroup.procs") for folder in self.folders), "--", *command]

    def kills(self) -> int:
        """How many processes the kernel ended because the group was over its memory limit."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                said = dict(line.split() for line in (self.folders[0] / name).read_text().splitlines())
                return int(said.get("oom_kill", 0))
        return 0

    def close(self) -> None:
        """Kill the processes that are left in the group, and remove it."""
        until = time.monotonic() + _SECONDS_TO_END
        for folder in self.folders:
            while True:
                with contextlib.suppress(OSError):
                    for process in map(int, (folder / "cgroup.procs").read_text().split()):
                        # 0 stands for a process that cannot be seen from here; `kill` would take it for our own group.
                        if process > 0:
                            os.kill(process, signal.SIGKILL)
                    folder.rmdir()
                if not folder.exists() or time.monotonic() > until:
                    break
                time.sleep(0.01)
        for lock in self.locks:
            os.close(lock)


def make(memory: int, processes: int) -> Group | None:
    """A new group with these limits, or None if this account may make none.

    Args:
        memory: bytes of memory of every kind, with what is swapped out.
        processes: how many processes and threads.
    """
    pids = {"pids.max": processes + _MORE_PROCESSES}
    two = {"memory.max": memory, "memory.swap.max": 0}
    # Version 1 has separate limits for memory, for memory with swap, and for the buffers of TCP.
    one = {f"memory.{name}limit_in_bytes": memory for name in ("", "memsw.", "kmem.tcp.")}
    for parent in _version_2():
        if group := _made((parent,), (two | pids,)):
            return group
    memory_1, pids_1 = _version_1("memory"), _version_1("pids")
    if memory_1 and pids_1:
        return _made((memory_1, pids_1), (one, pids))
    return _made((memory_1,), (one,)) if memory_1 else None


def through_systemd(memory: int, processes: int) -> list[str]:
    """The words to put before a command so that systemd runs it in a group; none where systemd does not answer."""
    limits = (f"MemoryMax={memory}", "MemorySwapMax=0", f"TasksMax={processes + _MORE_PROCESSES}")
    options = [part for limit in limits for part in ("-p", limit)]
    return [*_systemd_run(), *options, "--"] if _systemd_run() else []


def environment() -> dict[str, str]:
    """The environment variables that `systemd-run` needs."""
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
    """The beginning of a `systemd-run` command, empty where a trial of it fails."""
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
                # Not every kernel counts swap or TCP. The limit on memory itself must be there.
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
    """The groups in which a group with a limit on memory can be made, the nearest first."""
    for mounted, _ in _mounted("cgroup2"):
        for own in _own(mounted, ""):
            for parent in (own, *own.parents):
                if not parent.is_relative_to(mounted[1]):
                    break
                with contextlib.suppress(OSError):
                    if "memory" in (parent / "cgroup.subtree_control").read_text().split():
                        yield parent


def _version_1(controller: str) -> Path | None:
    """This process's group in the hierarchy of one controller."""
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
            # In a container the group may lie outside of what is mounted; such a group is left out.
            yield point / os.path.relpath(path, root) if Path(path).is_relative_to(root) else point


def _mounted(system: str) -> Iterator[tuple[tuple[str, Path], list[str]]]:
    """Each mount of a file system of this type, as (the part of it that is mounted, where), and its options."""
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
