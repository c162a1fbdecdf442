"""The chapter "Does it condition the problem?": its experiments, claims, figures and questions."""
