"""The chapter "Making it fast": its experiments, with its claims, and its figures."""
