"""Designs of adaptive normalization to try the grader on: good ones, and ones that fail in one part.

Each is what a learner would answer, but for the output, which `problems.adaptive` computes.
"""

from collections.abc import Mapping
from typing import Any

# For the solution: round enough for a batch whose mean is small.
WORKED: Mapping[str, Any] = {
    "gamma": "1 + a * mu**2 / (1 + mu**2)",
    "beta": "b * mu / sqrt(1 + mu**2)",
    "parameters": {"a": 0.5, "b": 0.5},
    "plain": {"a": 0, "b": 0},
}
GOOD: Mapping[str, Any] = {**WORKED, "gamma": "1 + a * tanh(mu)"}
# In its output each mistake shows.
STEEP: Mapping[str, Any] = {**WORKED, "gamma": "1 + a * mu", "beta": "b * mu"}

# Each fails in one part: the part, the mistake's name, and how it differs from `GOOD`.
FAILING: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("finite", "pole at zero mean", {"gamma": "1 + a / mu"}),
    ("finite", "pole at zero mean", {"gamma": "1 + a / mu**2"}),
    ("finite", "pole at zero mean", {"beta": "b * log(abs(mu))"}),
    ("finite", "pole at zero mean", {"beta": "b * log(mu**2)"}),
    ("finite", "pole at zero mean", {"beta": "b * sin(mu) / mu"}),
    ("finite", "pole at zero mean", {"beta": "b * abs(mu) / mu"}),
    ("finite", "not defined for negative means", {"gamma": "1 + a * sqrt(mu)"}),
    ("finite", "not defined for negative means", {"gamma": "1 + a * log(mu)"}),
    ("finite", "not defined for negative means", {"beta": "b * mu**1.5"}),
    ("finite", "not defined for negative means", {"gamma": "1 + a * mu**mu"}),
    ("finite", "not defined for some means", {"gamma": "1 + a * log(1 + mu)"}),
    ("finite", "not defined for some means", {"gamma": "1 + a * sqrt(mu**2 - 2)"}),
    ("finite", "overflow for large means", {"gamma": "exp(a * mu)"}),
    ("finite", "overflow for large means", {"gamma": "1 + a * cosh(mu)"}),
    ("finite", "overflow for large means", {"beta": "b * exp(mu) / (1 + exp(mu))"}),
    ("finite", "overflow for large means", {"beta": "b * log(1 + exp(mu))"}),
    ("finite", "overflow for large means", {"beta": "b * (exp(mu) - exp(-mu)) / (exp(mu) + exp(-mu))"}),
    ("finite", "overflow for large means", {"gamma": "1 + a * (mu / 10)**70"}),
    ("finite", "pole", {"gamma": "1 + a / (mu + 3)"}),
    ("finite", "pole", {"gamma": "1 + a / (mu**2 - 2)"}),
    ("finite", "pole", {"beta": "b * tan(mu)"}),
    ("finite", "not finite for large variances", {"gamma": "1 + a * tanh(mu) * exp(var)"}),
    ("adapts", "does not adapt", {"gamma": "1 + a", "beta": "b"}),
    ("adapts", "does not adapt", {"parameters": {"a": 0, "b": 0}}),
    ("adapts", "does not adapt", {"gamma": "1 + a * (mu - mu)", "beta": "0"}),
    ("adapts", "does not adapt", {"gamma": "1 + a * (cos(mu)**2 + sin(mu)**2)", "beta": "b"}),
    ("adapts", "does not adapt", {"gamma": "2 + a * 1e-9 * tanh(mu)", "beta": "0"}),
    ("smooth", "kink", {"gamma": "1 + a * abs(mu)"}),
    ("smooth", "kink", {"gamma": "1 + a * relu(mu)"}),
    ("smooth", "kink", {"gamma": "1 + a * relu(mu - 0.3)"}),
    ("smooth", "kink", {"gamma": "1 + a * sqrt(abs(mu))"}),
    ("smooth", "kink", {"gamma": "1 + a * sqrt(mu**2)"}),
    ("smooth", "kink", {"gamma": "max(1, a * mu)"}),
    ("smooth", "kink", {"gamma": "1 + a * abs(mu**2 - 2)"}),
    ("smooth", "kink", {"beta": "b * clip(mu, -1, 1)"}),
    ("smooth", "kink", {"beta": "b * min(mu, 2)"}),
    ("smooth", "kink", {"beta": "b * clip(mu, -100, 100)"}),
    ("smooth", "kink", {"beta": "b * sign(mu) * abs(mu)**(1/3)"}),
    ("smooth", "jump", {"beta": "b * sign(mu)"}),
    ("smooth", "jump", {"gamma": "1 + a * sign(mu - 2.5)"}),
    ("stable", "divides by the batch's own deviation", {"gamma": "1 + a * tanh(mu) / sqrt(var)"}),
    ("stable", "divides by the batch's own deviation", {"beta": "b * mu / sigma"}),
    ("stable", "divides by the batch's own deviation", {"beta": "b * mu / var"}),
    ("stable", "divides by the batch's own deviation", {"gamma": "1 + a * tanh(mu) / (var + 1e-25)"}),
    ("stable", "not defined as the variance vanishes", {"gamma": "1 + a * log(var) * tanh(mu)"}),
    ("stable", "not defined as the variance vanishes", {"beta": "b * tanh(mu / sigma)"}),
    ("stable", "not defined as the variance vanishes", {"beta": "b * tanh(mu) * sqrt(var - 0.01)"}),
    (
        "special_case",
        "plain BN cannot be reached",
        {"gamma": "1 + 0.1 * tanh(mu)", "beta": "0", "parameters": None, "plain": None},
    ),
    ("special_case", "plain BN cannot be reached", {"gamma": "2", "beta": "tanh(mu)"}),
    ("special_case", "not plain BN at these values", {"plain": {"a": 1, "b": 0}}),
    ("special_case", "not plain BN at these values", {"plain": {"a": 0}}),
    (
        "special_case",
        "not plain BN at these values",
        {"gamma": "1 / (1 + exp(-a * tanh(mu)))", "plain": {"a": 1, "b": 0}},
    ),
    ("special_case", "not plain BN at these values", {"gamma": "sqrt(var + eps) * (1 + a * tanh(mu))"}),
    ("special_case", "γ vanishes at these values", {"gamma": "a * tanh(mu)"}),
    ("special_case", "not defined at these values", {"gamma": "2 + tanh(tanh(mu) / a)"}),
)

# Good in different ways, and written in different ways: how each differs from `GOOD`.
SUCCEEDING: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "as solved": WORKED,
    "only gamma adapts": {"beta": "b"},
    "only beta adapts": {"gamma": "1 + a"},
    "with np.": {"gamma": "1 + a * np.tanh(mu)", "beta": "b * np.tanh(np.square(mu))"},
    "with math.": {"gamma": "1 + a * math.tanh(mu)"},
    "in Greek": {"gamma": "1 + a·tanh(μ)", "beta": "b × μ / √(1 + µ²)"},
    "Greek parameters": {
        "gamma": "1 + α * tanh(μ)",
        "beta": "0",
        "parameters": {"α": 0.5, "λ": 2},
        "plain": {"α": 0},
    },
    "with ^": {"gamma": "1 + a*mu^2/(1 + mu^2)", "beta": "b*mu/(1 + mu^2)^(1/2)"},
    "on several lines": {"gamma": "1\n  + a * tanh(mu)  # between 1 - a and 1 + a\n"},
    "whole numbers": {"parameters": {"a": 2, "b": 1}, "plain": {"a": 0, "b": 0}},
    "more parameters than needed": {"parameters": {"a": 0.5, "b": 0.5, "c": 7}},
    "sharp but smooth": {"gamma": "1 + a * tanh(20 * mu)", "beta": "b * exp(-100 * mu**2)"},
    "very sharp but smooth": {"gamma": "1 + a * tanh(1000 * (mu - 0.1))"},
    "a smooth |mu|": {"gamma": "1 + a * sqrt(mu**2 + 1e-3)", "beta": "b * mu / (1 + abs(mu))"},
    "abs, differentiable": {"gamma": "1 + a * abs(mu)**3 / (1 + abs(mu)**3)", "beta": "b * tanh(mu * abs(mu))"},
    "sigmoid and softplus": {"gamma": "2 * sigmoid(a * mu)", "beta": "b * softplus(mu)"},
    "sigmoid by hand": {"gamma": "2 / (1 + exp(-a * tanh(mu)))"},
    "a bell": {"gamma": "1 + a * exp(-mu**2)", "beta": "b * arctan(mu)"},
    "waves": {"gamma": "1 + a * sin(mu)", "beta": "b * cos(mu)"},
    "a logarithm that is defined": {"gamma": "1 + a * log(1 + mu**2)"},
    "unbounded": STEEP,
    "the mean given back": {"beta": "b * mu", "parameters": {"a": 0.5, "b": 1}},
    "with the variance": {"gamma": "1 + a * tanh(mu / sqrt(var + eps))"},
    "with sigma and eps": {"gamma": "1 + a * tanh(mu) / √(σ² + ε)", "beta": "b * tanh(mu) * sigma"},
    "an eps of its own": {"gamma": "1 + a * tanh(mu) / sqrt(var + 1e-12)"},
    "plain at other values than 0": {"gamma": "1 + (a - 1) * tanh(mu)", "plain": {"a": 1, "b": 0}},
    "a parameter in the exponent": {"gamma": "(1 + mu**2)**(-a)"},
    "only the other values in plain": {"beta": "0", "plain": {"a": 0}},
}
