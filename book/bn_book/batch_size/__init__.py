"""The chapter "Batch size": its experiments, with its claims, and its figures."""
