"""bn-grade beside `nbgrader autograde`: submissions in a second, scores, and memory, on the same class in one run.

    python -m benchmarks.grading --students 200
    python -m benchmarks.grading --students 10000 --notebooks 3 --alone

The two take turns on parts of the class, so that what else the machine does meets both. `--alone` grades a class that
nbgrader would take hours for, and says what memory the grader had on the way.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks import _machine
from benchmarks.a_class import ASSIGNMENT, hand_in, make_course

RESULTS = Path(__file__).parent / "results" / "grading.json"
PARTS = 4
_LOOK_SECONDS = 30
OURS, NBGRADER = "bn-grade", "nbgrader autograde"

Rows = dict[str, tuple[float | None, bool]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the class, grade it, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grading", description=__doc__)
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--notebooks", type=int, default=7, help="at most so many from each student")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="without nbgrader beside it")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the results")
    options = parser.parse_args(arguments)
    if _machine.load() > 0.3:
        print(f"Others use {_machine.load():.1f} cores. These numbers are of a busy machine.\n")
    with tempfile.TemporaryDirectory(prefix="bn-class-") as folder:
        results = run(Path(folder), options.students, options.notebooks, options.jobs, alone=options.alone)
    print(json.dumps(results, indent=1))
    known = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    known["alone" if options.alone else "side by side"] = results
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def run(folder: Path, students: int, most: int, jobs: int, *, alone: bool) -> dict[str, Any]:
    """Grade a class, part by part, in turn."""
    commands = {OURS: ["bn_grading", ASSIGNMENT, "--jobs", str(jobs)]}
    if not alone:
        # The course refuses that: nobody's code but this simulated class's is to run without a sandbox.
        runs = "--Autograde.exporter_class=nbconvert.exporters.NotebookExporter"
        commands[NBGRADER] = ["nbgrader", "autograde", ASSIGNMENT, runs]
    make_course(folder / "course")
    notebooks = hand_in(folder / "course", students, most=most)
    for name in commands:
        shutil.copytree(folder / "course", folder / name)
    seconds = dict.fromkeys(commands, 0.0)
    memory: list[tuple[int, int]] = []
    parts = 1 if alone else PARTS
    for part in range(parts):
        turn = list(commands) if part % 2 else list(commands)[::-1]
        for name in turn:
            _show(folder / name, part, parts)
            began = time.monotonic()
            _grade([sys.executable, "-m", *commands[name]], folder / name, memory)
            seconds[name] += time.monotonic() - began
    results: dict[str, Any] = {
        "students": students,
        "notebooks": notebooks,
        "jobs": jobs,
        "machine": _machine.describe(),
        "seconds": seconds,
        "submissions a second": {name: students / each for name, each in seconds.items()},
    }
    rows = {name: _rows(folder / name) for name in commands}
    results["graded cells"] = len(rows[OURS])
    if alone:
        results["memory in MiB after so many submissions"] = memory
    else:
        results["times nbgrader's throughput"] = seconds[NBGRADER] / seconds[OURS]
        results["different scores"] = [
            [key, rows[OURS].get(key), rows[NBGRADER].get(key)]
            for key in sorted(rows[OURS].keys() | rows[NBGRADER].keys())
            if rows[OURS].get(key) != rows[NBGRADER].get(key)
        ]
    return results


def _grade(command: list[str], course: Path, memory: list[tuple[int, int]]) -> None:
    """Run it to its end; look now and then at how many submissions are graded and what memory the command has."""
    grader = subprocess.Popen(command, cwd=course, stdout=subprocess.DEVNULL)
    while True:
        try:
            if grader.wait(timeout=_LOOK_SECONDS):
                raise subprocess.CalledProcessError(grader.returncode, command)
            return
        except subprocess.TimeoutExpired:
            graded = sum(1 for _ in (course / "autograded").iterdir()) if (course / "autograded").is_dir() else 0
            memory.append((graded, psutil.Process(grader.pid).memory_info().rss >> 20))


def _show(course: Path, part: int, parts: int) -> None:
    """Let the course see this part of the class; what is graded already is skipped."""
    hidden = course / "hidden"
    hidden.mkdir(exist_ok=True)
    for place in (course / "submitted", hidden):
        for student in sorted(place.iterdir()):
            wanted = course / "submitted" if int(student.name.rpartition("-")[2]) % parts == part else hidden
            if student.parent != wanted:
                student.rename(wanted / student.name)


def _rows(course: Path) -> Rows:
    from nbgrader.api import Gradebook, SubmittedAssignment  # type: ignore[import-untyped]

    with Gradebook(f"sqlite:///{course}/gradebook.db", "batch-normalization") as gradebook:
        return {
            f"{submission.student.id}/{notebook.name}/{grade.name}": (grade.auto_score, grade.needs_manual_grade)
            for submission in gradebook.db.query(SubmittedAssignment)
            for notebook in submission.notebooks
            for grade in notebook.grades
        }


if __name__ == "__main__":
    main()
