"""Solutions that a course keeps closed until a day, in nbgrader: one line of `nbgrader_config.py`.

    c.Solutions.closed_until = "2026-12-20"

The day goes into the released notebooks, where `my_problem` tells it to `solution`. It is no lock: the notebook is the
student's, and so are its numbers. It takes away the temptation of a call that the notebook itself offers.
"""

import re
from typing import TYPE_CHECKING, Any

from nbgrader.preprocessors import NbGraderPreprocessor  # type: ignore[import-untyped]
from traitlets import TraitError, Unicode, validate

from bn_exercises.check import day

if TYPE_CHECKING:
    from nbformat import NotebookNode

_CALL = re.compile(r"(my_problem\(\s*(['\"])[\w-]+\2)(?:\s*,\s*solution_from=(['\"])[^'\"]*\3)?")
_OFFER = re.compile(r"Done, or stuck\?(?= `solution\(problem\)`)")


class Solutions(NbGraderPreprocessor):  # type: ignore[misc]
    """In `generate_assignment`: writes the day into the call of `my_problem` and the offer; without one, nothing."""

    closed_until = Unicode(
        "", help="The first day, YYYY-MM-DD, on which `solution(problem)` shows anything; empty, and it always does."
    ).tag(config=True)

    @validate("closed_until")
    def _is_a_day(self, proposal: dict[str, Any]) -> str:
        try:
            return day(proposal["value"]).isoformat() if proposal["value"] else ""
        except ValueError as error:
            raise TraitError(f"c.Solutions.closed_until: {error}") from None

    def preprocess(self, nb: "NotebookNode", resources: Any) -> tuple["NotebookNode", Any]:
        """Change the notebook that will be released.

        Raises:
            ValueError: if the notebook has no place for the day that is known here.
        """
        if not self.closed_until:
            return nb, resources
        opens, told = self.closed_until, 0
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.source, count = _CALL.subn(rf"\1, solution_from='{opens}'", cell.source)
                told += count
            else:
                cell.source, count = _OFFER.subn(f"From {opens} on,", cell.source)
                if not count and "`solution(problem)`" in cell.source:
                    raise ValueError(
                        f"the cell {cell.metadata.get('nbgrader', {}).get('grade_id')!r} offers `solution(problem)` in "
                        "words that are not known here; expected: Done, or stuck? `solution(problem)` ..."
                    )
        if not told and any("hand_in(" in cell.source for cell in nb.cells):
            raise ValueError('the notebook has no cell with my_problem("NAME"): there is no place for the day')
        return nb, resources
