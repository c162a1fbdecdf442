"""The course's problems, one module each: what is given, what is asked, what is right, and what can go wrong."""

from bn_exercises.problems.backpropagation import BACKPROPAGATION
from bn_exercises.problems.basic_calculation import BASIC_CALCULATION
from bn_exercises.problems.batch_size import BATCH_SIZE
from bn_exercises.problems.conditional import BATCH, CLASS, CONDITIONAL

__all__ = ["ALL", "BACKPROPAGATION", "BASIC_CALCULATION", "BATCH", "BATCH_SIZE", "CLASS", "CONDITIONAL"]

# In the order of the course.
ALL = (BASIC_CALCULATION, BACKPROPAGATION, BATCH_SIZE, CONDITIONAL)
