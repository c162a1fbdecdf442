"""The exercises as a course in nbgrader: sources of notebooks, and other numbers for every student."""
