"""Experiments of the chapter on convolutions: what goes wrong with other axes, and a small CNN on digits.

Arrays are `(N, C, H, W)`. The normalizers themselves are in `bn_lib.normalizers`; the wrong ones that are shown here
stay here.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bn_book.data import load_digits
from bn_book.networks import small_cnn
from bn_book.runs import cache
from bn_lib._arrays import Array, Axes
from bn_lib.batchnorm import BatchNorm
from bn_lib.network import Conv2d, ReLU, Sequential
from bn_lib.normalizers import batch_norm
from bn_lib.training import SGD, fit

CHAPTER = "convolutions"

RATES = (0.1, 0.2, 0.4, 0.8, 1.4)
SEEDS = (0, 1, 2)

# What can be seen of a choice of axes


class Symptom(NamedTuple):
    """What can be seen of a normalization over some axes.

    Attributes:
        axes: that were averaged over.
        shape: of the mean, without those axes.
        values: how many share a mean.
        channel_mean: the largest absolute mean of an output channel; 0 for BN.
        channel_std: the largest distance of an output channel's standard deviation from 1; 0 for BN.
        difference: the largest absolute difference from BN's output.
    """

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    values: int
    channel_mean: float
    channel_std: float
    difference: float


# What was averaged, in words, and its axes in (N, C, H, W).
AXES: Mapping[str, tuple[int, ...]] = {
    "samples, positions (BN)": (0, 2, 3),
    "samples only": (0,),
    "positions only": (2, 3),
    "channels, positions": (1, 2, 3),
    "channels only": (1,),
    "everything": (0, 1, 2, 3),
}


def symptom(x: Array, axes: tuple[int, ...]) -> Symptom:
    """Normalize `x`, `(N, C, H, W)`, over these axes without gamma, beta and eps, and look at what comes out."""
    mean = x.mean(axis=axes, keepdims=True)
    y = (x - mean) / x.std(axis=axes, keepdims=True)
    right = (x - x.mean(axis=(0, 2, 3), keepdims=True)) / x.std(axis=(0, 2, 3), keepdims=True)
    return Symptom(
        axes=axes,
        shape=tuple(size for axis, size in enumerate(x.shape) if axis not in axes),
        values=math.prod(x.shape[axis] for axis in axes),
        channel_mean=float(np.abs(y.mean(axis=(0, 2, 3))).max()),
        channel_std=float(np.abs(y.std(axis=(0, 2, 3)) - 1).max()),
        difference=float(np.abs(y - right).max()),
    )


def feature_maps(shape: tuple[int, int, int, int] = (8, 3, 5, 4), *, seed: int = 0) -> Array:
    """Random maps to try a normalization on: all sizes differ, channels have their own means and deviations."""
    rng = np.random.default_rng(seed)
    scales = 1 + np.arange(shape[1]).reshape(1, -1, 1, 1)
    return scales * (rng.normal(size=shape) + scales)


def moved_by_a_shift(axes: Axes, *, seed: int = 0) -> float:
    """How much the other images' outputs change when one image of the mini-batch is shifted by a column.

    Each image keeps its values, so statistics over positions do not notice. The image is shifted in a circle, which
    loses nothing at the border.

    Args:
        axes: averaged over, for maps of shape (N, C, H, W).
        seed: of the maps.
    """
    x = feature_maps(seed=seed)
    shifted = x.copy()
    shifted[0] = np.roll(x[0], 1, axis=-1)
    before, after = ((a - a.mean(axis=axes, keepdims=True)) / a.std(axis=axes, keepdims=True) for a in (x, shifted))
    return float(np.abs(after[1:] - before[1:]).max())


# How many values a feature map is worth


def values_per_image(x: Array) -> Array:
    """How many independent values would give a mean as noisy as one image's: sigma2 / Var(mean over an image).

    If the values at the H * W positions were independent draws of the channel's values, it would be H * W.

    Args:
        x: the whole population, `(N, C, H, W)`.

    Returns:
        One number per channel, `(C,)`.
    """
    x = x.astype(np.float64)
    return x.var(axis=(0, 2, 3)) / x.mean(axis=(2, 3)).var(axis=0)


def neighbor_correlation(x: Array) -> float:
    """Correlation of a value with the one to its right, over all images and positions of one channel."""
    x = x.astype(np.float64)
    return float(np.corrcoef(x[..., :-1].ravel(), x[..., 1:].ravel())[0, 1])


def mean_noise(x: Array, images: int, *, batches: int = 1000, seed: int = 0) -> float:
    """Standard deviation of a one-channel batch mean, in standard deviations of the population.

    Args:
        x: the population, `(N, 1, H, W)`.
        images: in a mini-batch, drawn with replacement.
        batches: how many are drawn.
        seed: of the draws.
    """
    x = x.astype(np.float64)
    rows = np.random.default_rng(seed).integers(0, len(x), (batches, images))
    means = x.mean(axis=(1, 2, 3))[rows].mean(axis=1)  # images are of one size, so a mean of means is the mean
    return float(means.std() / x.std())


def with_brightness(x: Array, spread: float, *, seed: int = 0) -> Array:
    """Images taken in changing light: a normally distributed number is added to all pixels of each.

    Args:
        x: images, `(N, ...)`.
        spread: standard deviation of that number, in the units of x.
        seed: of the numbers.
    """
    light = np.random.default_rng(seed).normal(scale=spread, size=len(x))
    return x + light.reshape(-1, *[1] * (x.ndim - 1))


# A small CNN


class Curve(NamedTuple):
    """One training run.

    Attributes:
        loss: of every update, in nats.
        accuracy: on the 360 test images after each epoch, in inference mode.
    """

    loss: tuple[float, ...]
    accuracy: tuple[float, ...]


@cache
def _train(with_bn: bool, rate: float, seed: int, epochs: int, batch_size: int) -> tuple[Sequential, Curve]:
    rng = np.random.default_rng(seed)
    train, test = load_digits(flat=False)
    model = small_cnn(rng=rng, normalizer=BatchNorm if with_bn else None)
    history = fit(
        model, SGD(model, rate), *train, epochs=epochs, batch_size=batch_size, rng=rng, validation=test, progress=False
    )
    return model, Curve(tuple(history.loss), tuple(history.accuracy))


def train_cnn(with_bn: bool, rate: float, *, seed: int, epochs: int = 3, batch_size: int = 64) -> Curve:
    """Train two 3 x 3 convolutions (8 and 16 channels) and a dense layer on digits, with plain SGD.

    Args:
        with_bn: whether BN stands between each convolution and its ReLU.
        rate: the learning rate.
        seed: of weights and shuffles.
        epochs: passes over the 1437 training images.
        batch_size: images in a mini-batch.
    """
    return _train(with_bn, rate, seed, epochs, batch_size)[1]


@cache
def values_per_image_in_cnn(*, rate: float = 0.4, seed: int = 0) -> tuple[Array, ...]:
    """`values_per_image` of what each convolution of a trained network with BN puts out for the training images."""
    seen = []
    x = load_digits(flat=False).train[0]
    for layer in _train(True, rate, seed, 3, 64)[0].eval().stack:  # inference mode changes nothing in a layer
        x = layer.forward(x)
        if isinstance(layer, Conv2d):
            seen.append(values_per_image(x))
    return tuple(seen)


def firing_share(with_bn: bool, rate: float, *, seed: int) -> float:
    """Share of the second ReLU layer's outputs that are positive, over the 360 test images, after training."""
    model = _train(with_bn, rate, seed, 3, 64)[0].eval()
    relus = [i for i, layer in enumerate(model.stack) if isinstance(layer, ReLU)]
    maps = load_digits(flat=False).test[0]
    for layer in model.stack[: relus[1] + 1]:
        maps = layer.forward(maps)
    return float(np.mean(maps > 0))


def final_accuracy(with_bn: bool, rate: float, *, seeds: Sequence[int] = SEEDS) -> float:
    """Test accuracy after the last epoch, in percent, mean over seeds."""
    return 100 * float(np.mean([train_cnn(with_bn, rate, seed=seed).accuracy[-1] for seed in seeds]))


def updates_to_reach(loss: float, with_bn: bool, rate: float, *, seeds: Sequence[int] = SEEDS) -> float:
    """Updates until the training loss, averaged over seeds and over 5 updates, is below `loss`; infinite if never."""
    curves = np.mean([train_cnn(with_bn, rate, seed=seed).loss for seed in seeds], axis=0)
    smooth = np.convolve(curves, np.full(5, 0.2), mode="valid")
    below = np.flatnonzero(smooth < loss)
    return float(below[0] + 5) if len(below) else math.inf


def speed_up(*, loss: float = 0.5, rate: float = 0.1, seeds: Sequence[int] = SEEDS) -> float:
    """How many times more updates the network without BN needs to reach a training loss at the same learning rate."""
    without, with_bn = (updates_to_reach(loss, bn, rate, seeds=seeds) for bn in (False, True))
    return without / with_bn


def follows_a_shift(*, seed: int = 0) -> float:
    """Largest difference between BN of a shifted image and BN of the image, shifted; zero if BN is convolutional."""
    x = feature_maps(seed=seed)
    gamma, beta = np.arange(1.0, 4.0), np.arange(3.0)
    shifted = x.copy()
    shifted[0] = np.roll(x[0], 1, axis=-1)
    y, _ = batch_norm(x, gamma, beta)
    y[0] = np.roll(y[0], 1, axis=-1)
    return float(np.abs(batch_norm(shifted, gamma, beta)[0] - y).max())
