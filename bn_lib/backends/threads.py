"""How many threads there are, and splitting a loop of NumPy operations among them. Compiled loops have a `team`.

NumPy lets go of Python's lock, so plain threads of the standard library are enough. Pieces are few and large: handing
one over costs tens of microseconds.
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


@cache
def threads() -> int:
    """How many threads share the work: what `OMP_NUM_THREADS` says, otherwise the cores this process may use."""
    asked_for = os.environ.get("OMP_NUM_THREADS", "")
    if asked_for.isdecimal() and int(asked_for) > 0:
        return int(asked_for)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_pieces(work: Callable[[int, int], None], size: int, *, least: int = 1) -> None:
    """Call `work(start, stop)` on pieces that cover range(size), at most one a thread, each at least `least` long.

    The last piece runs in the calling thread; the others see its context, such as `np.errstate`. When this returns or
    raises, all of them have ended. An exception in any piece is raised here.
    """
    pieces = max(1, min(threads(), size // max(1, least)))
    if pieces == 1:
        work(0, size)
        return
    todo = deque(pairwise(size * i // pieces for i in range(pieces + 1)))

    def take() -> None:
        while todo:
            try:
                start, stop = todo.pop()
            except IndexError:  # another thread was faster
                return
            work(start, stop)

    futures: list[Future[None]] = []
    try:
        try:
            for _ in range(pieces - 1):
                futures.append(_pool().submit(copy_context().run, take))
        except RuntimeError:  # no more threads: the interpreter is ending, or the system has none
            _pool.cache_clear()  # it would keep for ever what was handed to the thread that it could not start
        take()
    finally:
        todo.clear()
        begun = [future for future in futures if not future.cancel()]
        wait(begun)
    for future in begun:
        future.result()


@cache
def _pool() -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # refused while the interpreter ends

    return ThreadPoolExecutor(threads(), thread_name_prefix="bn_lib")


if hasattr(os, "register_at_fork"):  # a child process has none of its parent's threads, and would wait for them forever
    os.register_at_fork(after_in_child=_pool.cache_clear)
