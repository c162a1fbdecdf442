"""Phase 2: run the notebooks of one submission in a sandbox. Untrusted code runs there; here its outputs are data.

`run_submission` takes plain data and returns plain data, so it runs here or on any machine of a cluster. It keeps the
time and the amounts from outside: whatever happens inside, it ends. A cell that ends its process, or that does not stop
when it is told to, counts as a cell that failed: the notebook is run again without it, as it would be with any other
error.
"""

import base64
import contextlib
import json
import marshal
import math
import os
import platform
import secrets
import selectors
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import IO, Any

import psutil

from bn_grading import cgroup, outputs, sandbox, seccomp, what_enters
from bn_grading.container import Container
from bn_grading.places import SCRATCH, WRITABLE
from bn_grading.sandbox import Limits, NoSandboxError
from bn_grading.temporary import Folder, remove_left

# How often a notebook is begun again without the cell that ended it.
MOST_BEGINS = 4
# For Python to start and import NumPy, on a machine that is busy.
_START_SECONDS = 120
# From an interrupt to the end of a cell that heeds it.
_GRACE_SECONDS = 5
_LOOK_SECONDS = 0.25
# From the end of the sandbox to the last that was written in it.
_LAST_SECONDS = 1
# For the sandbox to read what it is to do.
_ORDER_SECONDS = 60
_MOST_STDERR = 4000
_PIECE = 1 << 20
# Of what may be sent of a notebook, for what is only shown; the rest is for what decides scores.
_SHOWN = 0.75
_FIRST_SAYS = ("ready", "ended", "written", "left")
_NOTEBOOK_SAYS = ("begins", "ends", "failed", "cut", "outputs", "count", "finished", "last")


@dataclass(frozen=True)
class Notebook:
    """What of a notebook enters the sandbox.

    Attributes:
        name: without ".ipynb".
        cells: of the code cells, the place in the notebook and the source.
        sheet: what it is told of its problem; empty, if it is about none of ours.
        modules: sources that only this notebook gets.
    """

    name: str
    cells: list[dict[str, Any]]
    sheet: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Submission:
    """What of a submission enters the sandbox.

    Attributes:
        student: for the grader's own records; it does not enter.
        notebooks: in order.
        files: what lies beside them, by relative path, in base64.
        limits: what it may use.
        safe: in a sandbox. If not, in the grader's own account.
        hidden: folders that are not to be seen from the sandbox, wherever they lie.
        container: the sandbox is one; otherwise bubblewrap makes it.
    """

    student: str
    notebooks: list[Notebook]
    files: dict[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    safe: bool = True
    hidden: tuple[str, ...] = ()
    container: Container | None = None


@dataclass
class Executed:
    """What came out for one notebook.

    Attributes:
        name: as it went in.
        outputs: for each cell that ran, by its place: its outputs, at which nobody looked yet.
        counts: for each cell that began, the execution count.
        failed: for each cell of which it was said clearly, whether it failed.
        cut: the cells of whose outputs something is missing.
        stopped: for each cell that ended its process or had to be ended, by its place, the reason.
        written: new files, by relative path, at which nobody looked yet.
        left: how many other new files there were: too many, or too large.
        finished: whether it came to its end.
        seconds: how long it took, all attempts together.
    """

    name: str
    outputs: dict[int, list[Any]] = field(default_factory=dict)
    counts: dict[int, int | None] = field(default_factory=dict)
    failed: dict[int, bool] = field(default_factory=dict)
    cut: set[int] = field(default_factory=set)
    stopped: dict[int, str] = field(default_factory=dict)
    written: dict[str, bytes] = field(default_factory=dict)
    left: int = 0
    finished: bool = False
    seconds: float = 0.0

    def begin_again(self) -> None:
        """Forget what an attempt brought, but for the cells that it stopped at, and its time."""
        for each in (self.outputs, self.counts, self.failed, self.cut, self.written):
            each.clear()
        self.left = 0


class _Turns:
    """Who may speak of which cell: each begins once, in order, when the one before has ended, and ends once.

    Students' code can write what the notebook's process writes. So the clock of a cell is set when it is its turn and
    not again, and a cell of which two different things are said is one of which nothing is known.
    """

    def __init__(self, notebook: Notebook, executed: Executed) -> None:
        self._order = [cell["index"] for cell in notebook.cells]
        self._executed = executed
        self._said: dict[int, Any] = {}

    def begins(self, index: Any) -> bool:
        """Note that a cell begins; False, if it is not its turn."""
        done = self._executed
        turn = len(done.counts)
        if type(index) is not int or turn > len(done.outputs) or self._order[turn : turn + 1] != [index]:
            return False
        done.counts[index] = None
        return True

    def ends(self, frame: dict[str, Any]) -> None:
        """Note what is said of a cell."""
        index, done = frame["ends"], self._executed
        if type(index) is not int or index not in self._order:
            return
        put_out = frame["outputs"] if isinstance(frame.get("outputs"), list) else []
        failed = frame["failed"] if type(frame.get("failed")) is bool else None
        said = (failed, outputs.deciding(put_out))
        same = self._said.setdefault(index, said) == said
        if index in done.counts and index not in done.outputs:
            done.outputs[index] = put_out
            done.counts[index] = outputs.count(frame.get("count"))
            if frame.get("cut") is not False:
                done.cut.add(index)
            if failed is not None:
                done.failed[index] = failed
        if not same:
            done.failed.pop(index, None)


class SandboxFailedError(Exception):
    """The sandbox did not start: the machine's failure, not the student's."""


class _LostError(Exception):
    """The sandbox ended or had to be ended while a notebook ran."""


def run_submission(submission: Submission) -> list[Executed]:
    """Run all notebooks, each in a process of its own, and return what came out of each.

    Raises:
        SandboxFailedError: if no sandbox starts.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(Folder("bn-grading-")))
        folder.chmod(0o711)
        inside = inside_folder()
        box: _Sandbox | None = None
        done = []
        try:
            last = time.monotonic() + submission.limits.submission_seconds
            for notebook in submission.notebooks:
                executed = Executed(notebook.name)
                for _ in range(MOST_BEGINS):
                    if time.monotonic() > last:
                        break
                    if box is None:
                        box = _Sandbox(inside, submission, folder)
                    executed.begin_again()
                    began = time.monotonic()
                    try:
                        box.run(notebook, submission, executed)
                    except _LostError as lost:
                        why = box.why(str(lost))
                        box.close()
                        box = None
                    else:
                        why = box.why("it ended the process that runs the notebook")
                    executed.seconds += time.monotonic() - began
                    over = executed.seconds >= submission.limits.notebook_seconds
                    if executed.finished or not _blame(executed, why) or over:
                        break
                done.append(executed)
        finally:
            if box is not None:
                box.close()
    return done


@cache
def try_sandbox(container: Container | None = None, hidden: tuple[str, ...] = ()) -> None:
    """Start one as for a submission, with its Python and all that is mounted, and end it.

    Raises:
        NoSandboxError: if it does not start, or if its Python is not the grader's.
    """
    if container is None:
        sandbox.refuse_without_bubblewrap()
    with Folder("bn-grading-") as folder:
        nobody = Submission("nobody", [], hidden=hidden, container=container)
        try:
            _Sandbox(inside_folder(), nobody, Path(folder)).close()
        except SandboxFailedError as error:
            raise NoSandboxError(f"{error}{sandbox.INSTEAD if container is None else ''}") from None


def _blame(executed: Executed, why: str) -> bool:
    """Note the cell that was running; False if there is none, or it was left out already.

    Raises:
        SandboxFailedError: if not even the first cell began. No student can do that.
    """
    if not executed.counts:
        raise SandboxFailedError(f"{executed.name} did not begin: {why}")
    # Between two cells it was the last one, or what that left behind.
    running = [index for index in executed.counts if index not in executed.outputs] or list(executed.counts)
    if running[-1] in executed.stopped:
        return False
    executed.stopped[running[-1]] = why
    return True


_made: dict[int, tuple[Folder, Path]] = {}
_making = threading.Lock()


def inside_folder() -> Path:
    """The folder of `what_enters`, made once for each process of the grader, and removed when that ends."""
    with _making:
        if os.getpid() not in _made:
            remove_left()
            folder = Folder("bn-inside-")
            _made[os.getpid()] = folder, what_enters.assemble(Path(folder.name))
        return _made[os.getpid()][1]


class _Sandbox:
    """A sandbox with the process that forks, and the pipes to it."""

    def __init__(self, inside: Path, submission: Submission, folder: Path) -> None:
        self.limits = submission.limits
        self._container = submission.container
        self._name = f"bn-grade-{secrets.token_hex(8)}"
        scratch = SCRATCH if submission.safe else str(folder)
        environment: dict[str, str] | None = sandbox.environment(scratch)
        # In a network and with folders of its own. A container is in a group that its engine made.
        self._alone = submission.safe and not self._container
        self._group = cgroup.make(self.limits.together, self.limits.processes) if self._alone else None
        self._kills = 0
        self._too_much = f"its processes used more than {self.limits.memory >> 20} MiB of memory"
        with seccomp.descriptor() as refusals:
            if self._container:
                # The engine is the grader's own program, and has a filter of its own.
                command, environment = self._container.command(inside, self.limits, self._name), None
            else:
                command = sandbox.command(
                    inside,
                    self.limits,
                    safe=submission.safe,
                    scratch=scratch,
                    hidden=submission.hidden,
                    refusals=refusals,
                )
            if self._group:
                command = self._group.command(command)
            elif self._alone:
                command = [*cgroup.through_systemd(self.limits.together, self.limits.processes), *command]
                environment = {**(environment or {}), **cgroup.environment()}
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                # Podman's helper leaves a file where it stands, of a container that ran out of memory.
                cwd=folder,
                start_new_session=True,
                pass_fds=() if refusals is None else (refusals,),
            )
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        # What the first process says comes by standard error: students' code has no end of that.
        self._in, self._out, self._first = self._process.stdin, self._process.stdout, self._process.stderr
        self._selector = selectors.DefaultSelector()
        for file in (self._out, self._first):
            os.set_blocking(file.fileno(), False)
            self._selector.register(file, selectors.EVENT_READ)
        os.set_blocking(self._in.fileno(), False)
        self._writing = selectors.DefaultSelector()
        self._writing.register(self._in, selectors.EVENT_WRITE)
        self._frames: deque[dict[str, Any]] = deque()
        self._unfinished = {self._out: b"", self._first: b""}
        self._complaint = b""
        self._gone = False
        # Until it is ready, what it shows is this machine, and nothing of a student's runs.
        self._looked = math.inf
        self._deadline = 0.0
        self._read = 0
        try:
            account = sandbox.account() if submission.safe and not self._container else None
            self._order(
                {
                    "account": account,
                    "limits": self.limits.of_process() if submission.safe else {},
                    "alone": submission.safe,
                    # bubblewrap has set it, where that made the sandbox.
                    "refusals": base64.b64encode(seccomp.program(platform.machine())).decode()
                    if self._container
                    else "",
                    "most_output": self.limits.output,
                    "most_sent": int(_SHOWN * self.limits.sent),
                }
            )
            self._deadline = time.monotonic() + _START_SECONDS
            ready = (self._next() or {}).get("ready")
            if ready is None:
                raise _LostError("it did not start")
            if ready != MAGIC_NUMBER.hex():
                raise _LostError(f"its Python is another version; expected {sys.version.partition(' ')[0]}")
            self._looked = 0.0
        except (_LostError, OSError) as error:
            self.close()
            raise SandboxFailedError(f"the sandbox: {error}. {self._complaint.decode(errors='replace')}") from None

    def run(self, notebook: Notebook, submission: Submission, executed: Executed) -> None:
        """Run a notebook and put what comes out into `executed`.

        Raises:
            _LostError: if the sandbox is gone, or was made to go.
        """
        skipped = {str(index): why for index, why in executed.stopped.items()}
        order = {
            "cells": notebook.cells,
            "sheet": notebook.sheet,
            "modules": {name: _compiled(name, source) for name, source in notebook.modules.items()},
            "files": submission.files,
            "skip": skipped,
        }
        try:
            self._order({"run": order})
        except OSError:
            raise _LostError("the sandbox had ended") from None
        turns = _Turns(notebook, executed)
        # All attempts together.
        end = time.monotonic() + self.limits.notebook_seconds - executed.seconds
        self._deadline = end
        self._read = 0
        self._kills = self._group.kills() if self._group else 0
        interrupted = False
        last, said = None, set()
        while last is None or last not in said:
            frame = self._next()
            if frame is None:
                if self._gone:
                    raise _LostError("it ended the sandbox")
                if time.monotonic() >= end:
                    raise _LostError(f"the notebook took longer than {self.limits.notebook_seconds:g} s")
                if interrupted:
                    raise _LostError(f"it took longer than {self.limits.cell_seconds:g} s and could not be interrupted")
                self._interrupt()
                interrupted, self._deadline = True, min(end, time.monotonic() + _GRACE_SECONDS)
                continue
            if "begins" in frame:
                if turns.begins(frame["begins"]):
                    interrupted, self._deadline = False, min(end, time.monotonic() + self.limits.cell_seconds)
            elif "ends" in frame:
                turns.ends(frame)
            elif "finished" in frame:
                executed.finished = True
                self._deadline = min(end, time.monotonic() + _GRACE_SECONDS)
            elif "ended" in frame:
                last, self._deadline = frame["ended"], min(end, time.monotonic() + _GRACE_SECONDS)
                executed.written = {name: base64.b64decode(content) for name, content in frame["written"].items()}
                executed.left = frame["left"]
            elif isinstance(frame.get("last"), str):
                said.add(frame["last"])

    def why(self, otherwise: str) -> str:
        """Why something ended: whatever else it looks like, the kernel may have ended it."""
        return self._too_much if self._group and self._group.kills() > self._kills else otherwise

    def close(self) -> None:
        """End it: with the sandbox's first process, all others in it end."""
        with contextlib.suppress(OSError):
            self._in.close()
        if self._container:
            self._container.end(self._name)
        self._process.kill()
        self._process.wait()
        if self._group:
            self._group.close()
        self._selector.close()
        self._writing.close()
        self._out.close()
        self._first.close()

    def _order(self, order: dict[str, Any]) -> None:
        """Tell the first process, which students' code may have stopped: it need not read."""
        rest = json.dumps(order).encode() + b"\n"
        until = time.monotonic() + _ORDER_SECONDS
        while rest:
            if not self._writing.select(max(0, until - time.monotonic())):
                raise _LostError("it stopped the sandbox")
            rest = rest[os.write(self._in.fileno(), rest[:_PIECE]) :]

    def _interrupt(self) -> None:
        with contextlib.suppress(OSError):
            self._order({"interrupt": True})

    def _next(self) -> dict[str, Any] | None:
        """What the sandbox says next; None at the deadline, or when it has ended."""
        while not self._frames:
            left = self._deadline - time.monotonic()
            if left <= 0:
                return None
            self._refuse_too_much_memory()
            ready = {key.fileobj for key, _ in self._selector.select(min(left, _LOOK_SECONDS))}
            if self._first in ready:
                said = os.read(self._first.fileno(), _PIECE)
                self._frames += _parsed(self._lines(self._first, said), _FIRST_SAYS)
                self._complaint = (self._complaint + said)[:_MOST_STDERR]
                if not said:
                    self._selector.unregister(self._first)
                    # What notebooks wrote before may still be on its way.
                    self._gone, self._deadline = True, min(self._deadline, time.monotonic() + _LAST_SECONDS)
            elif self._out in ready:
                said = os.read(self._out.fileno(), _PIECE)
                self._read += len(said)
                if self._read > self.limits.sent:
                    raise _LostError("it wrote more than can be read")
                self._frames += _parsed(self._lines(self._out, said), _NOTEBOOK_SAYS)
                if not said:
                    self._selector.unregister(self._out)
                    if self._gone:
                        break
        return self._frames.popleft() if self._frames else None

    def _lines(self, file: IO[bytes], said: bytes) -> list[bytes]:
        """The lines that are whole by now."""
        *lines, self._unfinished[file] = (self._unfinished[file] + said).split(b"\n")
        return lines

    def _refuse_too_much_memory(self) -> None:
        """See now and then what all processes of the sandbox use together: a limit of a process holds for it alone."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        if self._group:
            if self._group.kills() > self._kills:
                raise _LostError(self._too_much)
            return
        if _used(self._process.pid, self._alone) > self.limits.memory:
            raise _LostError(self._too_much)
        if self._alone and (left := psutil.virtual_memory().available) < _least_left():
            # Whoever it was: nobody's answers are lost, and it is tried again.
            raise SandboxFailedError(f"the machine has {left >> 20} MiB of memory left")


# What the kernel keeps for an empty file in memory, and its name.
_BYTES_OF_A_FILE = 1536


def _used(sandbox_process: int, alone: bool) -> int:
    """Bytes that the processes below that one use: what they map, and, if they are alone, what the kernel keeps."""
    used, kept = 0, 0
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(sandbox_process).children(recursive=True):
            with contextlib.suppress(psutil.Error, OSError):
                used += _memory_of(process)
            # All see the same, but one may have ended.
            with contextlib.suppress(OSError, IndexError):
                kept = max(kept, _kept_for(Path("/proc", str(process.pid)))) if alone else 0
    return used + kept


def _kept_for(process: Path) -> int:
    """Bytes that the kernel keeps at most for a sandbox, as one of its processes sees it: for sockets and for files."""
    sockets = int((process / "net" / "sockstat").read_text().split("sockets: used", 1)[1].split()[0])
    holds = 2 * int(Path("/proc/sys/net/core/wmem_max").read_text())
    files = 0
    for folder in WRITABLE:
        with contextlib.suppress(FileNotFoundError):
            there = os.statvfs(f"{process}/root{folder}")
            files += there.f_files - there.f_ffree
    return sockets * holds + files * _BYTES_OF_A_FILE


@cache
def _least_left() -> int:
    """Bytes of memory without which a machine does nothing well."""
    return int(psutil.virtual_memory().total) // 20


def _memory_of(process: psutil.Process) -> int:
    """Bytes; what several processes share, because they are forks of one, counts as one."""
    try:
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    except OSError:
        # Not in every kernel, and not for everybody to read.
        pass
    return int(process.memory_info().rss)


@cache
def _compiled(name: str, source: str) -> str:
    """As the sandbox loads it, which has the same Python: compiling takes longer than most notebooks."""
    return base64.b64encode(marshal.dumps(compile(source, f"<{name}>", "exec"))).decode()


def _parsed(lines: Iterable[bytes], says: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The frames among what was written, with what their writer has to say."""
    for line in lines:
        if not line.startswith(b"{"):
            continue
        try:
            # What JSON has no number for, a browser could not read in the notebook.
            frame = json.loads(line, parse_constant=lambda _: None)
        # ValueError: no JSON, no UTF-8, or more digits than Python reads. RecursionError: nested too deeply.
        except (ValueError, RecursionError):
            continue
        if isinstance(frame, dict):
            yield {name: frame[name] for name in says if name in frame}
