"""The chapter "Convolutions": its experiments, with its claims, and its figures."""
