"""nbgrader's steps, without what it does again for each of them.

Every step of every notebook opens a `Gradebook` of its own: a new engine, for which SQLAlchemy compiles each query
once more, and a commit for each cell. And every cell's metadata is checked against a schema that is itself checked
first. For a submission of seven notebooks that is more work than running them. In a transaction of `Once`, nbgrader's
modules share one gradebook and a schema that was checked once.

So a submission is also one transaction: either all of its scores are stored, or none.

And a database that knows nothing of its tables looks for the grade of a cell among everybody's: 47 ms with 5,000 in the
gradebook, where it takes 0.7 ms once `ANALYZE` has counted the rows.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import jsonschema  # type: ignore[import-untyped]
from nbgrader.api import Gradebook, InvalidEntry  # type: ignore[import-untyped]
from nbgrader.nbgraderformat import common  # type: ignore[import-untyped]
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError


class Once:
    """One gradebook for all of nbgrader's steps.

    Args:
        db_url: as in nbgrader's configuration.
        course_id: the same.
    """

    def __init__(self, db_url: str, course_id: str) -> None:
        self._gradebook = Gradebook(db_url, course_id)
        self._session = self._gradebook.db
        # What nbgrader calls a commit is one step of many here.
        self._gradebook.db = _Steps(self._session)
        self._gradebook.close = lambda: None
        self._transactions = 0

    @contextmanager
    def transaction(self) -> Iterator[Gradebook]:
        """Let nbgrader's steps use the gradebook; store what they did at the end, or nothing if one raises."""
        with ExitStack() as stack:
            for module in [each for name, each in sys.modules.items() if name.startswith("nbgrader.")]:
                if vars(module).get("Gradebook") is Gradebook:
                    stack.enter_context(patch.object(module, "Gradebook", lambda *_, **__: self._gradebook))
            stack.enter_context(patch.object(common, "jsonschema", SimpleNamespace(validate=_validate)))
            try:
                self._count_rows()
                yield self._gradebook
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

    def remove(self) -> None:
        """Nothing is forgotten between two steps."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


@lru_cache(maxsize=8)
def _validator(schema: str) -> Any:
    parsed = json.loads(schema)
    kind = jsonschema.validators.validator_for(parsed)
    kind.check_schema(parsed)
    return kind(parsed)


def _validate(instance: Any, schema: dict[str, Any]) -> None:
    """As `jsonschema.validate`."""
    error = jsonschema.exceptions.best_match(_validator(json.dumps(schema, sort_keys=True)).iter_errors(instance))
    if error is not None:
        raise error
