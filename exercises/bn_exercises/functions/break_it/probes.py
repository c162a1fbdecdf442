"""What exposes a wrong Batch Normalization: some tests for each function, and one among them for every known mistake.

A probe is evidence, with the rule that it rests on and the inputs that it takes, in words. The plain ones come first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bn_exercises.functions.break_it.evidence import Evidence


@dataclass(frozen=True)
class Probe:
    """Evidence, and how one gets there.

    Attributes:
        rule: what is true of a right implementation.
        step: which inputs show whether it is.
        claim: the rule as a claim.
        inputs: such inputs.
    """

    rule: str
    step: str
    claim: str
    inputs: Mapping[str, Any]

    @property
    def evidence(self) -> Evidence:
        """As a learner hands it in."""
        return {**self.inputs, "claim": self.claim}


_X = [[1.0, 10.0], [2.0, 40.0], [6.0, 40.0]]
_FAR = [[100000001.0, 100000010.0], [100000002.0, 100000040.0], [100000006.0, 100000040.0]]
_DY = [[1.0, 2.0], [3.0, -1.0], [-2.0, 4.0]]
# (N, C, H, W) = (3, 2, 1, 4)
_IMAGES = [
    [[[1.0, 2.0, 6.0, 3.0]], [[10.0, 40.0, 20.0, 20.0]]],
    [[[4.0, 8.0, 1.0, 1.0]], [[50.0, 30.0, 10.0, 30.0]]],
    [[[9.0, 2.0, 5.0, 6.0]], [[20.0, 60.0, 90.0, 40.0]]],
]
_DY_IMAGES = [
    [[[1.0, -2.0, 3.0, 0.0]], [[2.0, 1.0, -1.0, 4.0]]],
    [[[0.0, 5.0, 1.0, -1.0]], [[3.0, 0.0, 2.0, -2.0]]],
    [[[2.0, 1.0, -4.0, 1.0]], [[1.0, -3.0, 5.0, 1.0]]],
]
_SCALE: dict[str, Any] = {"gamma": [2.0, 3.0], "beta": [5.0, -1.0]}
_STORED: dict[str, Any] = {"running_mean": [1.0, 30.0], "running_var": [4.0, 25.0]}

_LARGE_MEAN = (
    "Take numbers near 100,000,000 with a spread of a few units. Whoever computes carelessly loses the spread there."
)
_FOUR_AXES = "Take images with N, C, H and W all different, and channels that differ."
_KEPT = "No array that is handed over may have changed when the call is over."

PROBES: dict[str, tuple[Probe, ...]] = {
    "forward": (
        Probe(
            "The mean of each feature of y, over the batch, is its beta.",
            "Take features whose means are not 0, and a beta that is neither 0 nor gamma.",
            "close(mean(y, 0), beta)",
            {"x": _X, **_SCALE, "eps": 0.01},
        ),
        Probe(
            "Without ε, the standard deviation of each feature of y is its gamma.",
            "Take three samples, ε = 0, features of different spread, and a gamma that is not 1.",
            "close(std(y, 0), gamma)",
            {"x": _X, **_SCALE, "eps": 0.0},
        ),
        Probe(
            "The variance of each feature of y is gamma² · σ² / (σ² + ε), with the ε that was given.",
            "Take an ε that is no smaller than the variance of x.",
            "close(var(y, 0), gamma**2 * var(x, 0) / (var(x, 0) + eps))",
            {"x": [[0.1, 1.0], [0.2, 4.0], [0.6, 4.0]], **_SCALE, "eps": 2.0},
        ),
        Probe(
            "Adding a number to the whole batch changes nothing: without ε the standard deviation of y stays gamma.",
            _LARGE_MEAN,
            "close(std(y, 0), gamma)",
            {"x": _FAR, **_SCALE, "eps": 0.0},
        ),
        Probe(
            "All values of a channel, from all images and positions, are moved and scaled alike.",
            f"{_FOUR_AXES} Compare one channel of y with that channel of x, normalized by hand.",
            "close(y[:, 0], gamma[0] * (x[:, 0] - mean(x[:, 0])) / std(x[:, 0]) + beta[0])",
            {"x": _IMAGES, **_SCALE, "eps": 0.0},
        ),
        Probe(
            _KEPT,
            "Compare x_after with x.",
            "close(x_after, x)",
            {"x": _X, **_SCALE, "eps": 0.01},
        ),
    ),
    "backward": (
        Probe(
            "Adding a number to the whole batch does not change y. So dx sums to 0 over the batch, whatever dy is.",
            "Take a dy without a pattern that does not itself sum to 0.",
            "close(sum(dx, 0), 0)",
            {"dy": _DY, "x": _X, "gamma": [2.0, 3.0], "eps": 0.01},
        ),
        Probe(
            "Without ε, multiplying the whole batch does not change y. So dx · x sums to 0 over the batch.",
            "Take ε = 0, and a dy that has something to do with x: large where x is large.",
            "close(sum(dx * x, 0), 0)",
            {"dy": _DY, "x": _X, "gamma": [2.0, 3.0], "eps": 0.0},
        ),
        Probe(
            "dbeta is the sum of dy over the batch.",
            "Take a dy that does not sum to 0, and a gamma that is not 1.",
            "close(dbeta, sum(dy, 0))",
            {"dy": _DY, "x": _X, "gamma": [2.0, 3.0], "eps": 0.01},
        ),
        Probe(
            "dgamma is the sum of dy · x̂ over the batch.",
            "Take three samples and an ε that is no smaller than the variance of x. Compute x̂ from x, mean(x, 0) and "
            "var(x, 0).",
            "close(dgamma, sum(dy * (x - mean(x, 0)), 0) / sqrt(var(x, 0) + eps))",
            {"dy": _DY, "x": [[0.1, 1.0], [0.2, 4.0], [0.6, 4.0]], "gamma": [2.0, 3.0], "eps": 2.0},
        ),
        Probe(
            "gamma multiplies what comes back to x: where x and dy are the same, dx goes with gamma.",
            "Take two features with the same x and the same dy, and another gamma for each.",
            "close(dx[:, 1] * gamma[0], dx[:, 0] * gamma[1])",
            {
                "dy": [[1.0, 1.0], [3.0, 3.0], [-2.0, -2.0]],
                "x": [[1.0, 1.0], [2.0, 2.0], [6.0, 6.0]],
                "gamma": [2.0, 3.0],
                "eps": 0.01,
            },
        ),
        Probe(
            "dgamma is the sum of dy · x̂, and x̂ does not change when a number is added to the whole batch.",
            _LARGE_MEAN,
            "close(dgamma, sum(dy * (x - mean(x, 0)), 0) / std(x, 0))",
            {"dy": _DY, "x": _FAR, "gamma": [2.0, 3.0], "eps": 0.0},
        ),
        Probe(
            "The dgamma of a channel is the sum of dy · x̂ over all images and positions.",
            f"{_FOUR_AXES} Compute x̂ of one channel from x[:, 0].",
            "close(dgamma[0], sum(dy[:, 0] * (x[:, 0] - mean(x[:, 0]))) / std(x[:, 0]))",
            {"dy": _DY_IMAGES, "x": _IMAGES, "gamma": [2.0, 3.0], "eps": 0.0},
        ),
        Probe(
            "Stored statistics that are given are constants: dx = gamma · dy / √(σ² + ε), and nothing else.",
            "Give running_mean and running_var, other than those of the batch.",
            "close(dx, gamma * dy / sqrt(running_var + eps))",
            {"dy": _DY, "x": _X, "gamma": [2.0, 3.0], "eps": 0.01, **_STORED},
        ),
        Probe(
            _KEPT,
            "Compare dy_after with dy.",
            "close(dy_after, dy)",
            {"dy": _DY, "x": _X, "gamma": [2.0, 3.0], "eps": 0.01},
        ),
    ),
    "update_running": (
        Probe(
            "The new mean is (1 − momentum) · the old one + momentum · the batch's.",
            "Take a momentum that is not 0.5, and stored means that are neither 0 nor the batch's.",
            "close(new_mean, (1 - momentum) * running_mean + momentum * mean(x, 0))",
            {**_STORED, "x": _X, "momentum": 0.1},
        ),
        Probe(
            "The new variance lies between the old one and the batch's, in the share of momentum. Both conventions are "
            "possible for the batch's: divided by m, or by m − 1.",
            "Take a stored variance and a batch's that are neither 1 nor alike, and allow for both conventions.",
            "close(new_var, (1 - momentum) * running_var + momentum * var(x, 0)) or "
            "close(new_var, (1 - momentum) * running_var + momentum * var(x, 0) * 3 / 2)",
            {**_STORED, "x": _X, "momentum": 0.1},
        ),
        Probe(
            "Adding a number to the whole batch does not change its variance.",
            _LARGE_MEAN,
            "close(new_var, (1 - momentum) * running_var + momentum * var(x, 0)) or "
            "close(new_var, (1 - momentum) * running_var + momentum * var(x, 0) * 3 / 2)",
            {**_STORED, "x": _FAR, "momentum": 0.1},
        ),
        Probe(
            "A channel has one running mean, over all images and positions.",
            _FOUR_AXES,
            "close(new_mean[0], (1 - momentum) * running_mean[0] + momentum * mean(x[:, 0]))",
            {**_STORED, "x": _IMAGES, "momentum": 0.1},
        ),
    ),
    "inference": (
        Probe(
            "A row that is the running mean comes out as beta, whatever stands beside it.",
            "Make the running mean one of two rows. Take a beta that is neither 0 nor gamma.",
            "close(y[0], beta)",
            {"x": [[1.0, 30.0], [3.0, 10.0]], **_SCALE, **_STORED, "eps": 0.01},
        ),
        Probe(
            "Without ε, a row one root of the running variance above the running mean comes out as beta + gamma.",
            "Take ε = 0, a running variance that is not 1, and a gamma that is not 1.",
            "close(y[0], beta + gamma)",
            {"x": [[3.0, 35.0], [3.0, 10.0]], **_SCALE, **_STORED, "eps": 0.0},
        ),
        Probe(
            "x̂ = (x − running mean) / √(running variance + ε), with the ε that was given.",
            "Take an ε that is no smaller than the running variance.",
            "close(y, gamma * (x - running_mean) / sqrt(running_var + eps) + beta)",
            {"x": [[3.0, 35.0], [3.0, 10.0]], **_SCALE, **_STORED, "eps": 12.0},
        ),
        Probe(
            "Inference only reads the stored statistics.",
            "Compare running_mean_after with running_mean.",
            "close(running_mean_after, running_mean)",
            {"x": [[3.0, 35.0], [3.0, 10.0]], **_SCALE, **_STORED, "eps": 0.01},
        ),
    ),
}
