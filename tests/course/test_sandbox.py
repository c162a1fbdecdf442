"""The sandbox by itself: what enters it, what a kernel sees in it, and what it takes to be refused."""

import ast
import os
import re
import socket
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from bn_exercises.functions.problem import FunctionProblem
from bn_exercises.notebook import my_problem
from bn_exercises.numbers.problem import NumberProblem
from bn_exercises.problem import Problem
from bn_exercises.problems import ALL, NUMERIC
from bn_grading import cgroup, execute, places, what_enters
from bn_grading.container import Container
from bn_grading.execute import Notebook, SandboxFailedError, Submission, run_submission, try_sandbox
from bn_grading.sandbox import Limits, NoSandboxError

from .conftest import environment_in


def ran(
    *cells: str,
    task: Problem | None = None,
    limits: Limits | None = None,
    container: Container | None = None,
) -> list[str]:
    """What the cells of a notebook put out in a sandbox, each as text; why, if one was stopped."""
    told = ({}, {}) if task is None else (task.sheet(), what_enters.modules(task))
    notebook = Notebook("1", [{"index": i, "source": source} for i, source in enumerate(cells)], *told)
    (executed,) = run_submission(Submission("ada", [notebook], limits=limits or Limits(), container=container))
    said = []
    for index in range(len(cells)):
        parts = []
        for output in executed.outputs.get(index, ()):
            data = output.get("data", {})
            parts.append(
                output.get("text") or data.get("text/plain") or f"{output.get('ename')}: {output.get('evalue')}"
            )
        said.append("".join(parts) or executed.stopped.get(index, ""))
    return said


# What enters


def modules_in(folder: Path) -> dict[str, str]:
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        .removeprefix("packages.")
        .removesuffix(".__init__"): path.read_text()
        for path in folder.rglob("*.py")
    }


def test_what_enters_needs_nothing_that_does_not(tmp_path: Path) -> None:
    inside = modules_in(what_enters.assemble(tmp_path))
    for sources in (inside, inside | what_enters.suspects()):
        for name, source in sources.items():
            for node in ast.walk(ast.parse(source)):
                imported = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                imported += [each.name for each in node.names] if isinstance(node, ast.Import) else []
                for each in imported:
                    # Inside of functions of the notebook's module: for the notebooks that are sent them.
                    if each.startswith("bn_exercises") and "suspects" not in each:
                        assert each in sources, (name, each)


def test_only_reading_answers_enters(tmp_path: Path) -> None:
    inside = modules_in(what_enters.assemble(tmp_path))
    assert {name for name in inside if name.startswith("bn_exercises")} == {
        *what_enters.PACKAGES,
        *what_enters.MODULES,
        "bn_exercises.notebook",
    }
    for name in ("problem", "problems", "numbers", "algorithm", "misconceptions", "check", "accuracy"):
        assert f"bn_exercises.{name}" not in inside


@pytest.mark.parametrize("task", ALL, ids=lambda task: task.name)
def test_no_expected_value_is_on_a_sheet(task: Problem) -> None:
    sheet = task.sheet()
    expected = {"name", "title", "given", "points", "numbers", "asks_for"} | (
        {"probes"} if isinstance(task, FunctionProblem) else set()
    )
    assert set(sheet) == expected
    # As the notebook states it.
    assert ast.literal_eval(sheet["given"]) == dict(task.given)
    if isinstance(task, NumberProblem):
        for reference in task.references:
            for value in reference.values():
                assert repr(value.tolist()) not in repr(sheet)


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_nothing_inside_knows_what_is_right() -> None:
    (task, *_) = NUMERIC
    begin = 'from bn_exercises.notebook import *\nproblem = my_problem("basic-calculation")'
    said = ran(
        begin,
        "check(problem, mean=[5, 7, 9])",
        "check(problem, mean=[0, 0, 0])",
        "solution(problem)",
        "import bn_exercises.numbers.judging",
        "from bn_exercises.problems import BASIC_CALCULATION",
        "import bn_exercises.functions.implementations",
        "import nbgrader.api",
        "import bn_grading",
        'my_problem("implement")',
        "sorted(vars(problem))",
        task=task,
    )
    assert said[1] == said[2] == said[3]
    assert said[1].startswith("What was found in your answers stands beside them")
    assert said[4] == "ModuleNotFoundError: No module named 'bn_exercises.numbers'"
    assert said[5] == "ModuleNotFoundError: No module named 'bn_exercises.problems'"
    assert said[6] == "ModuleNotFoundError: No module named 'bn_exercises.functions.implementations'"
    assert said[7] == "ModuleNotFoundError: No module named 'nbgrader.api'"
    assert said[8] == "ModuleNotFoundError: No module named 'bn_grading'"
    assert said[9].startswith("ValueError: this notebook is about 'basic-calculation'")
    assert said[10] == "['_sheet', 'given', 'name', 'points', 'title']"


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_the_suspects_are_only_where_they_are_called() -> None:
    source = 'from bn_exercises.notebook import *\np = my_problem("break-it")\nlist(p.suspects())'
    task = my_problem("break-it")
    assert ran(source, task=task) == ["['A', 'B', 'C', 'D', 'E']"]
    for judges in ("probes", "exposure", "problem", "examples"):
        module = f"bn_exercises.functions.break_it.{judges}"
        assert ran(f"import {module}", task=task) == [f"ModuleNotFoundError: No module named {module!r}"]


# Outputs, as ipykernel has them


CELLS = (
    "1 + 1",
    "print('a')\nimport sys\nprint('b', file=sys.stderr)\nprint('c')",
    "from IPython.display import display, HTML\ndisplay(HTML('<b>x</b>'))\n'y'",
    "1 / 0",
    "def f(:",
    "import warnings\nwarnings.warn('mine')",
    "import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
    "handle = display('one', display_id='d')\ndisplay('two', display_id='d', update=True)",
    "await __import__('asyncio').sleep(0)\n'slept'",
    "!echo shell",
    "%%capture captured\nprint('hidden')",
    "print(captured.stdout)",
    "x = 5;\nx",
    "None",
    "raise SystemExit",
    "input('?')",
    "In[1], Out[1]",
)


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_outputs_are_those_of_a_kernel() -> None:
    notebook = new_notebook(cells=[new_code_cell(source) for source in CELLS])
    NotebookClient(notebook, allow_errors=True, timeout=60, kernel_name="python3").execute()
    (executed,) = run_submission(
        Submission("ada", [Notebook("1", [{"index": i, "source": s} for i, s in enumerate(CELLS)])])
    )
    for index, cell in enumerate(notebook.cells):
        assert summary(executed.outputs[index]) == summary(cell.outputs), CELLS[index]
        assert executed.counts[index] == cell.execution_count


def summary(outputs: list[nbformat.NotebookNode]) -> list[object]:
    """What a reader sees: streams joined, as a kernel sends them now and then; of pictures that they are there."""
    # A cell's file, whose name differs, is in warnings and in errors of syntax.
    seen: list[object] = [
        "\n".join(line for line in text.splitlines() if "UserWarning" not in line)
        for name in ("stdout", "stderr")
        for text in ["".join(o["text"] for o in outputs if o.get("name") == name)]
    ]
    for output in outputs:
        kind = output["output_type"]
        if kind == "stream":
            continue
        if kind == "error":
            seen.append((kind, output["ename"], re.sub(r"\(\S+, ", "(", output["evalue"]), bool(output["traceback"])))
        else:
            seen.append((kind, {m: v if m.startswith("text/") else "..." for m, v in output["data"].items()}))
    return seen


# What is there


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_nothing_of_the_grader_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "of the grader")
    seen = ran(
        "import os\nos.listdir('/')",
        "os.environ.get('A_SECRET'), os.path.exists(" + repr(os.path.abspath(__file__)) + ")",
        "try:\n    open('/usr/mine', 'w')\nexcept OSError as error:\n    print(error.strerror)",
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9), 1)\nexcept OSError as error:\n"
        "    print(error.strerror)",
        "os.getuid() != 0, open('/proc/self/status').read().split('CapEff:')[1].split()[0]",
        "import resource\nresource.getrlimit(resource.RLIMIT_NPROC), resource.getrlimit(resource.RLIMIT_AS)",
        "len([p for p in os.listdir('/proc') if p.isdigit()]) < 5",
        "try:\n    os.memfd_create('x')\nexcept OSError as error:\n    print(error.strerror)",
        "[line.split()[1] for line in open('/proc/self/status') if line.startswith('Seccomp:')]",
    )
    brought = {place.strip("/").partition("/")[0] for place in (places.INSIDE, *places.WRITABLE)}
    shown = {Path(path).parts[1] for path in places.readable()}
    assert set(ast.literal_eval(seen[0])) == brought | shown | {"proc"}
    limits = Limits()
    assert seen[1:] == [
        "(None, False)",
        "Read-only file system\n",
        "Connection refused\n",
        "(True, '0000000000000000')",
        f"({(limits.processes,) * 2}, {(limits.memory,) * 2})",
        "True",
        "Operation not permitted\n",
        "['2']",
    ]


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_a_thread_costs_its_stack_and_no_more() -> None:
    threads = """
from threading import Thread
from time import sleep
started = [Thread(target=sleep, args=(5,)) for _ in range(30)]
for each in started:
    each.start()
"""
    limits = Limits(memory=512 << 20)
    assert ran(threads, "sum(each.is_alive() for each in started)", limits=limits) == ["", "30"]


# Memory that no limit of a process counts: what waits in sockets, and what the kernel keeps for an empty file.
_IN_SOCKETS = """
import os, socket, time
for _ in range(30):
    if os.fork() == 0:
        held = []
        while True:
            try:
                held += (pair := socket.socketpair())
                for each in pair:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**22)
                    each.setblocking(False)
                    while True:
                        each.send(bytes(2**16))
            except OSError:
                time.sleep(0.01)
time.sleep(99)
"""
_IN_FILES = """
import itertools, os
for each in itertools.count():
    os.close(os.open(f"/tmp/{each:0200}", os.O_CREAT | os.O_WRONLY))
"""


@pytest.mark.needs("bwrap", package="bubblewrap")
@pytest.mark.parametrize("source", [_IN_SOCKETS, _IN_FILES], ids=["sockets", "files"])
@pytest.mark.parametrize("counts", ["the kernel", "the grader"])
def test_memory_that_belongs_to_no_process_is_limited(
    counts: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if counts == "the grader":
        monkeypatch.setattr(cgroup, "make", lambda *_: None)
        monkeypatch.setattr(cgroup, "through_systemd", lambda *_: [])
    limits = Limits(memory=256 << 20, scratch=8 << 20, cell_seconds=90)
    assert ran(source, "1 + 1", limits=limits) == ["Stopped: its processes used more than 256 MiB of memory", "2"]


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_a_machine_without_memory_is_no_student_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "make", lambda *_: None)
    monkeypatch.setattr(execute, "_least_left", lambda: 1 << 60)
    with pytest.raises(SandboxFailedError, match=r"the machine has \d+ MiB of memory left"):
        ran("1 + 1")


_OPENS_THE_FIRST = """
import os
said = []
for name in ("mem", "environ", *(f"fd/{number}" for number in range(10))):
    for flag in (os.O_RDONLY, os.O_WRONLY):
        try:
            os.open(f"/proc/1/{name}", flag)
        except OSError:
            continue
        said.append(name)
os.kill(1, 9), os.kill(1, 19), said
"""
_AS_SOMEBODY = (
    "bwrap",
    "--dev-bind",
    "/",
    "/",
    "--unshare-user",
    "--uid",
    "1000",
    "--gid",
    "1000",
    "--die-with-parent",
)


@pytest.mark.needs("bwrap", package="bubblewrap")
@pytest.mark.parametrize("account", [(), _AS_SOMEBODY], ids=["this account", "an ordinary account"])
def test_the_first_process_is_closed_and_stays(account: tuple[str, ...]) -> None:
    """Root's students have accounts of their own; everybody else's have the grader's, in a namespace."""
    source = f"""
from bn_grading.execute import Notebook, Submission, run_submission
cells = [{{"index": 0, "source": {_OPENS_THE_FIRST!r}}}, {{"index": 1, "source": "1 + 1"}}]
(executed,) = run_submission(Submission("ada", [Notebook("1", cells)]))
print(executed.finished, [executed.outputs[index][0]["data"]["text/plain"] for index in (0, 1)])
"""
    done = subprocess.run([*account, sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.stdout == "True ['(None, None, [])', '2']\n", done.stderr


# What one notebook could do to the next: lower the limits and the priority of the process that both are copies of,
# close the folders, leave in them what is hard to remove.
SPOILS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
done = []

def attempt(what, function):
    try:
        if (function() or 0) >= 0:
            done.append(what)
    except OSError:
        pass

for pid in (1, os.getppid()):
    attempt("limit", lambda: libc.prlimit64(pid, 6, (ctypes.c_uint64 * 2)(1, 1), None))
    attempt("processors", lambda: os.sched_setaffinity(pid, {0}))
    attempt("scheduler", lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)))
    attempt("parameter", lambda: os.sched_setparam(pid, os.sched_param(0)))
    for which in (os.PRIO_PROCESS, os.PRIO_PGRP, os.PRIO_USER):
        attempt("priority", lambda: os.setpriority(which, os.getuid() if which == os.PRIO_USER else pid, 19))
attempt("of all", lambda: os.setpriority(os.PRIO_USER, 0, 19))
# Its own it may, by name as well; ZeroMQ does.
for pid in (0, os.getpid()):
    os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0)), os.sched_setaffinity(pid, {0})
    os.setpriority(os.PRIO_PROCESS, pid, 1)
print(done)
"""
LEAVES = """
for _ in range(2000):
    os.mkdir("d")
    os.chdir("d")
os.makedirs("/tmp/shut/deeper")
open("/tmp/shut/deeper/file", "w").close()
os.chmod("/tmp/shut/deeper", 0), os.chmod("/tmp/shut", 0)
for folder in ("/scratch", "/tmp", "/dev/shm"):
    attempt("closed", lambda: os.chmod(folder, 0))
"""
LOOKS = """
import os, resource
for folder in (".", "/tmp", "/dev/shm"):
    print(os.listdir(folder), oct(os.stat(folder).st_mode))
    open(f"{folder}/mine", "w").close()
print([resource.getrlimit(kind) for kind in range(16)])
print(os.sched_getaffinity(0), os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))
"""


@pytest.mark.needs("bwrap", package="bubblewrap")
@pytest.mark.parametrize("account", [(), _AS_SOMEBODY], ids=["this account", "an ordinary account"])
def test_one_notebook_cannot_spoil_the_next(account: tuple[str, ...]) -> None:
    source = f"""
from bn_grading.execute import Notebook, Submission, run_submission
cells = [{SPOILS!r}, {LEAVES!r}], [{LOOKS!r}], [{LOOKS!r}]
notebooks = [Notebook(str(n), [dict(index=i, source=s) for i, s in enumerate(c)]) for n, c in enumerate(cells)]
for executed in run_submission(Submission("ada", notebooks[1:2] + notebooks)):
    print([o.get("text") for cell in executed.outputs.values() for o in cell], executed.stopped)
"""
    done = subprocess.run([*account, sys.executable, "-c", source], capture_output=True, text=True, check=False)
    before, spoilt, *after = done.stdout.splitlines()
    assert spoilt == "['[]\\n'] {}", done.stderr
    assert after == [before, before]
    assert "[] 0o41777" in before


_SOCKETS = """
import socket
made = set()
for family in range(64):
    for kind in range(1, 11):
        for protocol in (0, 1, 6, 16, 17, 33, 132, 136, 255, 256):
            for make in (socket.socket, socket.socketpair):
                try:
                    make(family, kind, protocol)
                    made.add((family, kind, protocol) if family == socket.AF_NETLINK else (family, kind))
                except OSError:
                    pass
print(sorted(made))
"""


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_only_sockets_of_a_few_families_can_be_made() -> None:
    """Not AF_VSOCK, to a virtual machine's host; nor AF_PACKET, AF_ALG and what else the kernel knows."""
    stream, datagram, packets = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET
    unix = {(int(socket.AF_UNIX), int(kind)) for kind in (stream, datagram, packets)}
    network = {(int(each), int(kind)) for each in (socket.AF_INET, socket.AF_INET6) for kind in (stream, datagram)}
    made = set(ast.literal_eval(ran(_SOCKETS)[0]))
    # To be told of interfaces; the other protocols of AF_NETLINK tell and do more.
    interfaces = {(int(socket.AF_NETLINK), int(kind), socket.NETLINK_ROUTE) for kind in (datagram, socket.SOCK_RAW)}
    assert unix <= made <= unix | network | interfaces


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_no_right_is_left_that_a_program_could_take() -> None:
    look = "[line.split() for line in open('/proc/self/status') if line.startswith('Cap')]"
    none = [[f"Cap{each}:", "0" * 16] for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")]
    assert ast.literal_eval(ran(look)[0]) == none


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_one_notebook_leaves_nothing_for_the_next() -> None:
    leave = "import subprocess\nfor f in ('here', '/tmp/there', '/dev/shm/x'): open(f, 'w').write('x')\n"
    leave += "_ = subprocess.Popen(['sleep', '1000'], start_new_session=True)\nimport numpy\nnumpy.mine = 1"
    look = "import os, numpy\n[os.path.exists(f) for f in ('here', '/tmp/there', '/dev/shm/x')], "
    look += "hasattr(numpy, 'mine'), "
    look += "[p for p in os.listdir('/proc') if p.isdigit() and b'sleep' in open(f'/proc/{p}/cmdline', 'rb').read()]"
    notebooks = [Notebook("1", [{"index": 0, "source": leave}]), Notebook("2", [{"index": 0, "source": look}])]
    _, second = run_submission(Submission("ada", notebooks))
    (output,) = second.outputs[0]
    assert output["data"]["text/plain"] == "([False, False, False], False, [])"


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_what_other_programs_write_is_kept() -> None:
    below = "import os, subprocess\n_ = os.write(1, b'beneath\\n')\n_ = subprocess.run(['echo', 'another'])"
    assert ran(below) == ["beneath\nanother\n"]


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_a_cell_cannot_close_a_stream_for_those_after_it() -> None:
    assert ran("import sys\nsys.stdout.close()\nsys.stdout.writelines(['a', 'b'])", "print('c')") == ["ab", "c\n"]


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_random_numbers_differ_from_one_notebook_to_the_next() -> None:
    draw = "import random, numpy\nrandom.random(), numpy.random.rand()"
    notebooks = [Notebook(name, [{"index": 0, "source": draw}]) for name in "12"]
    first, second = run_submission(Submission("ada", notebooks))
    assert first.outputs[0][0]["data"] != second.outputs[0][0]["data"]


# Where an environment may lie

_FROM_THERE = """
from bn_grading.execute import Notebook, SandboxFailedError, Submission, run_submission, try_sandbox
try_sandbox()
cells = [{"index": index, "source": source} for index, source in enumerate(CELLS)]
(executed,) = run_submission(Submission("ada", [Notebook("1", cells)]))
print([executed.outputs[index][0]["data"]["text/plain"] for index in range(len(cells))])
"""
_LOOKS_FROM_THERE = (
    "import sys, numpy, bn_lib\nsys.executable",
    "for folder in ('/tmp', '/dev/shm', '.'): open(f'{folder}/mine', 'w').close()\n'written'",
    # Neither it nor what it lies in can be changed, moved or removed.
    """
import os
from pathlib import Path
changed = []
for each in (Path(sys.prefix), *Path(sys.prefix).parents):
    for attempt in (lambda: each.rename("/tmp/elsewhere"), lambda: each.chmod(0), lambda: (each / "x").mkdir()):
        try:
            if str(each) not in ("/tmp", "/dev/shm"):
                attempt()
                changed.append(each)
        except OSError:
            pass
changed
""",
)


@pytest.mark.needs("bwrap", package="bubblewrap")
@pytest.mark.parametrize(
    ("below", "account"),
    [("", ()), ("course/.venv", _AS_SOMEBODY)],
    ids=["it itself, this account", "below another folder, an ordinary account"],
)
@pytest.mark.parametrize("above", ["/tmp", "/dev/shm"])
def test_an_environment_may_lie_where_the_sandbox_puts_something_else(
    above: str, below: str, account: tuple[str, ...]
) -> None:
    with tempfile.TemporaryDirectory(dir=above) as folder:
        os.chmod(folder, 0o755 if not below else 0o700)
        python = environment_in(Path(folder, below))
        source = f"CELLS = {_LOOKS_FROM_THERE!r}\n{_FROM_THERE}"
        done = subprocess.run([*account, python, "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout) == [repr(python), "'written'", "[]"]


def test_what_the_sandbox_brings_makes_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "wanted", lambda: ["/usr", "/scratch/.venv", "/inside", "/inside-2/a/b"])
    assert (places._free("/scratch"), places._free("/inside"), places._free("/other")) == (
        "/scratch-2",
        "/inside-3",
        "/other",
    )


def test_each_link_on_the_way_to_the_interpreter_is_there(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "python3.11").touch()
    (tmp_path / "current").symlink_to("real")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to("../current/python3.11")
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "python").symlink_to(tmp_path / "bin" / "python3")
    (tmp_path / "linked").symlink_to("env")
    assert [os.path.relpath(each, tmp_path) for each in places._links(str(tmp_path / "linked" / "python"))] == [
        "linked/python",
        "bin/python3",
        "current/python3.11",
    ]


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_an_environment_that_cannot_be_shown_is_found_before_anything_is_graded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(places, "wanted", lambda: ["/usr", "/bin", "/lib", "/lib64"])
    with pytest.raises(NoSandboxError, match=r"it did not start\. bwrap: execvp .*: No such file"):
        try_sandbox.__wrapped__()


# What a notebook can import

# Each is imported and used, as a learner would.
OFFERS = {
    "numpy": "import numpy as np\nx = np.random.default_rng(0).normal(size=(64, 8)).astype('f')\nx.std() < 2",
    "matplotlib": "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.title(r'$\\hat x$')\nplt.show()",
    "sympy": "import sympy\nsympy.diff(sympy.Symbol('x') ** 2)",
    "ipywidgets": "import ipywidgets\nipywidgets.interact(lambda a: a, a=3);",
    "anywidget": "import anywidget\nclass Mine(anywidget.AnyWidget):\n    _esm = 'export default {}'\nMine()",
    "numba": "import numba\n@numba.njit(parallel=True, cache=True)\ndef f(a): return a.sum() + 1\nf(np.ones(3))",
    "tqdm": "from tqdm.auto import tqdm\nsum(tqdm(range(3)))",
    "ipython": "%config InlineBackend.figure_format = 'retina'\n%timeit -n 1 -r 1 1 + 1\n%load_ext autoreload\n%who",
    "ipykernel": "import ipykernel\n%lsmagic",
    "bn-lib": (
        "import bn_lib\ny, cache = bn_lib.batch_norm(x, np.ones(8, 'f'), np.zeros(8, 'f'))\n"
        "type(bn_lib.backends.choose(x)).__name__, y.shape"
    ),
}
SAYS = {
    "numpy": "True",
    "matplotlib": "<Figure size",
    "sympy": "2*x",
    "ipywidgets": "interactive(",
    "anywidget": "Mine",
    "numba": "4.0",
    "tqdm": "3",
    "ipython": "1 loop each",
    "ipykernel": "Available line magics",
    "bn-lib": "('NumbaBackend', (64, 8))",
}


def test_all_that_is_offered_is_tried() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    offered = [re.split("[^a-z-]", each)[0] for each in project["optional-dependencies"]["notebook"]]
    assert sorted(OFFERS) == sorted(SAYS) == sorted([*offered, "bn-lib"])


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_a_submission_has_what_a_learner_has() -> None:
    # As long as it takes: Numba compiles.
    limits = Limits(cell_seconds=600, notebook_seconds=600, submission_seconds=600)
    said = dict(zip(OFFERS, ran(*OFFERS.values(), limits=limits), strict=True))
    for name, words in SAYS.items():
        assert words in said[name], (name, said[name])
        assert "Warning" not in said[name], (name, said[name])


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_so_do_its_own_modules_and_the_programs_that_it_starts() -> None:
    said = ran(
        # Of the same names as the sandbox's.
        *(f"%%writefile {name}.py\nmine = '{name}'" for name in ("shell", "zygote")),
        "import shell, zygote\nshell.mine, zygote.mine",
        "import sys\n!{sys.executable} -c 'import bn_lib; print(bn_lib.__name__)'",
        "import multiprocessing\nwith multiprocessing.get_context('spawn').Pool(1) as p:\n    print(p.map(abs, [-2]))",
        "import getpass\ngetpass.getuser()",
    )
    assert said[2:] == ["('shell', 'zygote')", "bn_lib\r\n", "[2]\n", "'student'"]


def test_python_is_all_that_can_be_read() -> None:
    readable = places.readable()
    assert not any(Path(__file__).is_relative_to(path) for path in readable)
    assert any(Path(sys.prefix).is_relative_to(path) for path in readable)
