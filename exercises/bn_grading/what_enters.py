"""What of this project enters the sandbox: a folder with a few modules, made for one run of the grader.

`MODULES` reads answers and records functions. Everything else stays outside: the problems' references,
misconceptions and hints, what judges, the sources with the solutions.

But for the notebook of "Break it", and only for that: its suspects have to be there to be called, and tests of
one's own to be run on them. So it is sent `SUSPECTS`, the gallery of right and wrong functions with the mistakes'
names. What judges evidence, and the evidence that exposes a suspect, stay outside of it, too.
"""

import compileall
import os
import shutil
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from bn_exercises.problem import Problem
from bn_grading import places

PACKAGES = ("bn_exercises", "bn_exercises.functions")
MODULES = ("bn_exercises.answers", "bn_exercises.tolerance", "bn_exercises.functions.recording")
SUSPECTS = (
    "bn_exercises.algorithm",
    "bn_exercises.misconceptions",
    "bn_exercises.verdict",
    "bn_exercises.formulas.formula",
    "bn_exercises.functions.gallery",
    "bn_exercises.functions.implementations",
    "bn_exercises.functions.slips",
    "bn_exercises.functions.break_it.evidence",
    "bn_exercises.functions.break_it.hiding",
    "bn_exercises.functions.break_it.suspects",
)
_EMPTY = '"""In the sandbox: only what reads answers."""\n'


def assemble(folder: Path) -> Path:
    """Write it into an empty folder, and return that.

    In it are the programs that run there, and the folder `packages`: what a notebook can import.
    """
    packages = folder / os.path.basename(places.PACKAGES)
    for package in PACKAGES:
        place = packages.joinpath(*package.split("."))
        place.mkdir(parents=True, exist_ok=True)
        (place / "__init__.py").write_text(_EMPTY, encoding="utf-8")
    # The package itself has nothing but the choice of a language, which a notebook may make.
    (packages / "bn_exercises" / "__init__.py").write_text(_source("bn_exercises"), encoding="utf-8")
    for module in MODULES:
        packages.joinpath(*module.split(".")).with_suffix(".py").write_text(_source(module), encoding="utf-8")
    inside = files("bn_grading") / "inside"
    (packages / "bn_exercises" / "notebook.py").write_text(
        (inside / "notebook.py").read_text("utf-8"), encoding="utf-8"
    )
    for name in ("shell.py", "zygote.py"):
        (folder / name).write_text((inside / name).read_text("utf-8"), encoding="utf-8")
    # The library that the book teaches with is no secret, and a learner may use it.
    shutil.copytree(_folder("bn_lib"), packages / "bn_lib", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(folder, quiet=2)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@cache
def suspects() -> dict[str, str]:
    """The modules that the notebook of "Break it" is sent, with their sources."""
    packages = dict.fromkeys(("bn_exercises.formulas", "bn_exercises.functions.break_it"), _EMPTY)
    return packages | {module: _source(module) for module in SUSPECTS}


def modules(problem: Problem) -> dict[str, str]:
    """Sources that only the notebook of this problem gets."""
    return suspects() if problem.asks_for == "evidence" else {}


def _source(module: str) -> str:
    spec = find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    return Path(spec.origin).read_text(encoding="utf-8")


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None, package
    assert spec.origin is not None, package
    return Path(spec.origin).parent
