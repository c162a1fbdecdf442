"""The same scores from a Dask cluster, and with the gradebook in PostgreSQL; and a database that dies in between."""

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bn_grading.results import Results

from .conftest import ASSIGNMENT, SUBMISSIONS, Copies, Course, make_course

STUDENTS = ("ada_perfect", "gus_one_mistake", "mia_divides_by_n_minus_1", "pat_kink", "quin_three_of_five")
TOTALS = {s: sum(work.score or 0 for work in SUBMISSIONS[s].values()) for s in STUDENTS}


def small(course: Course) -> Course:
    """The course, in which a few have handed in."""
    for student in STUDENTS:
        folder = course.root / "submitted" / student / ASSIGNMENT
        folder.mkdir(parents=True)
        for notebook, work in SUBMISSIONS[student].items():
            shutil.copy(course.released(notebook), folder)
            work.edit(folder / f"{notebook}.ipynb")
    return course


def totals(course: Course) -> dict[str, float]:
    """The points of each student, without those that a person gives."""
    points = dict.fromkeys(STUDENTS, 0.0)
    for (_, student, _, name), row in course.rows().items():
        points[student] += (row[0] or 0) if name == "hand-in" else 0
    return points


# Dask


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_a_cluster_of_its_own(with_release: Copies, tmp_path: Path) -> None:
    course = small(with_release(tmp_path))
    done = course.run("bn_grading", ASSIGNMENT, "--scheduler", "local", "--jobs", "1")
    assert done.returncode == 0, done.stdout
    assert totals(course) == TOTALS


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_a_cluster_elsewhere_of_which_a_worker_dies(with_release: Copies, tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    course = small(with_release(tmp_path))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="") as cluster, Client(cluster) as client:
        grader = subprocess.Popen(
            [sys.executable, "-m", "bn_grading", ASSIGNMENT, "--scheduler", cluster.scheduler_address],
            cwd=course.root,
            env=course.environment(),
            stdout=subprocess.DEVNULL,
        )
        while not any(client.processing().values()) and grader.poll() is None:
            time.sleep(0.01)
        # Its nanny starts another.
        victim = next(iter(cluster.workers.values()))
        os.kill(victim.process.process.pid, signal.SIGKILL)
        assert grader.wait(timeout=240) == 0
        # A worker of Dask's is a daemon, and has what makes the pages beside it all the same.
        made = course.run("bn_grading.feedback_command", ASSIGNMENT, "--scheduler", cluster.scheduler_address)
        assert made.returncode == 0, made.stdout
    graded = {path.relative_to(course.root / "autograded") for path in (course.root / "autograded").rglob("*.ipynb")}
    pages = {path.relative_to(course.root / "feedback") for path in (course.root / "feedback").rglob("*.html")}
    assert pages == {path.with_suffix(".html") for path in graded}
    assert totals(course) == TOTALS
    assert [len(result.problems) for result in Results.of(course, ASSIGNMENT).last().values()] == [0] * len(STUDENTS)


# PostgreSQL


@dataclass
class Postgres:
    """A server of its own, in a folder of its own."""

    folder: Path
    programs: Path
    port: int

    @property
    def url(self) -> str:
        """As in a configuration."""
        return f"postgresql+psycopg2://grader@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        self.run(
            "pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-l", str(self.folder / "log"), "-w", "start"
        )

    def stop(self, how: str) -> None:
        """Stop it: `fast`, or `immediate`, as if the power failed."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", how, "-w", "stop")

    def run(self, program: str, *options: str) -> None:
        """One of its programs, none of which root may run."""
        own = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        done = subprocess.run(
            [self.programs / program, *options],
            **own,  # type: ignore[call-overload]
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout


@pytest.fixture
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running server."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb")) or list(filter(None, [shutil.which("initdb")]))
    if not found:
        pytest.skip("would run if installed: postgresql (Debian's package)")
    # Below /tmp, because the account of PostgreSQL may not enter pytest's folders.
    folder = Path("/tmp", f"bn-postgres-{os.getpid()}")
    folder.mkdir(mode=0o755)
    try:
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = Postgres(folder, Path(found[-1]).parent, port)
        server.run("initdb", "-D", str(folder / "data"), "-U", "grader", "--auth=trust", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder)


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_the_gradebook_in_postgres(postgres: Postgres, tmp_path: Path) -> None:
    course = make_course(tmp_path)
    course.db_url = postgres.url
    with (course.root / "nbgrader_config.py").open("a") as config:
        config.write(f'\nc.CourseDirectory.db_url = "{postgres.url}"\n')
    course.nbgrader("generate_assignment", ASSIGNMENT)
    small(course)
    grader = subprocess.Popen(
        [sys.executable, "-m", "bn_grading", ASSIGNMENT],
        cwd=course.root,
        env=course.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    results = Results.of(course, ASSIGNMENT)
    while not results.last() and grader.poll() is None:
        time.sleep(0.01)
    postgres.stop("immediate")
    said, _ = grader.communicate(timeout=120)
    assert grader.returncode == 1
    assert "the gradebook cannot be reached" in said
    postgres.start()
    # Who was graded before stays so; the rest is graded now.
    done = [student for student, result in results.last().items() if result.graded]
    assert done
    again = course.grade(ASSIGNMENT)
    assert f"{len(STUDENTS) - len(done)} submissions in" in again
    assert totals(course) == TOTALS
    made = course.run("bn_grading.feedback_command", ASSIGNMENT, "--jobs", "2")
    assert f"of {len(STUDENTS)} submissions; the other pages are as they would be made now" in made.stdout
    postgres.stop("fast")
    assert "the gradebook cannot be reached" in course.run("bn_grading.feedback_command", ASSIGNMENT).stdout
    postgres.start()
    course.nbgrader("export")
    assert (course.root / "grades.csv").exists()


# A full disk, a clock that jumps

FULL = """
set -e
cp -r "$1/." "$2"
cd "$2"
# Room for a few submissions.
head -c "$(( $(df --output=avail -B1 . | tail -1) - 200000 ))" /dev/zero > filler
set +e
"$3" -m bn_grading batch-norm --jobs 2; echo "first: $?"
rm filler
"$3" -m bn_grading batch-norm --jobs 2; echo "second: $?"
# The same with the pages, all of which are made once more over good ones.
"$3" -m bn_grading.feedback_command batch-norm --jobs 2; echo "pages: $?"
cp -r feedback good
dd if=/dev/zero of=filler bs=4096 2> /dev/null
"$3" -m bn_grading.feedback_command batch-norm --jobs 2 --force; echo "no room: $?"
rm filler
diff -r feedback good && echo "nothing is lost"
cp -r . "$1"
"""


@pytest.mark.needs("bwrap", package="bubblewrap")
def test_a_full_disk_loses_nothing(with_release: Copies, tmp_path: Path) -> None:
    course = small(with_release(tmp_path))
    folder = tmp_path / "small"
    folder.mkdir()
    # A disk of its own, in memory.
    disk = ["bwrap", "--dev-bind", "/", "/", "--size", str(16 << 20), "--tmpfs", str(folder), "--die-with-parent"]
    done = subprocess.run(
        [*disk, "bash", "-c", FULL, "bash", str(course.root), str(folder), sys.executable],
        env=course.environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert "first: 1" in done.stdout, done.stdout + done.stderr
    assert "What was graded before is stored; the same command goes on from there." in done.stderr
    assert "second: 0" in done.stdout, done.stdout + done.stderr
    assert "pages: 0\n" in done.stdout, done.stdout + done.stderr
    assert "no room: 1\nnothing is lost" in done.stdout, done.stdout + done.stderr
    assert "the pages cannot be stored: OSError: [Errno 28]" in done.stderr
    assert totals(course) == TOTALS
    results = Results.of(course, ASSIGNMENT)
    assert sorted(results.last()) == sorted(STUDENTS)
    assert all(result.graded for result in results.last().values())


def test_only_the_clock_that_never_jumps_is_asked_for_durations() -> None:
    import bn_grading

    for path in Path(bn_grading.__path__[0]).rglob("*.py"):
        assert "time.time(" not in path.read_text(), path
