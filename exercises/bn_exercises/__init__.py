"""The exercises behind the book and the course: problems, named misconceptions, questions that answer back.

Uses `bn_lib`, which knows nothing of it. Nothing is imported here, because `nbgrader_config.py` imports
`bn_exercises.course.sources` at the start of every nbgrader command: import the module you need.
"""
