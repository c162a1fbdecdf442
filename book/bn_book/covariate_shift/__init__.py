"""The chapter "Internal covariate shift": its experiments, with its claims, and its figures."""
