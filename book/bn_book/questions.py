"""The questions of all chapters. Each chapter's are in its room; those of the exercises are in `bn_exercises`."""

from importlib import import_module

from bn_book.chapters import chapters
from bn_exercises.check_yourself.question import Question


def of_chapters() -> tuple[Question, ...]:
    """Every question of a chapter, in the order of the chapters, and in a chapter as its room defines them."""
    rooms = [vars(import_module(f"bn_book.{chapter}.questions")) for chapter in chapters()]
    return tuple(value for room in rooms for value in room.values() if isinstance(value, Question))
