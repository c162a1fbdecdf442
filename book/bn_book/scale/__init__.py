"""The chapter "Why scale matters": its experiments, claims, figures and questions."""
