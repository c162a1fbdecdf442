"""Problem 5, Adaptive normalization: a design given as formulas, judged by its properties."""

from bn_exercises.problems.adaptive.problem import ADAPTIVE

__all__ = ["ADAPTIVE"]
