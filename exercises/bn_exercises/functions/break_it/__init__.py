"""Problem 7, Break it: tests, judged by what they expose."""
