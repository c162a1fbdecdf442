"""Conventions against what they say: each framework's update written out as a loop, and conversions between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from normalizer_cases import steady

from bn_lib import BatchNorm, Convention

BATCHES = np.random.default_rng(0).normal(3, 2, size=(5, 8, 3))  # five batches of 8 rows, 3 channels
COUNT = 8
ALL = ("pytorch", "keras", "flax", "paper")


def loop(name, batches, momentum):
    """The running mean and variance after `batches`, as each framework's documentation writes the update."""
    mean, var = np.zeros(3), np.ones(3)
    if name == "paper":  # Algorithm 2, line 10: averages over all batches, m / (m - 1) times the biased variance
        m = batches.shape[1]
        return batches.mean(axis=(0, 1)), m / (m - 1) * np.mean([batch.var(axis=0) for batch in batches], axis=0)
    for batch in batches:
        if name == "pytorch":
            mean = (1 - momentum) * mean + momentum * batch.mean(axis=0)
            var = (1 - momentum) * var + momentum * batch.var(axis=0, ddof=1)
        else:  # moving_mean = moving_mean * momentum + mean(batch) * (1 - momentum); biased variance
            mean = mean * momentum + batch.mean(axis=0) * (1 - momentum)
            var = var * momentum + batch.var(axis=0) * (1 - momentum)
    return mean, var


SETTINGS = [("pytorch", 0.1), ("pytorch", 0.25), ("keras", 0.99), ("keras", 0.6), ("flax", 0.9), ("paper", None)]


@pytest.mark.parametrize(("name", "momentum"), SETTINGS)
def test_a_layer_in_a_convention_does_what_the_framework_does(name, momentum):
    layer = BatchNorm.in_convention(name, 3, momentum=momentum)
    for k, batch in enumerate(BATCHES, start=1):
        layer.forward(batch)
        mean, var = loop(name, BATCHES[:k], momentum)
        assert np.allclose(layer.running_mean, mean, rtol=1e-14)
        assert np.allclose(layer.running_var, var, rtol=1e-14)


@pytest.mark.parametrize("name", ALL)
def test_the_variance_that_normalizes_is_the_biased_one_in_all(name):
    layer = BatchNorm.in_convention(name, 3)
    x = BATCHES[0]
    assert np.allclose(layer.forward(x), (x - x.mean(0)) / np.sqrt(x.var(0) + layer.eps), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "momentum", "eps", "unbiased"),
    [
        ("pytorch", 0.1, 1e-5, True),
        ("keras", 0.01, 1e-3, False),
        ("flax", 0.01, 1e-5, False),
        ("paper", None, 1e-5, True),
    ],
)
def test_defaults(name, momentum, eps, unbiased):
    layer = BatchNorm.in_convention(name, 3)
    assert (layer.momentum, layer.eps, layer.unbiased_running_var) == (momentum, eps, unbiased)
    assert BatchNorm.in_convention(Convention.named(name), 3, eps=0.5).eps == 0.5
    assert BatchNorm.in_convention(name, 3, dtype=np.float32).gamma.dtype == np.float32


def test_one_in_ten_is_exactly_one_in_ten():
    """1 - 0.9 is 0.09999999999999998 in floating point; the momentum that a user means is 0.1."""
    assert Convention.KERAS.batch_weight(0.9) == 0.1
    assert Convention.KERAS.batch_weight(0.99) == 0.01
    assert Convention.PYTORCH.batch_weight(0.1) == 0.1
    assert Convention.PYTORCH.convert_momentum(0.1, "keras") == 0.9
    assert Convention.KERAS.convert_momentum(0.99, Convention.PYTORCH) == 0.01
    assert Convention.KERAS.convert_momentum(0.99, "flax") == 0.99
    assert Convention.PAPER.convert_momentum(None, "pytorch") is None


@pytest.mark.parametrize("digits", [1, 2, 3, 6])
def test_momenta_survive_the_round_trip_exactly(digits):
    for k in range(0, 10**digits + 1, max(1, 10**digits // 1000)):
        momentum = float(f"{k / 10**digits:.{digits}f}")
        there = Convention.PYTORCH.convert_momentum(momentum, "keras")
        assert Convention.KERAS.convert_momentum(there, "pytorch") == momentum


@pytest.mark.parametrize(("name", "momentum"), [s for s in SETTINGS if s[1] is not None])
@pytest.mark.parametrize("to", ["pytorch", "keras", "flax"])
@pytest.mark.parametrize("updates", [1, 2, 5])
def test_a_converted_running_var_is_what_the_other_would_hold(name, momentum, to, updates):
    _, var = loop(name, BATCHES[:updates], momentum)
    other_momentum = Convention.named(name).convert_momentum(momentum, to)
    _, expected = loop(to, BATCHES[:updates], other_momentum)
    converted = Convention.named(name).convert_running_var(var, to, count=COUNT, momentum=momentum, updates=updates)
    assert np.allclose(converted, expected, rtol=1e-14)
    if Convention.named(name).unbiased != Convention.named(to).unbiased:
        # Rescaling all of it, the initial 1 too, is the usual mistake; it is seen while something of the 1 is left.
        factor = (COUNT - 1) / COUNT if Convention.named(name).unbiased else COUNT / (COUNT - 1)
        assert not np.allclose(var * factor, expected, rtol=1e-4)


def test_plain_averages_keep_nothing_of_the_initial_value():
    """PyTorch with momentum=None is the paper; a biased average of that kind is a convention of one's own."""
    mine = Convention("mine", "none", False, None, 1e-5, "these tests", plain_average=True)
    _, var = loop("paper", BATCHES, None)
    converted = Convention.PAPER.convert_running_var(var, mine, count=COUNT, momentum=None, updates=5)
    assert np.allclose(converted, np.mean([batch.var(axis=0) for batch in BATCHES], axis=0), rtol=1e-14)
    back = mine.convert_running_var(converted, "pytorch", count=COUNT, momentum=None, updates=5)
    assert np.allclose(back, var, rtol=1e-14)


@steady
@given(
    var=st.floats(1e-6, 1e6),
    count=st.integers(2, 1000),
    momentum=st.floats(0.001, 1),
    updates=st.integers(1, 1000),
    initial=st.floats(0, 10),
)
def test_running_variances_survive_the_round_trip(var, count, momentum, updates, initial):
    there = Convention.PYTORCH.convert_running_var(
        np.array([var]), "keras", count=count, momentum=momentum, updates=updates, initial=initial
    )
    back = Convention.KERAS.convert_running_var(
        there,
        "pytorch",
        count=count,
        momentum=Convention.PYTORCH.convert_momentum(momentum, "keras"),
        updates=updates,
        initial=initial,
    )
    assert np.allclose(back, var, rtol=1e-10, atol=1e-12 * initial)


def test_a_conversion_returns_a_new_array():
    var = np.ones(3)
    for to in ALL[:3]:
        assert not np.shares_memory(
            Convention.PYTORCH.convert_running_var(var, to, count=4, momentum=0.1, updates=1), var
        )


def test_conventions_are_values():
    assert Convention.named("keras") is Convention.KERAS
    assert Convention.named(Convention.FLAX) is Convention.FLAX
    with pytest.raises(AttributeError):
        Convention.KERAS.unbiased = True
    for convention in (Convention.PYTORCH, Convention.KERAS, Convention.FLAX, Convention.PAPER):
        assert convention.source


@pytest.mark.parametrize("name", ["PyTorch", "KERAS", "Flax", "paper"])
def test_a_name_is_known_in_any_case(name):
    assert Convention.named(name).name == name.lower()


def test_an_option_goes_before_the_convention():
    """TensorFlow's fused kernel kept the unbiased variance of images, Keras the biased one."""
    layer = BatchNorm.in_convention("keras", 3, unbiased_running_var=True)
    assert (layer.unbiased_running_var, layer.eps) == (True, 1e-3)
