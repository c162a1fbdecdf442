"""Grading a class with nbgrader, in three phases that touch different things.

1. `sanitize`: nbgrader's preprocessors restore the instructor's cells. Trusted; nothing of a student's runs.
2. `execute`: the notebooks of one submission run in a sandbox. Untrusted. In go cells and the numbers of a problem, out
   come outputs, which are data. No expected value goes in.
3. `record`: the answers among the outputs are judged by `bn_exercises`, in the grader's process, and the one
   writer of the gradebook stores scores and comments through nbgrader's API.

`app` is the command. `inside` holds what runs in the sandbox, and is never imported here.
"""
