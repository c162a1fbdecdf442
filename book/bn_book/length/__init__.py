"""The chapter "Length does not matter": its experiments, claims, figures and questions."""
