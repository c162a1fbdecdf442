"""Where students' code runs: a process with no network, no home, nothing to read but Python, and little to write to.

bubblewrap makes it, on Linux. Inside there is the environment's Python, read-only; what of this project enters
(`what_enters`), read-only; the system's programs and libraries, read-only; a scratch folder in memory; and nothing
else: no gradebook, no course, no other submission, no variable of the grader's environment. Processes inside see and
signal only each other, and all end with the first of them.
"""

import itertools
import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jupyter_core.paths import ENV_CONFIG_PATH, SYSTEM_CONFIG_PATH

from bn_grading import places
from bn_grading.places import INSIDE, PACKAGES, SCRATCH, WRITABLE

MIB = 1 << 20
_PYTHON = (sys.executable, "-I", "-B")


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    Attributes:
        memory: bytes, for each process and for all of them together.
        scratch: bytes in the scratch folder, and as many in /tmp and in /dev/shm.
        processes: at a time, threads included.
        files: open at a time in a process.
        cell_seconds: for one cell, before it is interrupted.
        notebook_seconds: for one notebook.
        submission_seconds: for all of its notebooks; what is not begun by then is not run.
        output: characters of output of one cell; what is more is cut off.
        sent: bytes that may come out of the sandbox for one notebook; beyond, it is ended.
    """

    memory: int = 2048 * MIB
    scratch: int = 128 * MIB
    processes: int = 64
    files: int = 256
    cell_seconds: float = 30
    notebook_seconds: float = 300
    submission_seconds: float = 900
    output: int = 1_000_000
    sent: int = 8 * MIB

    @property
    def together(self) -> int:
        """Bytes that all processes may use of the machine's memory, with what lies in the folders."""
        return self.memory + len(WRITABLE) * self.scratch

    def of_process(self) -> dict[str, int]:
        """As the kernel sets them for a process."""
        return {
            "AS": self.memory,
            "FSIZE": self.scratch,
            "NOFILE": self.files,
            "NPROC": self.processes,
            "CORE": 0,
            "MEMLOCK": 0,
            # A process that sleeps through its own time limit does not use it up.
            "CPU": int(self.notebook_seconds) + 10,
        }


INSTEAD = (
    "Install bubblewrap (Debian, Ubuntu: apt install bubblewrap), or grade in containers: --container IMAGE. With "
    "--unsafe-no-sandbox students' code runs in your account and can read and change all that you can."
)


class NoSandboxError(Exception):
    """There is no way to run students' code apart from everything else."""


def refuse_without_bubblewrap() -> None:
    """See that there is what makes one; whether it can, `execute.try_sandbox` sees.

    Raises:
        NoSandboxError: if not.
    """
    if sys.platform != "linux" or not shutil.which("bwrap"):
        raise NoSandboxError(f"there is no sandbox here: expected Linux with the program bwrap. {INSTEAD}")


def command(
    inside: Path,
    limits: Limits,
    *,
    safe: bool = True,
    scratch: str = SCRATCH,
    hidden: Sequence[str] = (),
    refusals: int | None = None,
) -> list[str]:
    """What starts `inside/zygote.py` in a sandbox; without one, if not `safe`.

    Args:
        inside: the folder of `what_enters`.
        limits: what may be used.
        safe: in a sandbox.
        scratch: where the notebooks run.
        hidden: folders of the course that are not to be seen, should they lie in a folder that can be read.
        refusals: a descriptor of the filter of system calls, from `seccomp.descriptor`.
    """
    if not safe:
        return [*_PYTHON, str(inside / "zygote.py"), str(inside), scratch]
    *made, end = _bubblewrap(inside, limits, hidden, refusals)
    # The first process takes no signal from those that it began, so they cannot end it nor stop it.
    return [*made, "--as-pid-1", end, *_PYTHON, f"{INSIDE}/zygote.py", INSIDE, scratch]


def environment(scratch: str = SCRATCH) -> dict[str, str]:
    """All that students' code sees of an environment."""
    temporary = "/tmp" if scratch == SCRATCH else scratch
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": scratch,
        "USER": "student",
        "TMPDIR": temporary,
        # For the programs that a notebook starts, too.
        "PYTHONPATH": PACKAGES,
        "LANG": "C.UTF-8",
        "IPYTHONDIR": f"{temporary}/ipython",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": f"{temporary}/matplotlib",
        # One submission, one core: more threads are slower, and each would count as a process.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        # The C library would reserve 64 MiB of addresses for each thread, and the limit of memory counts addresses.
        "MALLOC_ARENA_MAX": "1",
        "NBGRADER_EXECUTION": "autograde",
    }


_accounts = itertools.count(os.getpid() * 64)


def account() -> int | None:
    """The account to become inside: of nobody else, because how many processes there are is counted for an account.

    None where the grader is not root: then the sandbox has accounts of its own.
    """
    if os.geteuid() != 0:
        return None
    # Numbers that nobody has; in a container there may be only the first 65,536.
    mapped = sum(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    return (1_500_000_000 if mapped > 1 << 31 else 20_000) + next(_accounts) % 40_000


def _bubblewrap(inside: Path, limits: Limits, hidden: Sequence[str], refusals: int | None) -> list[str]:
    root = os.geteuid() == 0
    made = ["bwrap", "--die-with-parent", "--new-session", "--clearenv"]
    made += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    # Root leaves root inside, so that limits hold for it; anyone else needs a namespace in which to be somebody.
    made += ["--cap-drop", "ALL", "--hostname", "sandbox"]
    if root:
        made += [part for name in ("SETUID", "SETGID", "SETPCAP") for part in ("--cap-add", f"CAP_{name}")]
    else:
        made += ["--unshare-user", "--disable-userns"]
    if refusals is not None:
        made += ["--seccomp", str(refusals)]
    made += ["--proc", "/proc", "--dev", "/dev"]
    # Mapped, it is memory that is counted for nobody.
    made += ["--dev-bind", "/dev/null", "/dev/zero"]
    shown = places.readable()
    for path in WRITABLE:
        # An environment may be one of them; then there are two to write to.
        made += ["--perms", "1777", "--size", str(limits.scratch), "--tmpfs", path] if path not in shown else []
    # An environment may lie in one of them, too. Nobody is to put something else in its place, nor move what it is in.
    closed = [top for path in shown if (top := places.in_writable(path)) not in ("", path)]
    for path in dict.fromkeys(closed):
        made += ["--perms", "755", "--tmpfs", path]
    # bubblewrap would make the folders above as they are outside, and some are for their owner only.
    above = [str(each) for path in shown for each in reversed(Path(path).parents[:-1])]
    for path in dict.fromkeys(above):
        made += ["--perms", "755", "--dir", path] if path not in (*WRITABLE, *closed) else []
    for path in shown:
        real = os.path.realpath(path)
        made += ["--ro-bind", path, path] if path in (real, places.in_writable(path)) else ["--symlink", real, path]
    for path in _hidden(hidden):
        made += ["--tmpfs", path]
        # An environment may lie in the course's folder.
        for needed in _wanted_in(path):
            made += ["--ro-bind", needed, needed]
        made += ["--remount-ro", path]
    made += ["--ro-bind", str(inside), INSIDE]
    for path in (*dict.fromkeys(closed), "/dev", "/"):
        made += ["--remount-ro", path]
    made += ["--chdir", SCRATCH]
    for name, value in environment().items():
        made += ["--setenv", name, value]
    return [*made, "--"]


def _hidden(course: Sequence[str]) -> list[str]:
    """What of the folders that can be read is not for students.

    That is what of this project and of nbgrader is installed (but for `what_enters`), configurations (a course's
    may hold the gradebook's address), and the given folders.
    """
    site = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    names = ("bn_book", "bn_exercises", "bn_grading", "bn_lib", "nbgrader")
    paths = [os.path.join(folder, name) for folder in sorted(site) for name in names]
    paths = [os.path.realpath(path) for path in (*paths, *ENV_CONFIG_PATH, *SYSTEM_CONFIG_PATH, *course)]
    there = [
        path
        for path in dict.fromkeys(paths)
        if os.path.isdir(path) and any(places.is_in(path, o) for o in places.readable())
    ]
    return [path for path in there if not any(places.is_in(path, other) for other in there)]


def _wanted_in(folder: str) -> list[str]:
    """What can be read although it lies in a folder that is hidden."""
    there = [path for path in places.wanted() if places.is_in(path, folder) and os.path.realpath(path) == path]
    return [path for path in there if not any(places.is_in(path, other) for other in there)]
