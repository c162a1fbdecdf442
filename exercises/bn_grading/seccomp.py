"""A filter of system calls for the sandbox, as the kernel reads it: what its other walls have no door for.

Each refused call leads around a limit that holds otherwise. With namespaces of its own a process is root in them, and
mounts file systems of any size. Memory without a process that maps it is counted for none. Keys of the grader's session
are not in any namespace, nor are the sockets between a virtual machine and its host. Limits and priorities of another
process of the same account are anybody's to lower, those of the first process too, from which the next notebook has
them. A computer with another processor has no filter; all other walls stand there, too.
"""

import os
import platform
import socket
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
            "socket": 41,
            "socketpair": 53,
            "setpriority": 141,
            "sched_setparam": 142,
            "sched_setscheduler": 144,
            "sched_setaffinity": 203,
            "ioprio_set": 251,
            "prlimit64": 302,
            "sched_setattr": 314,
            "io_setup": 206,
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
            "socket": 198,
            "socketpair": 199,
            "setpriority": 140,
            "sched_setparam": 118,
            "sched_setscheduler": 119,
            "sched_setaffinity": 122,
            "ioprio_set": 30,
            "prlimit64": 261,
            "sched_setattr": 274,
            "io_setup": 0,
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
_CLONE_NEWUSER, _SHARED_AND_NAMELESS = 0x10000000, 0x21
_ALL_BITS, _KIND_OF_SOCKET = 0xFFFFFFFF, 0xF
_FIRST_PROCESS = 1
# Some are allowed with certain arguments, in one way or another: which argument, which bits of it, and what is the only
# that these may be, or the one that they may not.
_Way = tuple[tuple[int, int, str, tuple[int, ...]], ...]
_NOT_THE_FIRST: _Way = ((0, _ALL_BITS, "not", (_FIRST_PROCESS,)),)
_SOCKETS: tuple[_Way, ...] = (
    (
        (0, _ALL_BITS, "only", (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)),
        (1, _KIND_OF_SOCKET, "only", (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET)),
        # Others are made by parts of the kernel that would be loaded for it.
        (2, _ALL_BITS, "only", (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP)),
    ),
    # To be told which interfaces there are: ZeroMQ asks.
    ((0, _ALL_BITS, "only", (socket.AF_NETLINK,)), (2, _ALL_BITS, "only", (socket.NETLINK_ROUTE,))),
)
_WAYS: dict[str, tuple[_Way, ...]] = {
    "clone": (((0, _CLONE_NEWUSER, "not", (_CLONE_NEWUSER,)),),),
    "mmap": (((3, _SHARED_AND_NAMELESS, "not", (_SHARED_AND_NAMELESS,)),),),
    "socket": _SOCKETS,
    "socketpair": _SOCKETS,
    "prlimit64": (_NOT_THE_FIRST,),
    "sched_setparam": (_NOT_THE_FIRST,),
    "sched_setscheduler": (_NOT_THE_FIRST,),
    "sched_setaffinity": (_NOT_THE_FIRST,),
    "sched_setattr": (_NOT_THE_FIRST,),
    # Of a process, for which each has a number of its own; not of a group, nor of all of an account.
    "setpriority": (((0, _ALL_BITS, "only", (0,)), (1, _ALL_BITS, "not", (_FIRST_PROCESS,))),),
    "ioprio_set": (((0, _ALL_BITS, "only", (1,)), (1, _ALL_BITS, "not", (_FIRST_PROCESS,))),),
}
# The numbers of a second set of calls on x86_64, "x32", that is nowhere used.
_X32 = 0x40000000

# Instructions of the kernel's packet filter: an operation, two jumps, an operand.
_Instruction = tuple[int, int, int, int]
_LOAD, _AND, _JUMP, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x05, 0x15, 0x35, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
_REFUSE = (_RETURN, 0, 0, _ERROR | EPERM)
# Where it finds things: the call's number, the processor's, the lower halves of the arguments.
_NUMBER, _PROCESSOR, _ARGUMENTS, _SIZE = 0, 4, 16, 8


def program(machine: str) -> bytes:
    """The filter for a kind of processor; empty, if none is known."""
    if machine not in _CALLS:
        return b""
    processor, calls = _CALLS[machine]
    instructions = [(_LOAD, 0, 0, _PROCESSOR), (_EQUAL, 1, 0, processor), _REFUSE]
    instructions += [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), _REFUSE]
    for name, number in calls.items():
        answer = _answer(name)
        instructions += [(_EQUAL, 0, len(answer), number), *answer]
    instructions.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *each) for each in instructions)


def _answer(name: str) -> list[_Instruction]:
    """What becomes of a call; each way through it ends with a return."""
    # Its flags lie where no filter can look. The C library uses `clone` where it is not there.
    if name == "clone3":
        return [(_RETURN, 0, 0, _ERROR | ENOSYS)]
    return [*(each for way in _WAYS.get(name, ()) for each in _allowed(way)), _REFUSE]


def _allowed(way: _Way) -> list[_Instruction]:
    """Allows a call with these arguments; goes on behind itself with others."""
    instructions = [(_RETURN, 0, 0, _ALLOW)]
    for argument, bits, which, values in reversed(way):
        on, behind = [(_JUMP, 0, 0, len(instructions))], len(values)
        tests = [
            (_EQUAL, behind - place, 0, value) if which == "only" else (_EQUAL, 0, 1, value)
            for place, value in enumerate(values)
        ]
        instructions = [(_LOAD, 0, 0, _ARGUMENTS + argument * _SIZE), (_AND, 0, 0, bits), *tests, *on, *instructions]
    return instructions


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
