"""Time of the normalizers beside PyTorch's and beside a copy: at some shapes, and of BN as the input grows.

PyTorch's side is its function (`F.batch_norm` in training), recording its graph as ours fills its cache, and
`torch.autograd.grad` with respect to the input, gamma and beta. Both read the same memory.
"""

from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from functools import partial
from typing import Any, NamedTuple

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
GROUPS = 8


class Normalizer(NamedTuple):
    """Ours and PyTorch's.

    Attributes:
        axis: that of gamma and beta in x.
        forward: ours, of x, gamma and beta.
        backward: ours, of dy and the cache.
        theirs: PyTorch's, of x, gamma and beta.
        beta: whether it has one.
    """

    axis: int
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    theirs: Callable[..., Any]
    beta: bool = True


BATCH = Normalizer(
    1,
    lambda x, gamma, beta: bn_lib.batch_norm(x, gamma, beta),
    lambda dy, cache: bn_lib.batch_norm_backward(dy, cache),
    lambda x, gamma, beta: functional.batch_norm(x, None, None, gamma, beta, True),
)
LAYER = Normalizer(
    -1,
    lambda x, gamma, beta: bn_lib.layer_norm(x, gamma, beta, axis=-1),
    bn_lib.layer_norm_backward,
    lambda x, gamma, beta: functional.layer_norm(x, gamma.shape, gamma, beta),
)
RMS = Normalizer(
    -1,
    lambda x, gamma, _: bn_lib.rms_norm(x, gamma, axis=-1),
    bn_lib.rms_norm_backward,
    lambda x, gamma, _: functional.rms_norm(x, gamma.shape, gamma, 1e-5),
    beta=False,
)
LAYER_OF_IMAGES = Normalizer(
    1,
    bn_lib.layer_norm,
    bn_lib.layer_norm_backward,
    lambda x, gamma, beta: functional.group_norm(x, 1, gamma, beta),
)
GROUP = Normalizer(
    1,
    lambda x, gamma, beta: bn_lib.group_norm(x, gamma, beta, GROUPS),
    bn_lib.group_norm_backward,
    lambda x, gamma, beta: functional.group_norm(x, GROUPS, gamma, beta),
)
INSTANCE = Normalizer(
    1,
    bn_lib.instance_norm,
    bn_lib.instance_norm_backward,
    lambda x, gamma, beta: functional.instance_norm(x, weight=gamma, bias=beta),
)
RELATIVES = (
    ("layer, last axis", LAYER, (64, 128, 512)),
    ("layer, last axis", LAYER, (32, 128, 64)),
    ("RMS, last axis", RMS, (64, 128, 512)),
    ("RMS, last axis", RMS, (32, 128, 64)),
    ("layer", LAYER_OF_IMAGES, (32, 64, 28, 28)),
    ("group", GROUP, (32, 64, 28, 28)),
    ("group", GROUP, (256, 64, 4, 4)),
    ("instance", INSTANCE, (32, 64, 28, 28)),
    ("instance", INSTANCE, (256, 64, 4, 4)),
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


def candidates(
    shape: tuple[int, ...], direction: str, backends: Sequence[str], normalizer: Normalizer = BATCH
) -> dict[str, Call]:
    """What is timed at one shape, by name: "torch", "copy" and ours, on the same input.

    Raises:
        AssertionError: if ours and PyTorch's results differ: what is not the same cannot be compared in speed.
    """
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal(shape, dtype=np.float32) for _ in range(2))
    gamma, beta = (rng.uniform(0.5, 1.5, shape[normalizer.axis]).astype(np.float32) for _ in range(2))
    inputs = [torch.from_numpy(array).requires_grad_() for array in (x, gamma, beta)]
    theirs = partial(normalizer.theirs, *inputs)
    ours = {name: partial(_context(name).run, normalizer.forward, x, gamma, beta) for name in backends}
    if direction == "backward":
        wanted, dy_there = inputs[: 2 + normalizer.beta], torch.from_numpy(dy)
        theirs = partial(torch.autograd.grad, theirs(), wanted, dy_there, retain_graph=True)
        ours = {name: partial(normalizer.backward, dy, forward()[1]) for name, forward in ours.items()}
    expected = (theirs() if direction == "forward" else theirs()[0]).detach().numpy()
    for name, call in ours.items():
        _check_same(name, call()[0], expected)
    return {"torch": theirs, **ours, "copy": x.copy}


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


def relatives_table(backends: Sequence[str], rounds: int) -> Iterator[Row]:
    """The other normalizers with "numba", the one backend with loops for them: times over PyTorch's, and a copy's."""
    for words, normalizer, shape in RELATIVES if "numba" in backends else ():
        case = f"{words}, {in_words(shape)}"
        for direction in DIRECTIONS:
            seconds = interleaved(candidates(shape, direction, ["numba"], normalizer), rounds)
            middle = {name: Spread.of(times).median for name, times in seconds.items()}
            yield Row("relatives", case, "torch", "second", *Spread.of(seconds["torch"]), shape, direction)
            for peer in ("torch", "copy"):
                spread = Spread.of(ratios(seconds, "numba", peer))
                yield Row("relatives", case, "numba", peer, *spread, shape, direction, seconds=middle["numba"])


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
