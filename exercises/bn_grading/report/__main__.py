"""The command, as `python -m bn_grading.report`."""

from bn_grading.report.app import main

main()
