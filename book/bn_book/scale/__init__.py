"""The chapter "Why scale matters": its experiments, with its claims, and its figures."""
