"""The course, for nbgrader: run its commands in this folder.

nbgrader works on .ipynb files; the repository keeps their sources as MyST Markdown, which can be read and compared.
This file is executed whenever an nbgrader command starts here, so this is where stale .ipynb files are made anew.
"""

import os
import sys

c = get_config()  # noqa: F821 - nbgrader puts it there

# nbgrader starts `alembic` by name to set up its gradebook: let it find the one installed beside it, so that
# .venv/bin/nbgrader works without activating the environment.
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", os.defpath)

c.CourseDirectory.course_id = "batch-normalization"

# nbgrader copies every other file of source/ to the students. The sources hold the solutions, so they stay here.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "*.md"]

# Take the # away, and every student has numbers of their own. What the key is does not matter; take another next year.
# c.PersonalNumbers.course_key = "autumn-2026"

# Take the # away, and `solution(problem)` shows nothing before this day. Teaching's page says what that is good for.
# c.Solutions.closed_until = "2026-12-20"

# The language of verdicts, hints and feedback in what you release from now on: "de". The sheets stay in English.
# c.Language.code = "de"

# The address of the book's front page: with it, the report (bn-report) links to the sections that it names.
# c.ReportApp.book = "https://..."

# The released cell keeps its line `mean = None`, so it runs as it is: no exception stands between a learner and the
# cells after it, and the check says what is missing.
c.ClearSolutions.code_stub = {"python": "# If you need more lines, write them here."}

# `nbgrader autograde` and formgrader's button would run students' code in your account. They refuse; `bn-grade` grades.
c.Autograde.exporter_class = "bn_grading.autograde.Refused"

# nbgrader's own follow links, and one student's files can stop them.
c.ExchangeFactory.collect = "bn_grading.exchange.Collect"
c.ExchangeFactory.release_feedback = "bn_grading.exchange.ReleaseFeedback"
c.ZipCollectApp.extractor_plugin = "bn_grading.archives.Extractor"
c.ZipCollectApp.collector_plugin = "bn_grading.archives.Names"

# Students' texts are shown to you in formgrader. Without these, with any script that is in them.
c.HTMLExporter.filters = {
    "markdown2html": "bn_grading.safe_html.markdown",
    "ansi2html": "bn_grading.safe_html.terminal",
    "highlight_code": "bn_grading.safe_html.code",
}
c.GenerateFeedback.exporter_class = "bn_grading.safe_html.Feedback"

# A name that begins with = is no formula in a spreadsheet.
c.ExportApp.plugin_class = "bn_grading.report.tables.Export"

try:
    from nbgrader.converters import GenerateAssignment

    from bn_exercises.course.personal import PersonalNumbers
    from bn_exercises.course.solutions import Solutions
    from bn_exercises.course.sources import sync
    from bn_exercises.course.spoken import Language

    Solutions(config=c)  # so that a day that is none stops every command, in one line; and so does a language
    Language(config=c)
    # They do nothing without a course key, without a day, without a language.
    ours = [PersonalNumbers, Solutions, Language]
    c.GenerateAssignment.preprocessors = [*ours, *GenerateAssignment.preprocessors.default()]

    for path in sync(os.path.join(os.path.dirname(os.path.abspath(__file__)), "source")):
        print(f"nbgrader_config.py: made {path}", file=sys.stderr)
except Exception as error:
    # nbgrader would log any other exception, drop this whole file, *.md above included, and go on.
    sys.exit(f"nbgrader_config.py: the notebooks could not be brought up to date.\n{type(error).__name__}: {error}")
