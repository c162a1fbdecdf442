"""What `nbgrader autograde` and formgrader's button "Autograde" do in this course: nothing, and they name `bn-grade`.

Both would run students' code in the instructor's account, where it can read the gradebook and write to it. Both ask for
an exporter before they look at the first submission (`c.Autograde.exporter_class` in `nbgrader_config.py`).
"""

from typing import Any

from nbconvert.exporters import NotebookExporter
from nbgrader.converters import Autograde  # type: ignore[import-untyped]
from nbgrader.converters.base import NbGraderException  # type: ignore[import-untyped]


class Refused(NotebookExporter):
    """In the place of nbgrader's exporter: there is none.

    Args:
        parent: what was started, and would run students' code.

    Raises:
        NbGraderException: always.
    """

    def __init__(self, parent: Autograde, **_: Any) -> None:
        says = (
            "Nothing was run: students' code would run in your account here, where it can read the gradebook and "
            "write to it. Grade in a terminal, in the course's folder, with a sandbox around it: "
            f"bn-grade {parent.coursedir.assignment_id}"
        )
        # The command shows what is logged, formgrader that and the exception.
        parent.log.error(says)
        raise NbGraderException(says)
