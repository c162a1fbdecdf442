"""nbgrader's own tests of `nbgrader autograde`, as its wheel has them, put to `bn-grade`.

Those that fail are named in `bn_grading.differences`, each with its reason; all others pass. Two are left out, which
nbgrader itself skips.
"""

import inspect
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from nbgrader import api, tests
from nbgrader.tests.apps import test_nbgrader_autograde as theirs
from nbgrader.tests.apps.conftest import course_dir, db, temp_cwd  # noqa: F401 - fixtures

from bn_grading import app
from bn_grading.app import GradeApp
from bn_grading.differences import DIFFERENCES

from .conftest import in_process

pytestmark = [
    pytest.mark.needs("bwrap", package="bubblewrap"),
    # nbgrader's own, of what it calls that is no longer to be called.
    pytest.mark.filterwarnings("ignore"),
]


def run_nbgrader(args: list[str], retcode: int = 0, env: dict[str, str] | None = None, stdout: bool = False) -> str:
    """In the place of nbgrader's function of that name: the one command is ours."""
    if args[0] != "autograde":
        return str(tests.run_nbgrader(args, retcode, env, stdout))
    code, said = in_process(GradeApp, *args[1:])
    assert code == retcode, said
    return said


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(theirs, "run_nbgrader", run_nbgrader)
    # There nbgrader finds alembic.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    # A program is started for each new gradebook, and a sandbox for each new course, to say the same.
    monkeypatch.setattr(api, "get_alembic_version", alembic_version)
    monkeypatch.setattr(app, "try_sandbox", lambda *_: None)


alembic_version = cache(api.get_alembic_version)


def differs(test: Callable[..., Any]) -> Callable[..., Any]:
    why = DIFFERENCES.get(test.__name__)
    return pytest.mark.xfail(reason=why, strict=True, raises=AssertionError)(test) if why else test


class TestAutograde(theirs.TestNbGraderAutograde):
    """All of them."""


THEIRS = {name: test for name, test in inspect.getmembers(theirs.TestNbGraderAutograde) if name.startswith("test_")}
# One wants a PostgreSQL that is set up by hand; the other fills the memory, which an attack on the sandbox does, too.
SKIPPED = ("test_many_students", "test_infinite_loop_with_output")
for name in DIFFERENCES:
    setattr(TestAutograde, name, differs(THEIRS[name]))
for name in SKIPPED:
    setattr(TestAutograde, name, None)


def test_these_are_all_of_them() -> None:
    """A test that a new nbgrader brings, or takes away, is looked at by a person."""
    assert len(THEIRS) == 41
    assert {*DIFFERENCES, *SKIPPED} <= THEIRS.keys()
