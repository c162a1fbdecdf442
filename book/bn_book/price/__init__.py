"""The chapter "Depth, noise, and their price": its experiments, claims, figures and questions."""
