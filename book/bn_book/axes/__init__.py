"""The chapter "One operation, many axes": its layers for sequences, experiments, claims, figures and questions."""
