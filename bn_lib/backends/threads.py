"""Splitting a loop over channels, samples or rows among the processor's cores.

NumPy and compiled loops let go of Python's lock, so plain threads of the standard library are enough. Pieces are few
and large: handing one over costs tens of microseconds.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import cache


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
    bounds = [size * i // pieces for i in range(pieces + 1)]
    futures = [_pool().submit(copy_context().run, work, bounds[i], bounds[i + 1]) for i in range(pieces - 1)]
    try:
        work(bounds[-2], bounds[-1])
    finally:
        wait(futures)
    for future in futures:
        future.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads(), thread_name_prefix="bn_lib")


if hasattr(os, "register_at_fork"):  # a child process has none of its parent's threads, and would wait for them forever
    os.register_at_fork(after_in_child=_pool.cache_clear)
