"""A filter of system calls for the sandbox, as the kernel reads it: what its other walls have no door for.

Each refused call leads around a limit that holds otherwise. With namespaces of its own a process is root in them, and
mounts file systems of any size. Memory without a process that maps it is counted for none. Keys of the grader's session
are not in any namespace. A computer with another processor has no filter; all other walls stand there, too.
"""

import os
import platform
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSYS, EPERM

# For each kind of processor: its number in the kernel's audit.h, and those of the calls.
_CALLS = {
    "x86_64": (
        0xC000003E,
        {
            "mmap": 9,
            "clone": 56,
            "clone3": 435,
            "shmget": 29,
            "msgget": 68,
            "semget": 64,
            "ptrace": 101,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "unshare": 272,
            "perf_event_open": 298,
            "setns": 308,
            "memfd_create": 319,
            "bpf": 321,
            "userfaultfd": 323,
            "io_uring_setup": 425,
            "memfd_secret": 447,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "mmap": 222,
            "clone": 220,
            "clone3": 435,
            "shmget": 194,
            "msgget": 186,
            "semget": 190,
            "ptrace": 117,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "unshare": 97,
            "perf_event_open": 241,
            "setns": 268,
            "memfd_create": 279,
            "bpf": 280,
            "userfaultfd": 282,
            "io_uring_setup": 425,
            "memfd_secret": 447,
        },
    ),
}
# Looked at more closely than by their names.
_SPECIAL = ("mmap", "clone", "clone3")
_CLONE_NEWUSER = 0x10000000
_SHARED_AND_NAMELESS = 0x21
# The numbers of a second set of calls on x86_64, "x32", that is nowhere used.
_X32 = 0x40000000

# Instructions of the kernel's packet filter.
_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
# Where it finds things: the call's number, the processor's, the lower half of each argument.
_NUMBER, _PROCESSOR, _FIRST, _FOURTH = 0, 4, 16, 40


def program(machine: str) -> bytes:
    """The filter for a kind of processor; empty, if none is known."""
    if machine not in _CALLS:
        return b""
    processor, calls = _CALLS[machine]
    refuse = (_RETURN, 0, 0, _ERROR | EPERM)
    lines = [(_LOAD, 0, 0, _PROCESSOR), (_EQUAL, 1, 0, processor), refuse]
    lines += [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), refuse]
    for name, number in calls.items():
        if name not in _SPECIAL:
            lines += [(_EQUAL, 0, 1, number), refuse]
    # Its flags lie where no filter can look. The C library uses `clone` where it is not there.
    lines += [(_EQUAL, 0, 1, calls["clone3"]), (_RETURN, 0, 0, _ERROR | ENOSYS)]
    lines += [(_EQUAL, 0, 3, calls["clone"]), (_LOAD, 0, 0, _FIRST), (_ANY_BIT, 0, 5, _CLONE_NEWUSER), refuse]
    lines += [(_EQUAL, 0, 3, calls["mmap"]), (_LOAD, 0, 0, _FOURTH), (_AND, 0, 0, _SHARED_AND_NAMELESS)]
    lines += [(_EQUAL, 1, 0, _SHARED_AND_NAMELESS), (_RETURN, 0, 0, _ALLOW), refuse]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


@contextmanager
def descriptor() -> Iterator[int | None]:
    """A descriptor from which a program that is started can read the filter; None, if there is none."""
    if not (filter_ := program(platform.machine())):
        yield None
        return
    reads, writes = os.pipe()
    try:
        # Less than a pipe holds.
        os.write(writes, filter_)
        os.close(writes)
        yield reads
    finally:
        os.close(reads)
