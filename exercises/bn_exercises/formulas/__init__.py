"""Problem 5, Adaptive normalization: a design given as formulas, judged by its properties."""
