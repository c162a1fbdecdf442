"""The course's problems, one module each: what is given, what is asked, what is right, and what can go wrong."""

from bn_exercises.problem import Problem
from bn_exercises.problems.adaptive import ADAPTIVE
from bn_exercises.problems.backpropagation import BACKPROPAGATION
from bn_exercises.problems.basic_calculation import BASIC_CALCULATION
from bn_exercises.problems.batch_size import BATCH_SIZE
from bn_exercises.problems.break_it import BREAK_IT
from bn_exercises.problems.conditional import BATCH, CLASS, CONDITIONAL
from bn_exercises.problems.implement import IMPLEMENT

__all__ = [
    "ADAPTIVE",
    "ALL",
    "BACKPROPAGATION",
    "BASIC_CALCULATION",
    "BATCH",
    "BATCH_SIZE",
    "BREAK_IT",
    "CLASS",
    "CONDITIONAL",
    "IMPLEMENT",
    "NUMERIC",
    "TASKS",
]

# Those that ask for numbers.
NUMERIC = (BASIC_CALCULATION, BACKPROPAGATION, BATCH_SIZE, CONDITIONAL)

# In the order of the course.
ALL: tuple[Problem, ...] = (*NUMERIC, ADAPTIVE, IMPLEMENT, BREAK_IT)
TASKS = {problem.name: problem for problem in ALL}
