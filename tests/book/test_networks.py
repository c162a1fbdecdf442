"""What trains the networks of several chapters."""

import numpy as np
import pytest
import torch

from bn_book.networks import Adam, Part, parts_of
from bn_lib import Dense, Sequential


@pytest.mark.parametrize("decays", [(0.9, 0.999), (0.5, 0.99)])
def test_adam_is_pytorchs(decays):
    """Of a whole parameter and of some rows of another; the other rows stay."""
    rng = np.random.default_rng(0)
    layer = Dense(4, 3, rng=rng, dtype=np.float32)
    start = layer.weight
    mine = Adam([Part(layer, "bias"), Part(layer, "weight", slice(2))], 0.1, decays=decays)
    theirs = [torch.tensor(layer.bias), torch.tensor(start[:2])]
    optimizer = torch.optim.Adam(theirs, 0.1, betas=decays, eps=1e-8)
    for _ in range(5):
        layer.grads = {
            name: rng.normal(size=shape).astype(np.float32) for name, shape in (("bias", 3), ("weight", (4, 3)))
        }
        theirs[0].grad, theirs[1].grad = torch.tensor(layer.grads["bias"]), torch.tensor(layer.grads["weight"][:2])
        mine.step()
        optimizer.step()
    assert layer.weight.dtype == np.float32
    np.testing.assert_allclose(layer.bias, theirs[0], atol=1e-6)
    np.testing.assert_allclose(layer.weight[:2], theirs[1], atol=1e-6)
    assert np.array_equal(layer.weight[2:], start[2:])


def test_a_layer_that_is_there_twice_is_trained_once():
    layer = Dense(2, 2, rng=np.random.default_rng(0))
    parts = parts_of(Sequential(layer, Sequential(layer)))
    assert parts == [Part(layer, "weight"), Part(layer, "bias")]
    assert sum(part.size for part in parts) == 6
