"""Where `bn-grade` does on purpose what `nbgrader autograde` does not: by nbgrader's own tests of that command.

They are run through `bn-grade` (`tests/course/test_nbgraders_own.py`). Those named here fail, for the reason that is
given; all others pass. The page on teaching shows the same list.
"""

DIFFERENCES = {
    "test_grade_empty_timestamp": (
        "A date that cannot be read is the student's. `nbgrader autograde` stops the whole run at it; `bn-grade` "
        "grades the submission, leaves the file out and says so."
    ),
    "test_handle_failure": (
        "A notebook that lacks the assignment's cells does not take the points of the others away. "
        "`nbgrader autograde` drops the whole submission; `bn-grade` grades what is there and counts what is missing."
    ),
    "test_handle_failure_single_notebook": "The same, with `--notebook`.",
    "test_missing_source_kernelspec": (
        "A notebook runs in the grader's Python, whatever kernel a student's copy names: the student wrote that name."
    ),
    "test_no_execute": (
        "`--no-execute` takes points from what a student's notebook shows. Anybody can write that, so it is refused."
    ),
    "test_missing_files": (
        "A folder without a notebook is a submission that failed, and the command ends with 1. `nbgrader autograde` "
        "passes over it."
    ),
}
