"""Whose notebook this is: what a student's own numbers are drawn for.

By itself, because the grader's side of it (`personal`) runs whenever an nbgrader command starts, and need not load the
problems.
"""

import os

# The grader says here whose notebook it runs; a student may, whose account has another name.
STUDENT = "BN_STUDENT"


def account() -> str:
    """Who works here, as nbgrader would say.

    Raises:
        ValueError: if that cannot be known.
    """
    if grader_says := os.environ.get(STUDENT):
        return grader_says
    try:
        from nbgrader.utils import get_username  # type: ignore[import-untyped]

        name: str = get_username()
    # Without nbgrader, or where accounts have no names: in a browser, on Windows.
    except (ImportError, OSError, KeyError):
        name = os.environ.get("JUPYTERHUB_USER", "")
    if not name:
        raise ValueError('your course gives each student other numbers: say who you are, my_problem(..., student="id")')
    return name
