"""The chapter "Internal covariate shift": its experiments, claims, figures and questions."""
