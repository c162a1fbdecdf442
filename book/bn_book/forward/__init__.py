"""The chapter "The forward pass": its experiments, claims, figures and questions."""
