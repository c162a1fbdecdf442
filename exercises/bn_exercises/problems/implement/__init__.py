"""Problem 6, Implement it: functions, judged by what they return on inputs that tell right from nearly right."""

from bn_exercises.problems.implement.problem import IMPLEMENT

__all__ = ["IMPLEMENT"]
