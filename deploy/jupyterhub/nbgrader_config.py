"""For every account of the machine. The course has a file of its own."""

from pathlib import Path

c = get_config()  # noqa: F821 - nbgrader puts it there

# What everybody's commands and lists are about: nobody types `--course`.
c.CourseDirectory.course_id = "batch-normalization"

# Where assignments and submissions change hands.
c.Exchange.root = "/srv/nbgrader/exchange"

# The instructor's home has the course, and no student can look into it.
# Formgrader finds it by this line.
if (Path.home() / "course").is_dir():
    c.CourseDirectory.root = str(Path.home() / "course")
