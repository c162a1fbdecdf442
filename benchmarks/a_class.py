"""A class to be graded: submissions of assignment `batch-norm` as students write them, right, wrong, and left out.

What is wrong in them are the mistakes that the exercises know: as numbers, as formulas, as evidence; and in functions
as one step of the solution replaced. Who makes which is drawn from a seed, so a class is the same every time.
"""

import json
import random
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from bn_exercises.answers import plain
from bn_exercises.course.sources import to_notebook
from bn_exercises.notebook import my_problem

EXERCISES = Path(__file__).parents[1] / "exercises"
ASSIGNMENT = "batch-norm"
# Of the notebooks: computed as in the solution, with one mistake, as released; the rest is not handed in.
SOLVED, MISTAKEN, EMPTY = 0.45, 0.4, 0.1
# A cell of the notebook holds several answers only in "Adaptive normalization".
_CELLS = {"adaptive": {"design": ("gamma", "beta", "parameters"), "plain": ("plain",), "y": ("y",)}}
_STEPS = {
    "implement": (
        ("x.var(axis=axes, keepdims=True)", "x.var(axis=axes, ddof=1, keepdims=True)"),
        ("np.sqrt(var + eps)", "(np.sqrt(var) + eps)"),
        ("np.sqrt(var + eps)", "np.sqrt(var)"),
        ("(x - mean)", "x"),
        ("gamma.reshape(shape) * x_hat + beta.reshape(shape)", "gamma.reshape(shape) * (x_hat + beta.reshape(shape))"),
        ("dx = dx - dx_hat.mean(axis=axes, keepdims=True)", "pass"),
        ("dx = dx - x_hat * (dx_hat * x_hat).mean(axis=axes, keepdims=True)", "pass"),
        ("(1 - momentum) * running_mean + momentum * mean", "momentum * running_mean + (1 - momentum) * mean"),
        ("axes = (0, *range(2, x.ndim))", "axes = (0,)"),
    ),
    "another-normalizer": (
        ("x.var(axis=axes, keepdims=True)", "x.var(axis=axes, ddof=1, keepdims=True)"),
        ("rows.var(axis=2, keepdims=True) + eps", "rows.var(axis=2, keepdims=True)"),
        ("axes = tuple(range(1, x.ndim))", "axes = (1,)"),
        ("x.reshape(len(x), groups, -1)", "x.reshape(len(x), -1, groups)"),
        ("dx_hat.mean(axis=axes, keepdims=True)", "0"),
        ("users = (0, *range(2, x.ndim))", "users = (0,)"),
        ("(x**2).mean(axis=axes, keepdims=True)", "(x**2).sum(axis=axes, keepdims=True)"),
    ),
}

Cells = dict[str, str]


def make_course(root: Path) -> None:
    """A course directory as in a fresh clone, with the assignment generated."""
    shutil.copytree(EXERCISES / "source", root / "source", ignore=shutil.ignore_patterns("*.ipynb", ".*"))
    shutil.copy(EXERCISES / "nbgrader_config.py", root)
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", ASSIGNMENT]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def hand_in(root: Path, students: int, seed: int = 0, most: int = 7) -> int:
    """Put so many submissions of at most so many notebooks into `submitted/`; return how many notebooks are in them."""
    released = {
        path.stem: path.read_text(encoding="utf-8") for path in sorted((root / "release" / ASSIGNMENT).iterdir())
    }
    written = 0
    for number in range(students):
        rng = random.Random(f"{seed}:{number}")
        folder = root / "submitted" / f"student-{number:05d}" / ASSIGNMENT
        folder.mkdir(parents=True)
        (folder / "timestamp.txt").write_text("2026-11-01 10:00:00.000000 UTC")
        chosen = sorted(rng.sample(sorted(released), most)) if most < len(released) else list(released)
        for name in chosen:
            cells = _work(name, rng)
            # Nobody hands in nothing at all.
            if cells is None and name != chosen[0]:
                continue
            notebook = json.loads(released[name])
            for cell in notebook["cells"]:
                work = (cells or {}).get(cell["metadata"]["nbgrader"]["grade_id"])
                if work is not None:
                    # Nobody writes a cell letter by letter as another: what is remembered of one is of no use here.
                    cell["source"] = f"{work}\n\n{'# ' if cell['cell_type'] == 'code' else ''}student {number}"
            (folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
            written += 1
    return written


def _work(name: str, rng: random.Random) -> Cells | None:
    """The cells that a student writes in a notebook; None if it is not handed in."""
    drawn = rng.random()
    if drawn < SOLVED:
        return dict(_solution(name))
    if drawn < SOLVED + MISTAKEN:
        return _mistaken(name, rng)
    return {} if drawn < SOLVED + MISTAKEN + EMPTY else None


@cache
def _solution(name: str) -> Cells:
    text = (EXERCISES / "source" / ASSIGNMENT / f"{name}.md").read_text(encoding="utf-8")
    return {cell.id: cell.source for cell in to_notebook(text).cells if cell.metadata.nbgrader.solution}


def _mistaken(name: str, rng: random.Random) -> Cells:
    problem = name.partition("-")[2]
    if problem in _STEPS:
        right, wrong = rng.choice(_STEPS[problem])
        return {grade_id: source.replace(right, wrong) for grade_id, source in _solution(name).items()}
    answers = rng.choice(_wrong_answers(problem))
    cells = _CELLS.get(problem, {each.replace("_", "-"): (each,) for each in answers})
    # Some who make a mistake do not come to all the answers.
    written = {
        grade_id: "\n".join(f"{name} = {answers[name]!r}" for name in names if name in answers)
        for grade_id, names in cells.items()
    }
    # Texts that a person reads stay as in the solution.
    return dict(_solution(name)) | written


@cache
def _wrong_answers(problem: str) -> list[dict[str, Any]]:
    task: Any = my_problem(problem)
    if hasattr(task, "mistaken"):
        return [
            plain({name: answer for name, answer in each.items() if name not in task.points or problem == "break-it"})
            for _, _, each in task.mistaken()
        ]
    right = task.reference()
    return [plain(right | {part.name: value}) for part in task.parts for value in task.outcomes[0][part.name].wrong]
