"""The book's questions for learning systems: every chapter's, with what is said to each wrong answer.

`record` turns a question into plain data that knows no format. `moodle`, `gift` and `qti` write it down.
"""

from bn_book.quiz.downloads import Downloads

__all__ = ["Downloads"]
