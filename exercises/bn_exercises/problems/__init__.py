"""The course's problems, one module each: what is given, what is asked, what is right, and what can go wrong."""

from bn_exercises.problem import Problem
from bn_exercises.problems.backpropagation import BACKPROPAGATION
from bn_exercises.problems.basic_calculation import BASIC_CALCULATION
from bn_exercises.problems.batch_size import BATCH_SIZE
from bn_exercises.problems.conditional import BATCH, CLASS, CONDITIONAL
from bn_exercises.task import JudgingTask

__all__ = ["ALL", "BACKPROPAGATION", "BASIC_CALCULATION", "BATCH", "BATCH_SIZE", "CLASS", "CONDITIONAL", "TASKS"]

# In the order of the course.
ALL = (BASIC_CALCULATION, BACKPROPAGATION, BATCH_SIZE, CONDITIONAL)

# By name, whatever they ask for.
TASKS: dict[str, Problem | JudgingTask] = {task.name: task for task in ALL}
