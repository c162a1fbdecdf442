"""The chapter "Convolutions": its experiments, claims, figures and questions."""
