"""Sharing a compiled loop with the other cores, from loops of some tens of microseconds on.

A thread that sleeps takes longer to wake than such a loop takes. So a helper that has just helped goes on watching, for
a moment and in compiled code, for the next loop, and only then goes to sleep. The caller calls the loop first: that it
has begun is what a helper sees, and by then the caller has let go of Python's lock, which the helper needs to read what
it is to do. Helpers then take pieces of the loop from the same counter as the caller. Help is never waited for: whoever
comes late finds nothing left, and where nobody comes the caller does it all.

A caller returns when its helpers are back to watching: nobody holds its arrays then, or Python's lock.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from threading import Lock, Thread
from time import sleep
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from bn_lib._arrays import Array
from bn_lib.backends.compiling import compiled
from bn_lib.backends.threads import threads

PIECES = 64  # that a loop is cut into at most
SPINS = 100_000  # looks at a counter, of about three nanoseconds, before a thread does not wait for another any more
NAP = 2e-5  # seconds

# Two counters, in cache lines of their own: the loop's number and the next piece of it; and how many helpers are at it.
NEXT, HELPING = 0, 8
NUMBER = 1 << 16  # what the loop's number is multiplied by
ALONE = np.zeros(0, np.int64)  # counters for number 0


def _swapping(_: Any, counters: Any, index: Any, before: Any, after: Any) -> Any:
    """What counters[index] is; and if that is `before`, it is `after` now. All at once, as other threads see it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, index, before, after = arguments
        data = context.make_array(signature.args[0])(context, builder, array).data
        swapped = builder.cmpxchg(builder.gep(data, [index]), before, after, "seq_cst")
        return builder.extract_value(swapped, 0)

    number = types.int64
    return number(counters, number, number, number), generate


_swap: Any = intrinsic(_swapping)


@compiled()
def _add(counters: Array, index: int, change: int) -> None:
    value = counters[index]
    while True:
        seen = _swap(counters, index, value, value + change)
        if seen == value:
            return
        value = seen


@compiled(kept=False)
def taken(counters: Array, number: int, size: int) -> Iterator[int]:
    """Those of range(size) that no other thread takes from loop `number`.

    Number 0 is not shared; of a shared one the caller has the number, and its helpers the negative of it.
    """
    if number == 0:
        for i in range(size):
            yield i
        return
    step, begin = -(-size // PIECES), abs(number) * NUMBER
    if number > 0:
        before, seen = -1, counters[NEXT]
        while seen != before:
            before = seen
            seen = _swap(counters, NEXT, before, begin)
    present = begin
    while begin <= present < begin + NUMBER and (present - begin) * step < size:
        seen = _swap(counters, NEXT, present, present + 1)
        if seen == present:
            start = (present - begin) * step
            for i in range(start, min(start + step, size)):
                yield i
            present += 1
        else:
            present = seen
    if number > 0:
        for _ in range(SPINS):
            if _swap(counters, HELPING, 0, 0) == 0:
                return


@compiled()
def _next_loop(counters: Array, last: int) -> int:
    """The number of a loop after the `last`, or 0 if none begins. With 0 for `last`, after a sleep, of the present one.

    Whoever returns with a number is helping, until the next call.
    """
    if last:
        _add(counters, HELPING, -1)
    for _ in range(SPINS):
        number = _swap(counters, NEXT, 0, 0) // NUMBER
        if number != last:
            _add(counters, HELPING, 1)
            return number
    return 0


class Team:
    """Threads that help a caller, one at a time.

    Attributes:
        free: a lock that the caller holds.
        counters: see NEXT and HELPING.
    """

    def __init__(self, helpers: int) -> None:
        self.free = Lock()
        self.counters = np.zeros(16, np.int64)
        self._loops = 0
        self._task: tuple[Callable[..., None], tuple[Any, ...], int] | None = None
        self._asleep: list[Lock] = []
        self._failure: BaseException | None = None
        with suppress(RuntimeError):  # no more threads: the interpreter is ending, or the system has none
            for _ in range(helpers):
                Thread(target=self._watch, name="bn_lib", daemon=True).start()

    def run(self, loop: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Call `loop` here and in the helpers. An exception in any of them is raised here."""
        self._loops += 1
        self._failure, self._task = None, (loop, arguments, self._loops)
        while self._asleep:
            self._asleep.pop().release()
        try:
            loop(*arguments, self.counters, self._loops)
        finally:
            self._task = None
            while self.counters[HELPING]:
                sleep(NAP)
        failure, self._failure = self._failure, None
        if failure:
            raise failure

    def _watch(self) -> None:
        alarm, number = Lock(), 0
        alarm.acquire()
        while True:
            number = _next_loop(self.counters, number)
            if number:
                self._help()
            else:
                self._asleep.append(alarm)
                alarm.acquire()

    def _help(self) -> None:  # a function of its own, so that nothing of the caller's stays behind
        if (task := self._task) is None:
            return
        loop, arguments, number = task  # which may be the number of a loop that has not begun: it has no pieces yet
        try:
            loop(*arguments, self.counters, -number)
        except BaseException as error:
            self._failure = error


_team = cache(Team)

if hasattr(os, "register_at_fork"):  # a child process has none of its parent's threads
    os.register_at_fork(after_in_child=_team.cache_clear)


def share(loop: Callable[..., None], *arguments: Any) -> None:
    """Call `loop(*arguments, counters, number)`, which does the pieces that it is given by `taken(counters, number)`.

    Other threads call it too. If they are busy helping somebody else, it is called here alone.
    """
    helpers = threads() - 1
    team = _team(helpers) if helpers else None
    if team is None or not team.free.acquire(blocking=False):
        loop(*arguments, ALONE, 0)
        return
    try:
        team.run(loop, arguments)
    finally:
        team.free.release()
