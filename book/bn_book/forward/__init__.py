"""The chapter "The forward pass": its experiments, with its claims, and its figures."""
