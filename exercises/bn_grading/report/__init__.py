"""The instructor's report on a graded assignment, and the exports of its scores.

1. `read` makes one `Class` of the gradebook, the grader's results and the code that was handed in.
2. `compute`, `alike` and `anonymous` work out what the report says. They are pure functions of data.
3. `page` and `tables` make two pages of it, and tables for spreadsheets and learning platforms; `write` stores them.

`app` is the command, `bn-report`. Nothing here changes a score.
"""
