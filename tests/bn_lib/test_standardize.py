"""`standardize` called directly: any axes, and the complaints of its own door."""

import numpy as np
import pytest
from refusals import X3, assert_refused, row

from bn_lib import BatchNorm, batch_norm_inference, standardize, standardize_backward


@pytest.mark.parametrize(("axis", "axes"), [(0, (0,)), (-1, (2,)), ((2, 0), (0, 2)), ([0, 1, 2], (0, 1, 2))])
def test_every_way_to_name_axes(axis, axes):
    result = standardize(X3, axis, eps=0.5)
    expected = (X3 - X3.mean(axes, keepdims=True)) / np.sqrt(X3.var(axes, keepdims=True) + 0.5)
    np.testing.assert_allclose(result.x_hat, expected, rtol=0, atol=1e-14)
    assert result.axes == axes


def test_without_the_mean_0_takes_its_place():
    result = standardize(X3, (1, 2), eps=0.5, center=False)
    square = (X3 * X3).mean((1, 2), keepdims=True)
    np.testing.assert_allclose(result.x_hat, X3 / np.sqrt(square + 0.5), rtol=0, atol=1e-14)
    np.testing.assert_allclose(result.moments.var(), square, rtol=1e-14)
    assert not result.moments.mean.any()
    one = standardize(X3[:, :1, :1], (1, 2), eps=0.0, center=False)  # a sign is left of one value, and no NaN
    assert np.array_equal(one.x_hat, np.sign(X3[:, :1, :1]))


def test_backward_takes_what_forward_gives():
    x_hat, inv_std, axes, _ = standardize(X3, (0, 2), eps=0.5)
    dx = standardize_backward(np.ones_like(x_hat), x_hat, inv_std, axes)
    np.testing.assert_allclose(dx, 0, rtol=0, atol=1e-14)  # the sum of x_hat is 0 for every x


@pytest.mark.parametrize(
    ("name", "seen", "expected", "error", "call"),
    [
        row("x", "list", "NumPy or CuPy array", TypeError, lambda: standardize(X3.tolist(), 0)),
        row("x", "dtype int64", "float16, float32, float64", TypeError, lambda: standardize(np.ones((2, 2), int), 0)),
        row("x", "shape (0, 3, 2)", "at least 2 values", ValueError, lambda: standardize(X3[:0], 0)),
        row("x", "shape (1, 3, 2)", "at least 2 values", ValueError, lambda: standardize(X3[:1], 0)),
        row("x", "shape (0, 3, 2)", "at least 1 value", ValueError, lambda: standardize(X3[:0], 0, center=False)),
        row("center", "0", "True or False", TypeError, lambda: standardize(X3, 0, center=0)),
        row("axis", "3", "between -3 and 2", ValueError, lambda: standardize(X3, 3)),
        row("eps", "-1", ">= 0", ValueError, lambda: standardize(X3, 0, eps=-1)),
    ],
)
def test_bad_input(name, seen, expected, error, call):
    assert_refused(name, seen, expected, error, call)


@pytest.mark.parametrize("bad", [-0.5, np.nan])
def test_impossible_variances_are_refused_in_inference(bad):
    one, var = np.ones(3), np.array([1.0, bad, 1.0])
    with pytest.raises(ValueError, match=f"^var holds {bad:g}; expected (finite )?variances >= 0"):
        batch_norm_inference(X3, one, one, one, var)
    layer = BatchNorm(3)
    layer.running_var = var
    with pytest.raises(ValueError, match=f"^running_var holds {bad:g}; expected (finite )?variances >= 0"):
        layer.eval().forward(X3)
