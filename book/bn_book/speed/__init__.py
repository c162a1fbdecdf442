"""The chapter "Making it fast": its experiments, claims, figures and questions."""
