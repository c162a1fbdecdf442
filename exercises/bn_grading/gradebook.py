"""nbgrader's steps in one gradebook: a submission is one transaction, of which all is stored or nothing.

nbgrader opens a `Gradebook` for every step of every notebook: a new engine, for which SQLAlchemy compiles each query
once more, and a commit for each cell. For a submission of all notebooks that is more work than running them. So in
the place of its preprocessors that do so stand subclasses (`of_one_gradebook`), which use the one of the run.

And a database that knows nothing of its tables looks for the grade of a cell among everybody's: 47 ms with 5,000 in the
gradebook, where it takes 0.7 ms once `ANALYZE` has counted the rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from nbgrader.api import Gradebook, InvalidEntry  # type: ignore[import-untyped]
from nbgrader.preprocessors import (  # type: ignore[import-untyped]
    AssignLatePenalties,
    NbGraderPreprocessor,
    OverwriteCells,
    SaveAutoGrades,
)
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError


class OneGradebook(Gradebook):  # type: ignore[misc]
    """nbgrader's, for a whole run.

    Args:
        db_url: as in nbgrader's configuration.
        course_id: the same.
    """

    db: Any

    def __init__(self, db_url: str, course_id: str) -> None:
        super().__init__(db_url, course_id)
        self._session = self.db
        # What nbgrader calls a commit is one step of many here.
        self.db = _Steps(self._session)
        self._transactions = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read what belongs together, and change nothing: another command may be writing meanwhile."""
        try:
            yield
        finally:
            self._session.remove()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Store at the end what was done, or nothing if something raises."""
        try:
            self._count_rows()
            yield
            self._session.commit()
        except InvalidEntry as error:
            # nbgrader says that an entry is invalid whatever failed, a full disk too; the database said what did.
            if isinstance(error.__context__, SQLAlchemyError):
                raise error.__context__ from None
            raise
        finally:
            # Also forgets what was read: memory does not grow with the class.
            self._session.remove()

    def _count_rows(self) -> None:
        """Let the database plan for what it holds: at the first transaction, the second, the fourth, and so on.

        A gradebook starts empty, and what was counted in one of half the size still makes the right plans. SQLite and
        PostgreSQL have the same word for it; both keep the numbers, for nbgrader's own commands too.
        """
        self._transactions += 1
        if self._transactions.bit_count() == 1:
            self._session.execute(text("ANALYZE"))


class _Steps:
    """A session whose commits wait for the end of the transaction."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def commit(self) -> None:
        """Send what was changed, so that the next query sees it."""
        self._session.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


class _OverwriteCells(OverwriteCells):  # type: ignore[misc]
    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        _begin(self, resources)
        nb, resources = super(OverwriteCells, self).preprocess(nb, resources)
        if self.add_missing_cells:
            nb, resources = self.add_missing_grade_cells(nb, resources)
            nb, resources = self.add_missing_task_cells(nb, resources)
        return nb, resources


class _SaveAutoGrades(SaveAutoGrades):  # type: ignore[misc]
    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        _begin(self, resources)
        return super(SaveAutoGrades, self).preprocess(nb, resources)  # type: ignore[no-any-return]


class _AssignLatePenalties(AssignLatePenalties):  # type: ignore[misc]
    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        _begin(self, resources)
        self.init_plugin()
        late = self.gradebook.find_submission(self.assignment_id, self.student_id).total_seconds_late
        notebook = self.gradebook.find_submission_notebook(self.notebook_id, self.assignment_id, self.student_id)
        notebook.late_submission_penalty = None
        if late > 0:
            penalty = self.plugin_inst.late_submission_penalty(self.student_id, notebook.score, late)
            if penalty is not None:
                notebook.late_submission_penalty = self._check_late_penalty(notebook, penalty)
        self.gradebook.db.commit()
        return nb, resources


def _begin(preprocessor: Any, resources: Any) -> None:
    """As each of nbgrader's begins, but for the gradebook: it is that of the parent."""
    about = resources["nbgrader"]
    preprocessor.notebook_id, preprocessor.assignment_id = about["notebook"], about["assignment"]
    preprocessor.student_id, preprocessor.gradebook = about["student"], preprocessor.parent.gradebook


@cache
def of_one_gradebook(kind: type[NbGraderPreprocessor]) -> type[NbGraderPreprocessor]:
    """The same preprocessor, with the gradebook of its parent. What a course derived from nbgrader's keeps its own."""
    for ours in (_OverwriteCells, _SaveAutoGrades, _AssignLatePenalties):
        (theirs,) = ours.__bases__
        if issubclass(kind, theirs):
            # Between the two: what its own methods call of nbgrader's is ours.
            return ours if kind is theirs else type(kind.__name__, (kind, ours), {})
    return kind
