"""The face of a problem in its notebook: whose numbers, what handing in shows, leaves behind and returns."""

import json
import os
import pwd
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from bn_exercises import notebook
from bn_exercises.answers import ANSWERS, from_plain, plain
from bn_exercises.notebook import NotYetError, hand_in, my_problem
from bn_exercises.problem import Problem, verify
from bn_exercises.problems import BASIC_CALCULATION, NUMERIC

RIGHT = BASIC_CALCULATION.reference()


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What cells displayed, as it would be stored in the notebook."""
    outputs: list[dict[str, Any]] = []
    monkeypatch.setattr(notebook, "display", lambda data, raw: outputs.append(json.loads(json.dumps(data))))
    return outputs


# Whose numbers


def test_everybody_has_the_numbers_of_the_book() -> None:
    assert my_problem("basic-calculation") is BASIC_CALCULATION


def test_with_a_key_the_account_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BN_STUDENT", raising=False)
    account = pwd.getpwuid(os.getuid()).pw_name
    assert my_problem("batch-size", "key").given == my_problem("batch-size", "key", account).given
    assert my_problem("batch-size", "key", "ada").given != my_problem("batch-size", "key", "emmy").given
    assert my_problem("batch-size", "key", "ada").given != my_problem("batch-size", "key2", "ada").given


def test_the_grader_says_whose_notebook_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BN_STUDENT", "ada")
    assert my_problem("batch-size", "key").given == my_problem("batch-size", "key", "ada").given
    assert my_problem("batch-size").given == my_problem("batch-size", "").given  # no key: no difference


def test_who_cannot_be_known_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise OSError("get_username cannot be called on Windows")

    monkeypatch.delenv("BN_STUDENT", raising=False)
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    monkeypatch.setattr("nbgrader.utils.get_username", nobody)
    with pytest.raises(ValueError, match="say who you are"):
        my_problem("batch-size", "key")
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    assert my_problem("batch-size", "key").given == my_problem("batch-size", "key", "ada").given


def test_an_unknown_problem_is_named() -> None:
    with pytest.raises(ValueError, match="there is no problem 'basic'; expected one of basic-calculation, "):
        my_problem("basic")


# Handing in


def test_hand_in_returns_the_score_and_shows_all_parts(shown: list[dict[str, Any]]) -> None:
    assert hand_in(BASIC_CALCULATION, **RIGHT) == 10
    assert hand_in(BASIC_CALCULATION, mean=[5, 7, 9], var=[6.667] * 3) == 2
    assert hand_in(BASIC_CALCULATION) == 0
    assert shown[0]["text/plain"].startswith("Basic calculation: 10 of 10 points")
    assert "Not yet: ddof=1" in shown[1]["text/plain"]
    assert shown[1]["text/plain"].count("No answer yet") == 2
    assert shown[2]["text/html"].count('data-kind="missing"') == 4


@pytest.mark.parametrize("task", NUMERIC, ids=lambda task: task.name)
def test_what_is_left_in_the_output_gives_the_same_verdict(task: Problem, shown: list[dict[str, Any]]) -> None:
    answers = [
        task.reference(),
        {name: value.astype(np.float32) for name, value in task.reference().items()},
        {name: "text" for name in task.points},
        {name: [[1, 2], [3]] for name in task.points},
        {name: float("nan") for name in task.points},
        {},
        {"another": 1},
    ]
    for each in answers:
        hand_in(task, **each)
        left = shown[-1][ANSWERS]
        assert (left["version"], left["problem"], left["numbers"]) == (1, task.name, task.fingerprint)
        expected = verify(task, {name: None for name in task.points} | each)
        assert verify(task, from_plain(left["answers"])) == expected


def test_fingerprint_tells_variants_apart() -> None:
    given = [task.variant(seed) for task in NUMERIC for seed in range(20)] + list(NUMERIC)
    assert len({task.fingerprint for task in given}) == len(given)


def test_plain_and_back() -> None:
    observed = BASIC_CALCULATION.observe({"mean": np.float32(5), "var": "five", "x_hat": None})
    again = from_plain(json.loads(json.dumps(plain(observed))))
    assert BASIC_CALCULATION.observe(again) == observed


def test_validate_fails_with_the_verdict(shown: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")
    assert hand_in(BASIC_CALCULATION, **RIGHT) == 10
    with pytest.raises(NotYetError, match="Basic calculation: 0 of 10 points") as failure:
        hand_in(BASIC_CALCULATION)
    assert failure.value._render_traceback_() == [str(failure.value)]
    # Autograding counts points instead.
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert hand_in(BASIC_CALCULATION) == 0


def test_a_name_used_for_something_else_is_said() -> None:
    for ask in (hand_in, notebook.check):
        with pytest.raises(TypeError, match="the first argument is a int; expected a problem"):
            ask(5, mean=[5, 7, 9])  # type: ignore[arg-type]


def test_a_learner_needs_no_nbgrader() -> None:
    script = (
        "import sys; sys.modules['nbgrader'] = None\n"
        "from bn_exercises.notebook import my_problem\n"
        "print(my_problem('batch-size', 'key', 'ada').given)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(my_problem("batch-size", "key", "ada").given)
    assert done.stderr == ""


def test_a_notebook_needs_numpy_and_ipython_and_nothing_else() -> None:
    # Whatever runs a Jupyter kernel has these, also in a browser.
    script = (
        "import sys, numpy.random, IPython.display\n"
        "sys.modules['numba'] = None\n"  # it is used where it is there, and here it is; a browser has none
        "before = set(sys.modules)\n"
        "from bn_exercises.notebook import my_problem\n"
        "from bn_exercises.problems import TASKS\n"
        "for name in TASKS:\n"
        "    my_problem(name, 'key', 'ada')\n"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(loaded - set(sys.stdlib_module_names) - {'numpy', 'bn_lib', 'bn_exercises'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
