"""The instructor's report on a graded assignment, and the exports of its scores.

1. `read`: what the gradebook, the grader's results and the handed-in code say becomes one `Class`.
2. `compute`, `alike`, `anonymous`: what is made of it. Pure functions of data.
3. `page`, `tables`, `write`: two pages, tables for spreadsheets and for learning platforms, and how they are put there.

`app` is the command, `bn-report`. Nothing here changes a score.
"""
