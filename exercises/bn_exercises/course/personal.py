"""Other numbers for every student, in nbgrader: one line of `nbgrader_config.py` turns them on.

    c.PersonalNumbers.course_key = "autumn-2026"

The key goes into the released notebooks. From the key and the student's id a notebook and the grader derive the same
numbers (`problem.seed_for`). The key is no secret from students: it makes this year's numbers differ from last year's.
That a student cannot take over another's answers does not rest on it.
"""

import re
from typing import TYPE_CHECKING, Any

from nbgrader.preprocessors import NbGraderPreprocessor  # type: ignore[import-untyped]
from traitlets import Integer, Unicode

if TYPE_CHECKING:
    from nbformat import NotebookNode

_CALL = re.compile(r"my_problem\(\s*(['\"][\w-]+['\"])\s*\)")


class PersonalNumbers(NbGraderPreprocessor):  # type: ignore[misc]
    """In `generate_assignment`: writes the course's key into the call of `my_problem`; without a key, nothing."""

    course_key = Unicode("", help="What the students' numbers are drawn with; empty, and everybody has the same.").tag(
        config=True
    )
    edition = Integer(1, help="Of the lists they are drawn with. Keep the one that a course began with.").tag(
        config=True
    )

    def preprocess(self, nb: "NotebookNode", resources: Any) -> tuple["NotebookNode", Any]:
        """Change the notebook that will be released.

        Raises:
            ValueError: if it hands in a problem but nowhere asks for it in the form that is known here.
        """
        if not self.course_key:
            return nb, resources
        replaced = 0
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.source, count = _CALL.subn(self._with_key, cell.source)
                replaced += count
        if not replaced and any("hand_in(" in cell.source for cell in nb.cells):
            raise ValueError('the notebook has no cell with my_problem("NAME"): there is no place for the course key')
        return nb, resources

    def _with_key(self, call: re.Match[str]) -> str:
        edition = "" if self.edition == 1 else f", edition={self.edition}"
        return f"my_problem({call[1]}, course_key={self.course_key!r}{edition})"
