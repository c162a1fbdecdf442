"""The claims of the chapter on internal covariate shift."""

import math

from bn_book.claims import Claim
from bn_book.covariate_shift.experiments import RATES, Run, Start, steps_needed, three_runs

_RUNS = "Digits, three hidden layers of 100 sigmoids, mini-batches of 60, 1380 steps of SGD at 0.5"


def _faster(slow: Run, fast: Run) -> float:
    return slow.steps_to(0.9) / fast.steps_to(0.9)


def _less_movement(seed: int) -> float:
    without, with_bn, _ = three_runs(seed=seed)
    return without.movement() / with_bn.movement()


def _control_movement(seed: int) -> float:
    without, _, larger = three_runs(seed=seed)
    return larger.movement() / without.movement()


def _spread_over_rates(start: Start, seed: int) -> float:
    """Steps to 90 percent at the slowest of the rates from 0.5 to 3, divided by those at the fastest.

    To the step: with BN they are so few that counted in epochs they would be equal or twice as many.
    """
    steps = [steps_needed(start, rate, every=1, seed=seed) for rate in RATES[:-1]]
    return max(steps) / min(steps)


CLAIMS = (
    Claim(
        name="sigmoid-inputs-move-less-with-bn",
        kind="made by",
        says="The distributions of the last sigmoids' inputs are more stable during training with BN than without.",
        source="ioffe2015batch",
        run=f"{_RUNS}. Path of the 15th, 50th and 85th percentile over all training images, typical unit.",
        measure=_less_movement,
        band=(2.0, math.inf),
        unit="path length without BN divided by that with BN",
        wrong="two networks without BN",
        gives=lambda: _control_movement(0),
    ),
    Claim(
        name="sigmoid-network-trains-faster-with-bn",
        kind="made by",
        says="Batch Normalization helps the sigmoid network train faster.",
        source="ioffe2015batch",
        run=f"{_RUNS}. Steps to 90 percent of the test digits.",
        measure=lambda seed: _faster(*three_runs(seed=seed)[:2]),
        band=(2.0, math.inf),
        unit="steps without BN divided by steps with BN",
        wrong="no difference",
        gives=lambda: 1.0,
    ),
    Claim(
        name="as-much-movement-without-bn-from-larger-weights",
        kind="put to the test",
        says="How stable the distributions of layer inputs are has little to do with how well a network trains. The "
        "premise of our test: from larger initial weights the inputs of the sigmoids move about as far, without BN.",
        source="santurkar2018does",
        run=f"{_RUNS}. Initial weights with a standard deviation of 0.5 instead of Glorot's.",
        measure=_control_movement,
        band=(0.6, 1.6),
        unit="path length from larger weights divided by that from Glorot's, both without BN",
        wrong="the network with BN in place of the one from larger weights",
        gives=lambda: 1 / _less_movement(0),
    ),
    Claim(
        name="movement-alone-does-not-set-the-speed",
        kind="put to the test",
        says="How stable the distributions of layer inputs are has little to do with how well a network trains. Our "
        "test: of those two networks, whose inputs move about as far, one trains several times faster.",
        source="santurkar2018does",
        run=f"{_RUNS}. The same two networks without BN, steps to 90 percent of the test digits.",
        measure=lambda seed: _faster(*three_runs(seed=seed)[::2]),
        band=(2.0, math.inf),
        unit="steps from Glorot's weights divided by steps from larger weights",
        wrong="no difference",
        gives=lambda: 1.0,
    ),
    Claim(
        name="bn-trains-at-many-learning-rates",
        kind="put to the test",
        says="Batch Normalization allows much higher learning rates. Our test: over a sixfold range of rates the steps "
        "to 90 percent of the test digits hardly change.",
        source="ioffe2015batch",
        run="The same network with BN at the learning rates 0.5, 1, 2 and 3, tested after every step.",
        measure=lambda seed: _spread_over_rates("with BN", seed),
        # 1 is no change at all. 6 is what the rates change by, and hardly is less than half of that.
        band=(1.0, 3.0),
        unit="steps at the slowest of the rates divided by steps at the fastest",
        wrong="the network without BN, from larger weights",
        gives=lambda: _spread_over_rates("without BN, larger weights", 0),
    ),
)
