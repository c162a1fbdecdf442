"""The chapter "The backward pass": its experiments, claims, figures and questions."""
