"""The language of a course, in nbgrader: one line of `nbgrader_config.py` chooses it.

    c.Language.code = "de"

A released notebook says it to itself, in the cell that asks for its problem. The grader finds it there.
"""

from typing import TYPE_CHECKING, Any

from nbgrader.preprocessors import NbGraderPreprocessor  # type: ignore[import-untyped]
from traitlets import Enum

from bn_exercises import LANGUAGES

if TYPE_CHECKING:
    from nbformat import NotebookNode


class Language(NbGraderPreprocessor):  # type: ignore[misc]
    """In `generate_assignment`: writes the choice above the call of `my_problem`; without a language, nothing."""

    code = Enum(("", *LANGUAGES), "", help="Of verdicts, hints and feedback; empty, and it is English.").tag(
        config=True
    )

    def preprocess(self, nb: "NotebookNode", resources: Any) -> tuple["NotebookNode", Any]:
        """Change the notebook that will be released."""
        if self.code:
            asking = (cell for cell in nb.cells if cell.cell_type == "code" and "my_problem(" in cell.source)
            for cell in asking:
                cell.source = f'import bn_exercises\n\nbn_exercises.language("{self.code}")\n{cell.source}'
                break
        return nb, resources
