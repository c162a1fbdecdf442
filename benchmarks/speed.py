"""Time of Batch Normalization beside PyTorch's and beside a copy: at the seven shapes, and as the input grows.

PyTorch's side is `F.batch_norm` in training, recording its graph as ours fills its cache, and `torch.autograd.grad`
with respect to the input, gamma and beta. Both read the same memory.
"""

from collections.abc import Iterator, Sequence
from contextvars import Context, copy_context
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

import bn_lib
from benchmarks._measure import Call, Spread, interleaved, ratios, undisturbed
from benchmarks.goals import Row

SHAPES = (
    (64, 512),
    (1024, 1024),
    (8192, 256),
    (32, 64, 56, 56),
    (8, 256, 28, 28),
    (128, 3, 32, 32),
    (256, 64, 1, 1),
)
DIRECTIONS = ("forward", "backward")
OURS = ("reference", "numpy", "numba")


def usable() -> tuple[list[str], dict[str, str]]:
    """The backends that can be measured here, and why the others cannot."""
    names, left_out = [], {}
    for name in OURS:
        try:
            _context(name)
        except ImportError as error:
            left_out[name] = str(error)
        else:
            names.append(name)
    return names, left_out


def candidates(shape: tuple[int, ...], direction: str, backends: Sequence[str]) -> dict[str, Call]:
    """What is timed at one shape, by name: "torch", "copy" and ours, on the same input.

    Raises:
        AssertionError: if ours and PyTorch's results differ: what is not the same cannot be compared in speed.
    """
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(shape, dtype=np.float32) for _ in range(2))
    gamma, beta = (rng.uniform(0.5, 1.5, shape[1]).astype(np.float32) for _ in range(2))
    inputs = [torch.from_numpy(array).requires_grad_() for array in (x, gamma, beta)]
    theirs = partial(functional.batch_norm, inputs[0], None, None, inputs[1], inputs[2], True)
    calls: dict[str, Call] = {}
    if direction == "forward":
        calls["torch"] = theirs
        expected = theirs().detach().numpy()
        for name in backends:
            calls[name] = partial(_context(name).run, bn_lib.batch_norm, x, gamma, beta)
            _check_same(name, calls[name]()[0], expected)  # type: ignore[index]
    else:
        calls["torch"] = partial(torch.autograd.grad, theirs(), inputs, torch.from_numpy(dy), retain_graph=True)
        expected = calls["torch"]()[0].numpy()  # type: ignore[index]
        for name in backends:
            _, cache = _context(name).run(bn_lib.batch_norm, x, gamma, beta)
            calls[name] = partial(bn_lib.batch_norm_backward, dy, cache)
            _check_same(name, calls[name]()[0], expected)  # type: ignore[index]
    calls["copy"] = x.copy
    return calls


def shapes_table(backends: Sequence[str], rounds: int) -> Iterator[Row]:
    """Every shape and direction: times over PyTorch's, and ours over a copy's."""
    for direction in DIRECTIONS:
        for shape in SHAPES:
            seconds = interleaved(candidates(shape, direction, backends), rounds)
            pairs = [(name, "torch") for name in ("copy", *backends)] + [(name, "copy") for name in backends]
            middle = {name: Spread.of(times).median for name, times in seconds.items()}
            yield Row(direction, in_words(shape), "torch", "second", *Spread.of(seconds["torch"]), shape)
            for name, peer in pairs:
                spread = Spread.of(ratios(seconds, name, peer))
                yield Row(direction, in_words(shape), name, peer, *spread, shape, seconds=middle[name])


def growth_table(backends: Sequence[str], sides: Sequence[int], rounds: int) -> Iterator[Row]:
    """Seconds a call as the images grow from one side to the next: 4 images, 16 channels, float32."""
    for direction in DIRECTIONS:
        for side in sides:
            shape = (4, 16, side, side)
            compared = [name for name in backends if name != "reference"]
            for name, times in interleaved(candidates(shape, direction, compared), rounds).items():
                yield Row("growth", in_words(shape), name, "second", *Spread.of(times), shape, direction)


def neighbour_table(backends: Sequence[str], rounds: int, shape: tuple[int, ...] = (8, 256, 28, 28)) -> Iterator[Row]:
    """What a call costs right after PyTorch's, over what it costs when it is timed as everywhere else here."""
    calls = candidates(shape, "forward", backends)
    for name in ("copy", *backends):
        spread = Spread.of(undisturbed(calls[name], calls["torch"], rounds))
        yield Row("neighbour", in_words(shape), name, name, *spread, shape)


def in_words(shape: tuple[int, ...]) -> str:
    """A shape as people write it: `32×64×56×56`."""
    return "×".join(map(str, shape))


def _context(name: str) -> Context:
    """A context in which a backend is in use. Entering it costs nothing that would show; `use_backend` does."""
    with bn_lib.use_backend(name):
        return copy_context()


def _check_same(name: str, ours: Any, theirs: Any) -> None:
    if not np.allclose(ours, theirs, rtol=1e-3, atol=1e-4):
        raise AssertionError(f"{name} and PyTorch differ by up to {np.abs(ours - theirs).max():g}")
