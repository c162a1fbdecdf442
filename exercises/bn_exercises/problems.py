"""The course's problems."""

from bn_exercises.formulas.problem import ADAPTIVE
from bn_exercises.functions.another_normalizer.problem import ANOTHER_NORMALIZER
from bn_exercises.functions.break_it.problem import BREAK_IT
from bn_exercises.functions.implement.problem import IMPLEMENT
from bn_exercises.numbers.backpropagation import BACKPROPAGATION
from bn_exercises.numbers.basic_calculation import BASIC_CALCULATION
from bn_exercises.numbers.batch_size import BATCH_SIZE
from bn_exercises.numbers.conditional import BATCH, CLASS, CONDITIONAL
from bn_exercises.problem import Problem

__all__ = [
    "ADAPTIVE",
    "ALL",
    "ANOTHER_NORMALIZER",
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
ALL: tuple[Problem, ...] = (*NUMERIC, ADAPTIVE, IMPLEMENT, BREAK_IT, ANOTHER_NORMALIZER)
TASKS = {problem.name: problem for problem in ALL}
