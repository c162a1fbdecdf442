"""A gallery of Batch Normalizations: four functions, the right ones, and the wrong ones that have a name.

    forward(x, gamma, beta, eps) -> y
    backward(dy, x, gamma, eps, mean=None, var=None) -> dx, dgamma, dbeta
    update_running(running_mean, running_var, x, momentum) -> running_mean, running_var
    inference(x, gamma, beta, running_mean, running_var, eps) -> y

x is (N, C) or (N, C, H, W); gamma, beta and stored statistics are (C,). `forward` and `backward` use the statistics of
this batch. With a mean and a variance given, `backward` takes them for constants, as in a frozen layer.

Each function is a few steps, and most mistakes are one wrong step: so a wrong function is the right one with a step
replaced by one of `slips`, and two mistakes at once are two. The right ones are written out, to be read.

`implement` recognises a learner's functions by these; `break_it` gives some of them to a learner to expose.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations, permutations, product
from typing import Any

import numpy as np

from bn_exercises import misconceptions as wrong
from bn_exercises.algorithm import batch_axes, per_channel
from bn_exercises.functions import slips
from bn_exercises.functions.gallery import Family, Gallery, Steps, first_of_each, one_wrong, two_at_once
from bn_exercises.functions.slips import Axes, Function, Paths, Step, mean_over, three_paths, variance_over
from bn_exercises.misconceptions import Misconception
from bn_exercises.tolerance import Array

# The right ones


def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """Normalize with this batch's statistics, then scale and shift."""
    # All but the channels, and a shape that lines their values up with x.
    axes = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean = x.mean(axis=axes, keepdims=True)
    var = x.var(axis=axes, keepdims=True)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(shape) * x_hat + beta.reshape(shape)


def backward(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Array:
    """Gradients of forward; a given mean and var are constants."""
    axes = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    frozen = mean is not None
    if frozen:
        mean, var = mean.reshape(shape), var.reshape(shape)
    else:
        mean = x.mean(axis=axes, keepdims=True)
        var = x.var(axis=axes, keepdims=True)
    root = np.sqrt(var + eps)
    x_hat = (x - mean) / root
    dx = dx_hat = gamma.reshape(shape) * dy
    if not frozen:
        # Through the mean, then through the variance.
        dx = dx - dx_hat.mean(axis=axes, keepdims=True)
        dx = dx - x_hat * (dx_hat * x_hat).mean(axis=axes, keepdims=True)
    return dx / root, (dy * x_hat).sum(axis=axes), dy.sum(axis=axes)


def update_running(running_mean: Array, running_var: Array, x: Array, momentum: float) -> Array:
    """Move both towards this batch, whose weight is momentum."""
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axis=axes)
    var = x.var(axis=axes, ddof=1)  # ddof=0 is another convention
    running_mean = (1 - momentum) * running_mean + momentum * mean
    running_var = (1 - momentum) * running_var + momentum * var
    return running_mean, running_var


def inference(x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float) -> Array:
    """Normalize with stored statistics, which stay as they are."""
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, var = running_mean.reshape(shape), running_var.reshape(shape)
    x_hat = (x - mean) / np.sqrt(var + eps)
    return gamma.reshape(shape) * x_hat + beta.reshape(shape)


RIGHT: dict[str, Function] = {
    "forward": forward,
    "backward": backward,
    "update_running": update_running,
    "inference": inference,
}


# The same as functions of their steps


def _root(var: Array, eps: float) -> Array:
    return np.sqrt(var + eps)


def _normalized(x: Array, mean: Array, root: Array) -> Array:
    return (x - mean) / root


def _scale(x_hat: Array, gamma: Array, beta: Array) -> Array:
    return gamma * x_hat + beta


def forward_of(
    *,
    axes: Callable[[Array], Axes] = batch_axes,
    mean: Function = mean_over,
    variance: Function = variance_over,
    root: Function = _root,
    normalized: Function = _normalized,
    scale: Function = _scale,
    formula: Function | None = None,
) -> Function:
    """`forward` of these steps."""

    def forward(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
        mu, var = mean(x, axes(x)), variance(x, axes(x))
        if formula is not None:
            return formula(x, mu, var, eps, per_channel(gamma, x), per_channel(beta, x))
        return scale(normalized(x, mu, root(var, eps)), per_channel(gamma, x), per_channel(beta, x))

    return forward


# The places in `backward` where a root is divided by: the three paths of dx, and dγ. γ stands in the first three.
DX_PATHS = ("straight", "through_mean", "through_variance")
D_GAMMA = "dγ"


def backward_of(
    *,
    given: Function = lambda mean, var: (mean, var),
    axes: Callable[[Array], Axes] = batch_axes,
    axes_of_paths: Callable[[Array], Axes] | None = None,
    mean: Function = mean_over,
    variance: Function = variance_over,
    root: Function = _root,
    root_at: tuple[str, ...] = (*DX_PATHS, D_GAMMA),
    roots_of_variance: int = 3,
    scaled: Function = np.multiply,
    scaled_at: tuple[str, ...] = DX_PATHS,
    straight: Function = lambda paths: paths.straight,
    through_mean: Function = lambda paths: paths.through_mean,
    through_variance: Function = lambda paths: paths.through_variance,
    paths: Function = three_paths,
    frozen: Function = lambda paths: paths.straight,
    ignored_at: tuple[str, ...] = (),
    factor: Function = lambda x, mean, x_hat, root: x_hat,
    sums: Function = slips.summed,
    order: Function = lambda gradients: gradients,
) -> Function:
    """`backward` of these steps. A wrong root, a wrong dx̂ or the batch's statistics may stand in some places only."""

    def backward(
        dy: Array, x: Array, gamma: Array, eps: float, given_mean: Array = None, given_var: Array = None
    ) -> Array:
        given_mean, given_var = given(given_mean, given_var)
        is_frozen = given_mean is not None

        def of_batch() -> tuple[Array, Array]:
            return mean(x, axes(x)), variance(x, axes(x))

        def statistics(place: str) -> tuple[Array, Array]:
            if is_frozen and place not in ignored_at:
                return per_channel(given_mean, x), per_channel(given_var, x)
            return of_batch()

        def root_in(place: str, var: Array) -> Array:
            return (root if place in root_at else _root)(var, eps)

        def dx_hat_in(place: str) -> Array:
            return (scaled if place in scaled_at else np.multiply)(dy, per_channel(gamma, x))

        mu, var = statistics("dx")
        cubed = 1.0
        for number in range(3):
            wrong_here = "through_variance" in root_at and number < roots_of_variance
            cubed = cubed * (root if wrong_here else _root)(var, eps)
        come_back = Paths(
            straight=dx_hat_in("straight") / root_in("straight", var),
            of_mean=dx_hat_in("through_mean") / root_in("through_mean", var),
            of_spread=dx_hat_in("through_variance") / cubed,
            x=x,
            mean=mu,
            root=root_in("straight", var),
            axes=(axes_of_paths or axes)(x),
        )
        if is_frozen:
            dx = frozen(come_back)
        elif paths is three_paths:
            dx = straight(come_back) - through_mean(come_back) - through_variance(come_back)
        else:
            dx = paths(come_back)
        mu, var = statistics(D_GAMMA)
        root_of_gamma = root_in(D_GAMMA, var)
        each = dy * factor(x, mu, (x - mu) / root_of_gamma, root_of_gamma)
        return order((dx, *sums(x, gamma, each, dy)))

    return backward


def _update(
    *,
    axes: Callable[[Array], Axes] = batch_axes,
    mean: Function = lambda x, axes: x.mean(axis=axes),
    variance: Function = lambda x, axes, ddof: x.var(axis=axes, ddof=ddof),
    towards: Function = lambda mean, var, x, old_mean, old_var: (mean, var),
    average: Function = lambda old, batch, momentum: (1 - momentum) * old + momentum * batch,
    mean_average: Function | None = None,
    variance_average: Function | None = None,
    order: Function = lambda statistics: statistics,
) -> Function:
    """`update_running` under either convention: ddof is 1 or 0."""

    def update_running(running_mean: Array, running_var: Array, x: Array, momentum: float, ddof: int = 1) -> Array:
        of_batch = towards(mean(x, axes(x)), variance(x, axes(x), ddof), x, running_mean, running_var)
        new_mean = (mean_average or average)(running_mean, of_batch[0], momentum)
        return order((new_mean, (variance_average or average)(running_var, of_batch[1], momentum)))

    return update_running


def biased(update: Function) -> Function:
    """A wrong `update_running`, by somebody who keeps the biased variance."""
    return lambda *arguments: update(*arguments, ddof=0)


def _inference(
    *,
    statistics: Function = lambda x, mean, var: (mean, var),
    root: Function = _root,
    normalized: Function = _normalized,
    scale: Function = _scale,
    formula: Function | None = None,
) -> Function:
    def inference(x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float) -> Array:
        mean, var = (per_channel(each, x) for each in statistics(x, running_mean, running_var))
        if formula is not None:
            return formula(x, mean, var, eps, per_channel(gamma, x), per_channel(beta, x))
        x_hat = normalized(x, mean, root(var, eps))
        return scale(x_hat, per_channel(gamma, x), per_channel(beta, x))

    return inference


# The order of what is returned

_IN_ANOTHER_ORDER = Misconception(
    "gradients in another order",
    "You returned dx, dγ and dβ in another order. The order is dx, dγ, dβ.",
    lambda gradients: gradients,
    wrong.COMPACT,
)
STATISTICS_RETURNED_SWAPPED = Misconception(
    "running statistics returned the wrong way round",
    "You returned the running variance before the running mean. The order is running_mean, running_var.",
    lambda statistics: statistics[::-1],
    wrong.RUNNING,
)


def _permuted(order: tuple[int, ...]) -> Function:
    return lambda values: tuple(values[place] for place in order)


GRADIENT_ORDER: Step = (
    slips.GRADIENTS_SWAPPED.at(_permuted((0, 2, 1))),
    *(_IN_ANOTHER_ORDER.at(_permuted(order)) for order in permutations(range(3)) if order[0] != 0),
)


# Wrong as a whole


def _forward_in_place(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    x -= mean_over(x, batch_axes(x))
    x /= np.sqrt(mean_over(x * x, batch_axes(x)) + eps)
    return per_channel(gamma, x) * x + per_channel(beta, x)


def _backward_in_place(dy: Array, x: Array, gamma: Array, eps: float, mean: Array = None, var: Array = None) -> Array:
    _, dgamma, dbeta = backward(dy, x, gamma, eps, mean, var)
    dy *= per_channel(gamma, x)
    return backward(dy, x, np.ones_like(gamma), eps, mean, var)[0], dgamma, dbeta


def _moving(x: Array, gamma: Array, beta: Array, running_mean: Array, running_var: Array, eps: float) -> Array:
    y = inference(x, gamma, beta, running_mean, running_var, eps)
    running_mean += 0.1 * (x.mean(axis=batch_axes(x)) - running_mean)
    running_var += 0.1 * (x.var(axis=batch_axes(x)) - running_var)
    return y


def in_float32(function: Function) -> Function:
    """`function`, by somebody who computes in single precision, whatever comes."""

    def single(*arguments: Array, **options: Array) -> Array:
        return function(*(a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in arguments), **options)

    return single


def _as_rows(images: Array) -> Array:
    """A row for each sample and position."""
    return np.moveaxis(images, 1, -1).reshape(-1, images.shape[1])


def _from_rows(rows: Array, shape: tuple[int, ...]) -> Array:
    return np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


# Ways to make rows of images, (images), and images of rows, (rows, shape). Of each the first is right.
_TO_ROWS: tuple[Function, ...] = (
    _as_rows,
    lambda images: images.reshape(-1, images.shape[1]),
    lambda images: images.reshape(images.shape[1], -1).T,
)
_BACK: tuple[Function, ...] = (
    _from_rows,
    lambda rows, shape: rows.reshape(shape),
    lambda rows, shape: rows.T.reshape(shape),
    lambda rows, shape: rows.reshape(shape[0], *shape[2:], shape[1]).swapaxes(1, 3).reshape(shape),
)


def _reshaped(function: Function, to_rows: Function = _TO_ROWS[1], back: Function = _BACK[1]) -> Function:
    """`function` on what somebody takes for the rows of images: N·H·W of them, of the right length."""

    def reshaped(*arguments: Array, **options: Array) -> Array:
        # All arrays but x and dy are (C,), or absent; batches are the only ones with more axes.
        shape = next(a.shape for a in arguments if isinstance(a, np.ndarray) and a.ndim > 1)
        if len(shape) == 2:
            return function(*arguments, **options)
        batches = (to_rows(a) if isinstance(a, np.ndarray) and a.shape == shape else a for a in arguments)
        values = function(*batches, **options)
        if isinstance(values, tuple):
            return tuple(back(value, shape) if value.ndim > 1 else value for value in values)
        return back(values, shape)

    return reshaped


def _gamma_in_front(axes: Callable[[Array], Axes]) -> Function:
    """Wrong axes in the compact form. Where these mix channels, it matters that γ stands in front of the means."""
    without = backward_of(axes=axes)

    def backward(dy: Array, x: Array, gamma: Array, *others: Any) -> Array:
        dx, dgamma, dbeta = without(dy, x, np.ones_like(gamma), *others)
        return per_channel(gamma, x) * dx, dgamma, dbeta

    return backward


IN_PLACE = Misconception(
    "an argument changed in place",
    "You changed an array that you were given, so your caller has lost it. Make a new one: a = a - b, not a -= b.",
    _forward_in_place,
    wrong.IN_CODE,
)
SINGLE = Misconception(
    "float32 where float64 was given",
    "You computed in float32 what came in float64. Of numbers near 100,000,000 that keeps no digit after the point. "
    "Stay with the type of x.",
    in_float32(forward),
    wrong.CANCELLATION,
)
MOVES = Misconception(
    "inference that moves the statistics",
    "You changed the stored statistics. Inference only reads them; else the same row gives something else next time.",
    _moving,
    wrong.MOVING,
)
RESHAPED = Misconception(
    "images reshaped, channels not moved",
    "You reshaped images to rows of C numbers while the channels were axis 1. reshape keeps the order of the numbers, "
    "so a column holds values of all channels. Move the channels to the end first: `np.moveaxis(x, 1, -1)`.",
    _reshaped(forward),
    wrong.LAYOUT,
)
_WHOLE: dict[str, tuple[Misconception, ...]] = {
    "forward": (IN_PLACE, SINGLE, RESHAPED),
    "backward": (
        IN_PLACE.at(_backward_in_place),
        SINGLE.at(in_float32(backward)),
        RESHAPED.at(_reshaped(backward)),
        *(m.at(_gamma_in_front(m.compute)) for m in slips.ROW_AXES),
    ),
    "update_running": (
        SINGLE.at(in_float32(_update())),
        RESHAPED.at(_reshaped(_update())),
    ),
    "inference": (MOVES, RESHAPED.at(_reshaped(inference))),
}


# One step wrong, or two

_MADE: dict[str, tuple[Callable[..., Function], Steps]] = {
    "forward": (
        forward_of,
        {
            "variance": slips.VARIANCE,
            "root": slips.ROOT + slips.UNDIVIDED,
            "normalized": slips.NORMALIZED,
            "axes": slips.AXES,
            "mean": slips.MEAN,
            "scale": slips.SCALE,
            "formula": slips.FORMULA,
        },
    ),
    "backward": (
        backward_of,
        {
            "paths": slips.PATHS,
            "straight": slips.STRAIGHT,
            "through_mean": slips.THROUGH_MEAN,
            "through_variance": slips.THROUGH_VARIANCE,
            "scaled": slips.DX_HAT,
            "variance": slips.VARIANCE,
            "root": slips.ROOT,
            "axes": slips.AXES,
            "mean": slips.MEAN,
            "factor": slips.FACTOR,
            "sums": slips.SUMS,
            "frozen": slips.FROZEN,
            "given": slips.GIVEN,
            "order": GRADIENT_ORDER,
        },
    ),
    "update_running": (
        _update,
        {
            "average": slips.AVERAGE,
            "mean_average": slips.MEAN_AVERAGE,
            "variance_average": slips.VARIANCE_AVERAGE,
            "variance": slips.VARIANCE_STORED,
            "mean": slips.MEAN_STORED,
            "towards": slips.TOWARDS,
            "axes": (wrong.OVER_EVERYTHING.at(lambda x: tuple(range(x.ndim))), *slips.ALL_IMAGE_AXES),
            "order": (STATISTICS_RETURNED_SWAPPED,),
        },
    ),
    "inference": (
        _inference,
        {
            "statistics": slips.STATISTICS,
            "root": slips.ROOT + slips.UNDIVIDED,
            "normalized": slips.NORMALIZED,
            "scale": slips.SCALE,
            "formula": slips.FORMULA,
        },
    ),
}
# Not paired: two ways to go wrong in the same step; and steps of different outputs, because each output is recognised
# by itself.
_OF_DX = ("paths", "straight", "through_mean", "through_variance", "scaled")
_APART = {
    *map(frozenset, product(("paths",), ("straight", "through_mean", "through_variance"))),
    *map(frozenset, product(("average",), ("mean_average", "variance_average"))),
    *map(frozenset, product(_OF_DX, ("factor", "sums"))),
    frozenset(("mean_average", "variance_average")),
    *map(frozenset, product(("formula",), ("root", "normalized", "scale"))),
}


# Steps that do nothing where statistics are given, and steps that do nothing where they are not.
_NOT_FROZEN = ("paths", "straight", "through_mean", "through_variance", "variance", "axes", "mean")
_ONLY_FROZEN = ("frozen", "given")
_ONLY_IMAGES = {slips.BY_SAMPLES.name, *(m.name for m in slips.ALL_IMAGE_AXES)} - {wrong.OVER_EVERYTHING.name}


def pairs(function: str, part: str = "images") -> Iterator[tuple[Misconception, Misconception, Function]]:
    """Two mistakes in one function, each in another step: the two, and the function.

    Args:
        function: its name.
        part: of problem 6. Only those that can show there.
    """
    make, steps = _MADE[function]
    unused = _NOT_FROZEN if part == "frozen" else _ONLY_FROZEN
    used = {
        step: tuple(m for m in slip if part == "images" or m.name not in _ONLY_IMAGES)
        for step, slip in steps.items()
        if step not in unused
    }
    yield from two_at_once(make, used, _APART)


# A step wrong in one place of `backward`, and right in the others

_WORDS = {
    "straight": "on the direct path",
    "through_mean": "on the path through the mean",
    "through_variance": "on the path through the variance",
    D_GAMMA: "in dγ",
}


def _in_some(m: Misconception, places: tuple[str, ...]) -> str:
    words = [_WORDS[place] for place in places]
    where = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
    return f"Only {where}, and not elsewhere: {m.says}"


def _some(places: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every choice of one or more places, but for all of them."""
    for count in range(1, len(places)):
        yield from combinations(places, count)


def _in_places() -> Iterator[Misconception]:
    everywhere = (*DX_PATHS, D_GAMMA)
    for m in slips.ROOT:
        for places in (*_some(everywhere), everywhere):
            # The variance's path has the root to the third power: x̂ twice, and once more.
            for count in (1, 2, 3) if "through_variance" in places else (3,):
                if places != everywhere or count < 3:
                    function = backward_of(root=m.compute, root_at=places, roots_of_variance=count)
                    yield m.at(function, _in_some(m, places))
    for m in slips.AXES:
        yield m.at(backward_of(axes=m.compute, axes_of_paths=batch_axes), f"In the mean and the variance: {m.says}")
        yield m.at(backward_of(axes_of_paths=m.compute), f"In the sums of dx: {m.says}")
    for m in slips.DX_HAT:
        for places in _some(DX_PATHS):
            yield m.at(backward_of(scaled=m.compute, scaled_at=places), _in_some(m, places))
    for place, where in (("dx", "dx"), (D_GAMMA, "dγ")):
        says = f"In {where} you used the statistics of this batch where others were given. Use those."
        yield slips.GIVEN_IGNORED.at(backward_of(ignored_at=(place,)), says)
    ignored = backward_of(ignored_at=("dx", D_GAMMA))
    yield slips.GIVEN_IGNORED.at(ignored)
    ignored_in_dx = backward_of(ignored_at=("dx",), frozen=three_paths)
    yield slips.GIVEN_IGNORED.at(
        ignored_in_dx, "dx is the gradient of training where statistics were given. Use those, as constants."
    )


def _wrong_for_both(function: str) -> Iterator[Misconception]:
    """Wrong axes for rows and, in another way, for images, under the name of what is done with images."""
    make, _ = _MADE[function]
    return (m.at(make(axes=m.compute)) for m in slips.BOTH_AXES)


def _in_other_forms(function: str) -> Iterator[Misconception]:
    right = _update() if function == "update_running" else RIGHT[function]
    for to_rows, back in tuple(product(_TO_ROWS, _BACK))[1:]:
        # An update brings nothing back, so with the right rows it is right.
        if function != "update_running" or to_rows is not _as_rows:
            yield RESHAPED.at(_reshaped(right, to_rows, back))


# Every way to make a mistake, and the usual way of each
WAYS: dict[str, tuple[Misconception, ...]] = {name: (*one_wrong(*_MADE[name]), *_WHOLE[name]) for name in RIGHT}
# The same mistakes made in one place of several, the axes of rows and of images both wrong, and more ways to reshape.
ELSEWHERE: dict[str, tuple[Misconception, ...]] = {
    "forward": (*_wrong_for_both("forward"), *_in_other_forms("forward")),
    "backward": (
        *_in_places(),
        *_wrong_for_both("backward"),
        *(m.at(_gamma_in_front(m.compute)) for m in (*slips.ALL_IMAGE_AXES, *slips.BOTH_AXES)),
        *_in_other_forms("backward"),
    ),
    "update_running": (*_wrong_for_both("update_running"), *_in_other_forms("update_running")),
    "inference": tuple(_in_other_forms("inference")),
}
MISTAKES = first_of_each(WAYS)


# Mistakes with a number of one's own in them, which has to be found


_EPS = tuple(10.0**power for power in range(-15, 2))
_SHARES = tuple(np.linspace(0, 1, 11).tolist())


def _with_number(
    make: Callable[..., Function], step: str, number: Callable[[float], Function], **others: Any
) -> Callable[[float], Function]:
    """The function with this step, as somebody has it who has that number."""
    return lambda own: make(**{step: number(own)}, **others)


def own_eps(make: Callable[..., Function], steps: Steps) -> Iterator[Family]:
    """An ε of one's own: under the root or elsewhere, in all places; under the root, with another mistake besides."""
    besides = ((), (wrong.EPS_OUTSIDE,), (slips.EPS_FLOOR,), (slips.EPS_FLOOR,))
    for root, also in zip(slips.OWN_EPS, besides, strict=True):
        yield Family((slips.EPS_FIXED, *also), _with_number(make, "root", root), _EPS)
    for step, slip in steps.items():
        if step not in ("root", *_ONLY_FROZEN):
            for m in slip:
                made = _with_number(make, "root", slips.OWN_EPS[0], **{step: m.compute})
                yield Family((slips.EPS_FIXED, m), made, _EPS, any_small=True)


def _own_eps_in_places() -> Iterator[Family]:
    places: tuple[tuple[tuple[str, ...], int], ...] = (
        (("straight",), 3),
        (("through_mean",), 3),
        (("through_variance",), 1),
        (("through_variance",), 3),
        ((D_GAMMA,), 3),
        # x̂, and all of dx.
        (("through_variance", D_GAMMA), 2),
        (DX_PATHS, 3),
        (DX_PATHS, 1),
    )
    for where, count in places:
        m = slips.EPS_FIXED.at(slips.EPS_FIXED.compute, _in_some(slips.EPS_FIXED, where))
        made = _with_number(backward_of, "root", slips.OWN_EPS[0], root_at=where, roots_of_variance=count)
        yield Family((m,), made, _EPS, any_small=True)


def _own_numbers_stored() -> Iterator[Family]:
    """An ε of one's own in the running variance; a momentum of one's own, with another mistake besides."""
    variance, root = slips.OWN_EPS_STORED
    yield Family((slips.EPS_STORED,), _with_number(_update, "variance", variance), _EPS)
    yield Family((slips.DEVIATION_STORED, slips.EPS_STORED), _with_number(_update, "variance", root), _EPS)
    yield Family((slips.MOMENTUM_FIXED,), _with_number(_update, "average", slips.own_momentum), _SHARES)
    for step, slip in (("variance", slips.VARIANCE_STORED), ("towards", slips.TOWARDS)):
        for m in slip:
            made = _with_number(_update, "average", slips.own_momentum, **{step: m.compute})
            yield Family((slips.MOMENTUM_FIXED, m), made, _SHARES)


def _blended() -> Iterator[Family]:
    for ddof, unless_alone in product((0, 1), (False, True)):
        statistics = partial(slips.blended, ddof=ddof, unless_alone=unless_alone)
        yield Family((slips.BLENDED,), _with_number(_inference, "statistics", statistics), _SHARES)


FAMILIES: dict[str, tuple[Family, ...]] = {
    "forward": tuple(own_eps(*_MADE["forward"])),
    "backward": (*own_eps(*_MADE["backward"]), *_own_eps_in_places()),
    "update_running": tuple(_own_numbers_stored()),
    "inference": (*_blended(), *own_eps(*_MADE["inference"])),
}


def _conventions(function: str, compute: Function) -> list[Function]:
    """A mistake in `update_running` can be made under either convention."""
    return [compute, biased(compute)] if function == "update_running" else [compute]


GALLERY = Gallery(RIGHT, WAYS, ELSEWHERE, FAMILIES, pairs, _conventions)
