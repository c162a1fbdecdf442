"""The chapter "Training versus inference": its experiments, with its claims, and its figures."""
