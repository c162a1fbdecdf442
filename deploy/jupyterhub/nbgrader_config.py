"""What nbgrader is told in every account of the machine; the course has an nbgrader_config.py of its own."""

from pathlib import Path

c = get_config()  # noqa: F821 - nbgrader puts it there

# Everybody's commands and lists are about this course, so nobody types `--course`.
c.CourseDirectory.course_id = "batch-normalization"

# Where assignments and submissions change hands.
c.Exchange.root = "/srv/nbgrader/exchange"

# The course is in the instructor's home, where no student can look. Formgrader finds it by this line.
if (Path.home() / "course").is_dir():
    c.CourseDirectory.root = str(Path.home() / "course")
