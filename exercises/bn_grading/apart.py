"""What reads, cleans or judges a student's bytes does so apart: in a process with limits of its own.

Bounds on size, depth and number come first, where the bytes are read, and nearly always are enough. This is for what
nobody thought of: a parser that takes a year for some text, or all memory. It then fails for that student alone.

The process is forked from one that has a single thread and imported everything once (`forkserver`), is used again as
long as it lives, and ends with the one that started it. A round trip takes less than a millisecond.
"""

import contextlib
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, TypeVarTuple

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

MIB = 1 << 20
# Of processor time for one piece of work: more than the largest notebook that is read takes.
SECONDS = 20
# Beyond what the process has when it starts.
MEMORY = 3072 * MIB
# What the grader has done apart; of anything else its own module is imported before the processes are forked.
_OF_THE_GRADER = ["bn_grading.judge", "bn_grading.notebooks"]


class TooMuchError(Exception):
    """A student's bytes take more time or memory than there is for them, or end what reads them."""


def begin(module: str) -> None:
    """Start the process from which the others are forked, and go on while it imports the module of what they do."""
    forkserver.set_forkserver_preload(_OF_THE_GRADER if module in _OF_THE_GRADER else [module])
    forkserver.ensure_running()


class NotStartedError(OSError):
    """There is no process to do the work in, whatever the work is."""


class _Worker:
    """A process that does one piece of work after another."""

    def __init__(self, module: str) -> None:
        context = multiprocessing.get_context("forkserver")
        # A worker of Dask's is a daemon, which may have no processes of its own; this one ends with it all the same.
        multiprocessing.current_process().daemon = False
        try:
            begin(module)
            self._connection, its = context.Pipe()
            self._process = context.Process(target=_work, args=(its,), daemon=True)
            with _no_main():
                self._process.start()
        except (OSError, EOFError) as error:
            raise NotStartedError(getattr(error, "errno", None), f"no process could be started: {error}") from error
        its.close()

    def run(self, function: Any, args: Any, seconds: int) -> Any:
        try:
            self._connection.send((function, args, seconds))
            return self._connection.recv()
        except (EOFError, OSError):
            self._connection.close()
            self._process.join()
            in_time = self._process.exitcode != -signal.SIGXCPU
            raise TooMuchError(
                "it ends the process that reads it" if in_time else f"it takes more than {seconds} seconds"
            ) from None


_starting = threading.Lock()


@contextlib.contextmanager
def _no_main() -> Iterator[None]:
    """Let a process begin without running the command's module once more: that imports what only the command needs."""
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


class _Here(threading.local):
    """What a thread has of its own."""

    worker: _Worker | None = None


_here = _Here()


def run(function: Callable[[*Ts], T], /, *args: *Ts, seconds: int = SECONDS) -> T:
    """Call a function of a module apart; what goes in and what comes out is pickled.

    Args:
        function: of a module.
        args: what it is called with.
        seconds: of processor time that it may take.

    Raises:
        TooMuchError: if it takes more than it may.
        NotStartedError: if the machine has no process for it.
        Exception: whatever it raises.
    """
    worker = _here.worker = _here.worker or _Worker(function.__module__)
    try:
        worked, result = worker.run(function, args, seconds)
    except TooMuchError:
        _here.worker = None
        raise
    if not worked:
        raise result
    return result  # type: ignore[no-any-return]


def _work(connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Not every system limits the one or tells the other.
    with contextlib.suppress(OSError, ValueError):
        most = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # At the other's end, whatever ended it, there is nothing more to read.
    with contextlib.suppress(EOFError, OSError):
        while True:
            function, args, seconds = connection.recv()
            _give(seconds)
            connection.send(_result(function, args))


def _result(function: Any, args: Any) -> tuple[bool, Any]:
    try:
        return True, function(*args)
    except MemoryError:
        return False, TooMuchError(f"it takes more than {MEMORY // MIB:,} MiB of memory")
    except Exception as error:
        return False, error


def _give(seconds: int) -> None:
    """Let the process take so much more processor time; then the system ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, hard))
