"""The exercises behind the book and the course: problems, named misconceptions, questions that answer back.

Uses `bn_lib`, which knows nothing of it. Nothing of it is imported here, because `nbgrader_config.py` imports
`bn_exercises.course.sources` at the start of every nbgrader command: import the module you need.
"""

import os

LANGUAGES = ("en", "de")
# The one setting, so that programs which are started here, and the build of the book, take it over.
LANGUAGE = "BN_LANGUAGE"


def language(code: str) -> None:
    """Have verdicts, hints and questions shown in a language from now on: "en" or "de".

    Scores and records do not depend on it.

    Raises:
        ValueError: if there is no such language.
    """
    if code not in LANGUAGES:
        raise ValueError(f"there is no language {code!r}; expected one of {', '.join(LANGUAGES)}")
    os.environ[LANGUAGE] = code
