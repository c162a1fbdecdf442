"""The chapter "Training versus inference": its experiments, claims, figures and questions."""
