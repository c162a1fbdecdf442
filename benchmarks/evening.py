"""From the deadline to the returned feedback: seconds and memory of each command of an instructor's evening.

    python -m benchmarks.evening --students 200
    python -m benchmarks.evening --students 1000 --alone

`nbgrader generate_feedback`, with which bn-feedback is compared, makes the same pages, and is left out with `--alone`.
The throughput of either is its pages in the time beyond its start: what the same command takes for one student whose
pages are there. bn-feedback's processes start later, so their start counts as making pages.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks import _machine
from benchmarks.a_class import ASSIGNMENT, hand_in, make_course

RESULTS = Path(__file__).parent / "results" / "evening.json"
COURSE = "batch-normalization"


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the class, do the work of the evening, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evening", description=__doc__)
    parser.add_argument("--students", type=int, default=200)
    parser.add_argument("--notebooks", type=int, default=7, help="at most so many from each student")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="without nbgrader's feedback beside it")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the results")
    options = parser.parse_args(arguments)
    if _machine.load() > 0.3:
        print(f"Others use {_machine.load():.1f} cores. These numbers are of a busy machine.\n")
    with tempfile.TemporaryDirectory(prefix="bn-evening-") as folder:
        results = run(Path(folder), options.students, options.notebooks, options.jobs, alone=options.alone)
    print(json.dumps(results, indent=1))
    known = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    known["alone" if options.alone else "side by side"] = results
    options.out.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def run(folder: Path, students: int, most: int, jobs: int, *, alone: bool) -> dict[str, Any]:
    """Collect, grade, report, give back."""
    course = folder / "course"
    make_course(course)
    notebooks = hand_in(course, students, most=most)
    _into_the_exchange(course, folder)
    commands = {
        "collect": ["nbgrader", "collect", ASSIGNMENT],
        "grade": ["bn_grading", ASSIGNMENT, "--jobs", str(jobs)],
        "report": ["bn_grading.report", ASSIGNMENT],
        "feedback": ["bn_grading.feedback_command", ASSIGNMENT, "--jobs", str(jobs)],
        "release": ["nbgrader", "release_feedback", ASSIGNMENT],
        "export": ["nbgrader", "export"],
    }
    measured = {name: _measure(command, course) for name, command in commands.items()}
    pages = len(list((course / "feedback").rglob("*.html")))
    results: dict[str, Any] = {
        "students": students,
        "notebooks": notebooks,
        "pages": pages,
        "jobs": jobs,
        "machine": _machine.describe(),
        "steps": measured,
        "seconds": sum(each["seconds"] for each in measured.values()),
    }
    if not alone:
        one = "--CourseDirectory.student_id=student-00000"
        start = _measure([*commands["feedback"], one], course)
        (course / "feedback").rename(course / "ours")
        command = ["nbgrader", "generate_feedback", ASSIGNMENT, "--log-level=ERROR", *_PLAIN]
        theirs = _measure(command, course)
        their_start = _measure([*command, one], course)
        made = sorted(path.relative_to(course / "feedback") for path in (course / "feedback").rglob("*.html"))
        results["nbgrader generate_feedback"] = theirs | {"pages": len(made)}
        results["seconds to start"] = {
            "bn-feedback": start["seconds"],
            "nbgrader generate_feedback": their_start["seconds"],
        }
        results["times nbgrader's throughput"] = (pages / (measured["feedback"]["seconds"] - start["seconds"])) / (
            len(made) / (theirs["seconds"] - their_start["seconds"])
        )
        results["different pages"] = [
            str(each)
            for each in made
            if (course / "ours" / each).read_bytes() != (course / "feedback" / each).read_bytes()
        ]
    return results


# nbconvert's exporter, in nbgrader's process.
_PLAIN = ["--GenerateFeedback.exporter_class=nbconvert.exporters.HTMLExporter"]


def _into_the_exchange(course: Path, folder: Path) -> None:
    """Let everybody have handed in: as `nbgrader submit` leaves it, in a folder of the exchange for each."""
    inbound = folder / "exchange" / COURSE / "inbound"
    inbound.mkdir(parents=True)
    for student in sorted((course / "submitted").iterdir()):
        submission = student / ASSIGNMENT
        (submission / "submission_secret.txt").write_text(student.name)
        submission.rename(inbound / f"{student.name}+{ASSIGNMENT}+2026-11-01 10:00:00.000000 UTC")
    shutil.rmtree(course / "submitted")
    with (course / "nbgrader_config.py").open("a") as file:
        file.write(f"\nc.Exchange.root = {str(folder / 'exchange')!r}\nc.ExchangeCollect.check_owner = False\n")


def _measure(command: list[str], course: Path) -> dict[str, float]:
    """The seconds that a command takes, and the MiB that it has at most, without the processes that it starts."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=course, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    most = 0
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            most = max(most, psutil.Process(process.pid).memory_info().rss)
        time.sleep(0.05)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {"seconds": time.monotonic() - began, "MiB": most >> 20}


if __name__ == "__main__":
    main()
