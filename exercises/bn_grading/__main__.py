"""The command, as `python -m bn_grading`."""

from bn_grading.app import main

main()
