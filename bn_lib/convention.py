"""How frameworks write down the same running statistics and parameters, and exact conversion between their ways.

Three choices differ and none is wrong: whether `momentum` is the weight of the new batch or of the old average, whether
the variance that is stored is the biased or the unbiased one, and the default values. Mixing two of them up is one of
the most common mistakes when a model moves from one framework to another. What they call the arrays, and in which order
a weight has its axes, differs too: `Naming`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple, Self

from bn_lib import _checks as check
from bn_lib._arrays import Array, silent


@dataclass(frozen=True)
class Convention:
    """How one framework keeps running statistics.

    Attributes:
        name: the name under which `Convention.named` finds it.
        momentum_weighs: "batch" if new = (1 - momentum) * old + momentum * batch, "old" if
            new = momentum * old + (1 - momentum) * batch, "none" for the plain average over all batches.
        unbiased: whether the variance that is stored is divided by m - 1 (True) or by m (False), for m values.
        default_momentum: the framework's default; None for the plain average.
        default_eps: the framework's default.
        source: where this is written.
        plain_average: whether None for a momentum, the plain average over all batches, is one of its choices.

    KERAS is Keras 3. The fused kernel of TensorFlow 2 stored the unbiased variance instead, for images only
    (TensorFlow issue 55545).

    The four that are known are `Convention.PYTORCH`, `KERAS`, `FLAX` and `PAPER`. In all of them the variance that
    normalizes a training batch is the biased one.

    Example:
        >>> Convention.KERAS.convert_momentum(0.99, to="PyTorch")
        0.01
    """

    name: str
    momentum_weighs: str
    unbiased: bool
    default_momentum: float | None
    default_eps: float
    source: str
    plain_average: bool = False

    PYTORCH: ClassVar[Self]
    KERAS: ClassVar[Self]
    FLAX: ClassVar[Self]
    PAPER: ClassVar[Self]

    @classmethod
    def named(cls, convention: "str | Convention") -> "Convention":
        """Return the convention of that name ("PyTorch", "torch", "Keras", "Flax", "paper"; in any case), or that one.

        Raises:
            TypeError: if `convention` is neither a name nor a `Convention`.
            ValueError: if there is none of that name.
        """
        if isinstance(convention, Convention):
            return convention
        known = {c.name: c for c in (cls.PYTORCH, cls.KERAS, cls.FLAX, cls.PAPER)}
        if not isinstance(convention, str):
            raise TypeError(f"convention is {convention!r}; expected one of {', '.join(known)}, or a Convention")
        name = "pytorch" if convention.lower() == "torch" else convention.lower()
        if name not in known:
            raise ValueError(f"convention is {convention!r}; expected one of {', '.join(known)}")
        return known[name]

    def batch_weight(self, momentum: float | None) -> float | None:
        """The weight of the new batch, in [0, 1], that this convention means by `momentum`; None for plain averages.

        Worked on the decimal digits as written, so that 0.9 becomes 0.1 and not 0.09999999999999998.

        Raises:
            TypeError: if `momentum` is not a number.
            ValueError: if `momentum` is not between 0 and 1, or given where the convention has none, or None where it
                has no plain average.
        """
        if momentum is None and not self.plain_average:
            raise ValueError(f"momentum is None; expected a number: the convention {self.name!r} has no plain average")
        if momentum is None:
            return None
        momentum = check.number(momentum, "momentum", low=0.0, high=1.0)
        if self.momentum_weighs == "none":
            raise ValueError(
                f"momentum is {momentum:g}; expected None: the convention {self.name!r} averages all batches equally"
            )
        return momentum if self.momentum_weighs == "batch" else float(1 - Decimal(repr(momentum)))

    def convert_momentum(self, momentum: float | None, to: "str | Convention") -> float | None:
        """The number that `to` calls momentum for the same running average.

        Raises:
            ValueError: if `to` has no such number: an exponential average is never a plain one, or the reverse.
        """
        to = Convention.named(to)
        weight = self.batch_weight(momentum)
        # Reading a weight as a momentum and reading a momentum as a weight are the same step: w or 1 - w.
        return to.batch_weight(weight)

    @silent
    def convert_running_var(
        self,
        running_var: Array,
        to: "str | Convention",
        *,
        count: int,
        momentum: float | None,
        updates: int,
        initial: float = 1.0,
    ) -> Array:
        """The running variance that `to` would hold after the same batches.

        A running variance is decay**updates * initial + (a weighted sum of batch variances), decay = 1 - the weight
        of a batch. Only the sum is rescaled, by count / (count - 1) or its inverse; the initial value is not.

        Args:
            running_var: what this convention holds.
            to: the convention to convert to.
            count: values per channel in each batch (N times the positions); the same for all batches, at least 2.
            momentum: in this convention's meaning; None for plain averages, where nothing is left of `initial`.
            updates: how many batches went in.
            initial: the value before the first batch; 1 in every framework here.

        Returns:
            An array of the shape of `running_var`.

        Example:
            >>> var = np.array([1.4])  # 0.9 * 1 + 0.1 * 5, where 5 is the unbiased variance of five values
            >>> Convention.PYTORCH.convert_running_var(var, "keras", count=5, momentum=0.1, updates=1).round(12)
            array([1.3])

        Raises:
            TypeError: if an argument is not of its kind: an array, whole numbers, numbers.
            ValueError: if a variance is negative or not finite, count is below 2 or updates below 1; or as
                `batch_weight`.
        """
        to = Convention.named(to)
        check.floats(running_var, "running_var")
        check.variance(running_var, "running_var")
        initial = check.number(initial, "initial", low=0.0)
        count, updates = check.positive_int(count, "count"), check.positive_int(updates, "updates")
        if count < 2:
            raise ValueError(f"count is {count}; expected at least 2, or there is no unbiased variance")
        if self.unbiased == to.unbiased:
            return running_var * 1
        weight = self.batch_weight(momentum)
        left_of_initial = 0.0 if weight is None else (1 - weight) ** updates * initial
        factor = count / (count - 1) if to.unbiased else (count - 1) / count
        return left_of_initial + (running_var - left_of_initial) * factor


Convention.PYTORCH = Convention(
    "pytorch", "batch", unbiased=True, default_momentum=0.1, default_eps=1e-5,
    source="torch.nn.BatchNorm1d, PyTorch documentation", plain_average=True,
)  # fmt: skip
Convention.KERAS = Convention(
    "keras", "old", unbiased=False, default_momentum=0.99, default_eps=1e-3,
    source="keras.layers.BatchNormalization, Keras 3 documentation and source",
)  # fmt: skip
Convention.FLAX = Convention(
    "flax", "old", unbiased=False, default_momentum=0.99, default_eps=1e-5,
    source="flax.linen.BatchNorm, Flax documentation and source",
)  # fmt: skip
Convention.PAPER = Convention(
    "paper", "none", unbiased=True, default_momentum=None, default_eps=1e-5,
    source="Ioffe and Szegedy (2015), Algorithm 2, line 10", plain_average=True,
)  # fmt: skip


class Naming(NamedTuple):
    """What a framework calls the arrays of a layer, and how it lays out its weights.

    Attributes:
        names: our names, or those of one kind of layer, and theirs, where they differ; None for what it does not keep.
        orders: the axes of our `weight` in their order, by how many there are, where that differs.
        collections: whether arrays are in two dicts, "params" and "batch_stats", of dicts of "layers_0", "layers_1".
    """

    names: Mapping[str, str | None]
    orders: Mapping[int, tuple[int, ...]]
    collections: bool = False

    @classmethod
    def of(cls, framework: str) -> "Naming":
        """The naming of a framework that `Convention.named` knows; raise `ValueError` if it has none."""
        try:
            return _NAMINGS[Convention.named(framework).name]
        except (KeyError, TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"names is {framework!r}; expected one of {', '.join(_NAMINGS)}") from error

    def key(self, key: str, name: str, *, kind: str, trained: bool) -> str | None:
        """Their key, levels parted by "/", for the array `name` of a layer of a `kind`, `key` in our state dict."""
        theirs = self.names.get(f"{kind}.{name}", self.names.get(name, name))
        if theirs is None or not self.collections:
            return theirs and key.removesuffix(name) + theirs
        *places, _ = key.split(".")
        return "/".join(("params" if trained else "batch_stats", *(f"layers_{place}" for place in places), theirs))

    def order(self, name: str, ndim: int) -> tuple[int, ...]:
        """Our axes in their order."""
        same = tuple(range(ndim))
        return self.orders.get(ndim, same) if name == "weight" else same

    def pack(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        """The arrays by their keys, as the framework has them: for collections, dicts in dicts."""
        state: dict[str, Any] = {}
        for key, array in arrays.items():
            *places, name = key.split("/")
            inside = state
            for place in places:
                inside = inside.setdefault(place, {})
            inside[name] = array
        return state

    def unpack(self, state: Mapping[str, Any], place: str = "") -> dict[str, Array]:
        """The reverse."""
        arrays: dict[str, Array] = {}
        for key, value in state.items():
            found = self.unpack(value, f"{place}{key}/") if isinstance(value, Mapping) else {f"{place}{key}": value}
            arrays.update(found)
        return arrays


def _kernel_and_statistics(mean: str, var: str) -> dict[str, str | None]:
    return {"weight": "kernel", "running_mean": mean, "running_var": var, "num_batches_tracked": None}


_KERAS = _kernel_and_statistics("moving_mean", "moving_variance") | {"RMSNorm.gamma": "scale"}
_FLAX = _kernel_and_statistics("mean", "var") | {"gamma": "scale", "beta": "bias"}
_NAMINGS = {
    "pytorch": Naming({"gamma": "weight", "beta": "bias"}, {2: (1, 0)}),
    "keras": Naming(_KERAS, {4: (2, 3, 1, 0)}),
    "flax": Naming(_FLAX, {4: (2, 3, 1, 0)}, collections=True),
}
OURS = Naming({}, {})
