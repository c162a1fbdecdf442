"""Problem 8, Another normalizer: layer, group and RMS normalization, forward and backward, judged as in problem 6."""
