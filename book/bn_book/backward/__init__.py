"""The chapter "The backward pass": its experiments, with its claims, and its figures."""
