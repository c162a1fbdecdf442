"""The chapter "Batch size": its experiments, claims, figures and questions."""
