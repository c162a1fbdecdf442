"""Problem 7, Break it: tests, judged by what they expose."""

from bn_exercises.problems.break_it.problem import BREAK_IT

__all__ = ["BREAK_IT"]
