"""One class of attackers and honest students, graded once by the real command; the tests look at what is left."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from ..conftest import ASSIGNMENT, Copies, Course
from .attack import CANARY, HONEST, Attack
from .cells import CELLS
from .files import FILES
from .forging import FORGING
from .network import NETWORK
from .pages import PAGES
from .patching import PATCHING
from .processes import PROCESSES
from .reading import READING
from .resources import RESOURCES

THEMES = (PATCHING, FORGING, CELLS, READING, NETWORK, FILES, RESOURCES, PROCESSES, PAGES)
# Before all attackers, between them, and after them: submissions are graded in the order of the names.
HONEST_STUDENTS = ("ada_honest", "fork_a_honest", "loop_m_honest", "page_z_honest", "read_n_honest", "zoe_honest")
ATTACKS = [attack for theme in THEMES for attack in theme.attacks]
# Tight, so that what runs into a limit does not take long.
LIMITS = {"cell_seconds": 3, "notebook_seconds": 20, "memory": 768, "scratch": 32, "processes": 40}
LONGEST = 1200


@dataclass
class Listener:
    """Waits for a connection that must not come."""

    family: int
    address: Any
    heard: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.socket = socket.socket(self.family)
        self.socket.bind(self.address)
        self.socket.listen()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, address = self.socket.accept()
            except OSError:
                return
            self.heard.append(address)
            connection.close()


@dataclass
class Run:
    """What grading the class left behind.

    Attributes:
        course: the course.
        code: the exit status.
        said: what was printed.
        before: the hash of every file that grading must not change.
        after: of the same, afterwards.
        listeners: which nobody should have reached.
        left: processes of a sandbox that were there afterwards.
        bystander: whether a process beside the sandboxes was still there.
    """

    course: Course
    code: int
    said: str
    before: dict[str, str]
    after: dict[str, str]
    listeners: list[Listener]
    left: list[str]
    bystander: bool

    @cached_property
    def results(self) -> dict[str, Any]:
        """The grader's own record, by student."""
        lines = (self.course.root / "grading" / ASSIGNMENT / "results.jsonl").read_text().splitlines()
        results = [json.loads(line) for line in lines]
        assert len({result["student"] for result in results}) == len(results)
        return {result["student"]: result for result in results}

    def notebook(self, attack: Attack) -> dict[str, Any]:
        """As it was autograded."""
        return json.loads(self.course.autograded(attack.name, attack.notebook).read_text())

    def shown(self, attack: Attack) -> str:
        """All that its cells put out, as text."""
        texts = []
        for cell in self.notebook(attack)["cells"]:
            for output in cell.get("outputs", ()):
                text = output.get("text") or output.get("data", {}).get("text/plain") or output.get("evalue") or ""
                texts.append(text if isinstance(text, str) else "".join(text))
        return "\n".join(texts)


def known(course: Course, listeners: list[Listener]) -> dict[str, str]:
    """What the attackers know of the machine: everything that does not have to be secret."""
    return {
        "@COURSE@": str(course.root),
        "@HOME@": str(course.machine / "accounts" / "instructor"),
        "@PORT@": str(listeners[0].address[1]),
        "@ABSTRACT@": listeners[1].address[1:],
        "@SOCKET@": listeners[2].address,
    }


def fill_in(words: dict[str, str], text: str) -> str:
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


def hand_in(course: Course, student: str, attack: Attack, words: dict[str, str]) -> None:
    """Put a submission where `nbgrader collect` would."""
    folder = course.root / "submitted" / student / ASSIGNMENT
    folder.mkdir(parents=True)
    (folder / "timestamp.txt").write_text("2026-01-31 12:00:00.000000 UTC")
    path = folder / f"{attack.notebook}.ipynb"
    shutil.copy(course.released(attack.notebook), path)
    attack.edit(path)
    for each in folder.rglob("*"):
        if each.is_symlink():
            target = fill_in(words, os.readlink(each))
            each.unlink()
            each.symlink_to(target)
        elif each == path and path.is_file() and b"@" in (content := path.read_bytes()) and len(content) < 10**6:
            path.write_bytes(fill_in(words, content.decode(errors="surrogateescape")).encode(errors="surrogateescape"))


def hashes(course: Course) -> dict[str, str]:
    """Of everything below the machine's folder that grading has no business with."""
    written = [course.root / name for name in ("autograded", "grading", "gradebook.db")] + [course.machine / "tmp"]
    found = {}
    for above, folders, names in os.walk(course.machine):
        folders[:] = [name for name in folders if Path(above, name) not in written]
        for path in (Path(above, name) for name in (*names, *folders)):
            if path in written:
                continue
            if path.is_symlink():
                found[os.fsencode(path).hex()] = os.readlink(path)
            elif not path.is_file() or path.stat().st_size > 10**9:
                found[os.fsencode(path).hex()] = str(path.lstat().st_mode)
            else:
                found[os.fsencode(path).hex()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def processes_of(machine: Path) -> list[str]:
    """Those whose file systems hold a folder of this machine: a sandbox has one of the run that started it."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and process.name != str(os.getpid()):
            try:
                mounts = (process / "mountinfo").read_text()
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"{machine}/tmp/bn-inside-" in mounts + command:
                found.append(command)
    return found


def environment(course: Course) -> dict[str, str]:
    """The instructor's."""
    own = course.machine / "accounts" / "instructor"
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "NBGRADER"))}
    return plain | {
        "HOME": str(own),
        "TMPDIR": str(course.machine / "tmp"),
        "IPYTHONDIR": str(own / "ipython"),
        "JUPYTER_CONFIG_DIR": str(course.machine / "etc"),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "NBGRADER_CANARY_SECRET": CANARY,
    }


def add_secrets(course: Course) -> None:
    """Give the course an instructor who has secrets."""
    machine = course.machine
    own = machine / "accounts" / "instructor"
    (own / ".ssh").mkdir(parents=True)
    for path in (own / "secret.txt", own / ".ssh" / "id_ed25519", course.root / "rubric.txt"):
        path.write_text(CANARY)
    (machine / "tmp").mkdir()
    # Files that the exercises come with: in the sandbox they stand in the place of a student's.
    source = course.root / "source" / ASSIGNMENT
    (source / "data.csv").write_text("1,2,3\n")
    (source / "data").mkdir()
    (source / "data" / "more.csv").write_text("4,5,6\n")


@pytest.fixture(scope="session")
def graded(with_release: Copies, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The class, graded."""
    course = with_release(tmp_path_factory.mktemp("attacked"))
    add_secrets(course)
    tcp = socket.socket()
    tcp.bind(("127.0.0.1", 0))
    port = tcp.getsockname()[1]
    tcp.close()
    listeners = [
        Listener(socket.AF_INET, ("127.0.0.1", port)),
        Listener(socket.AF_UNIX, f"\0bn-attacks-{os.getpid()}"),
        Listener(socket.AF_UNIX, str(course.machine / "socket")),
    ]
    words = known(course, listeners)
    for student in HONEST_STUDENTS:
        hand_in(course, student, HONEST, words)
    only = os.environ.get("BN_ATTACKS", "")
    for attack in ATTACKS:
        if attack.name.startswith(tuple(only.split(","))):
            hand_in(course, attack.name, attack, words)
    before = hashes(course)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "bn_grading", ASSIGNMENT, "--jobs", "2"),
                *(f"--GradeApp.{name}={value}" for name, value in LIMITS.items()),
            ],
            cwd=course.root,
            env=environment(course),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=LONGEST,
        )
        yield Run(
            course,
            done.returncode,
            done.stdout,
            before,
            hashes(course),
            listeners,
            processes_of(course.machine),
            bystander.poll() is None,
        )
    finally:
        bystander.kill()
        bystander.wait()
        for listener in listeners:
            listener.socket.close()
