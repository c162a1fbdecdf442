"""Where mean and variance come from, if not from the mini-batch alone, and what becomes of them.

| normalizer                | mean and variance                                                            |
|---------------------------|------------------------------------------------------------------------------|
| `DomainBatchNorm`         | those of a batch's rows from the same domain: a scanner, a site, a language  |
| `SwitchableNorm`          | a trained mixture of those of a sample's channel, of a sample, of the batch  |
| `HistogramPreservingNorm` | those of each scan, which are given back beside what they standardized       |

`match_histogram` stands beside the last for contrast: it keeps the order of the values and nothing else. Where gamma
and beta come from is in `modulation`.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from bn_lib import _checks as check
from bn_lib._arrays import Array, count_along, namespace, silent
from bn_lib.layer import Layer, Setting, undone_if_it_raises
from bn_lib.modulation import Given, Modulated, at_positions, per_channel
from bn_lib.moments import Moments
from bn_lib.standardize import standardize_backward, standardize_over, standardize_with


class DomainBatchNorm(Given):
    """Domain-specific Batch Normalization: the rows of each domain have a mean and a variance of their own.

    Training:   x_hat[i] = (x[i] - mu_d) / sqrt(sigma2_d + eps),  with mu_d and sigma2_d over the rows of domain d in
                the mini-batch, d = domains[i]; the running statistics of the domains that are there move
    Inference:  the same with the running statistics of domain d
    Both:       y[i] = gamma[d] * x_hat[i] + beta[d], or with one gamma and one beta for all domains

    The domains come with x, `layer(x, domains)`; in a network, which hands on x alone, they come from
    `with given(model, domains=domains):` around the passes. A mask is `BatchNorm`'s: `layer(x, domains, mask=mask)`.

    Args:
        domains: D, how many there are.
        num_features: C, the number of channels.
        shared_affine: whether all domains have the same gamma and beta. With their own, a domain may take back what
            standardizing made alike.
        options: as those of `BatchNorm`, but for `affine`.

    Attributes:
        gamma, beta: `(D, C)`, or `(C,)` if they are shared; start at 1 and 0.
        domains: what `given` set: the domain of each row, `(N,)`, whole numbers from 0 to D - 1; otherwise None.
        norms: one `BatchNorm` for each domain, with its running statistics; "0.running_mean" in the state dict.

    Example:
        >>> layer = DomainBatchNorm(2, 1, eps=0.0)
        >>> layer(np.array([[1.0], [3.0], [100.0], [500.0]]), np.array([0, 0, 1, 1])).ravel()
        array([-1.,  1., -1.,  1.])
        >>> [float(norm.running_mean[0]) for norm in layer.norms]
        [0.2, 30.0]

    Raises:
        TypeError, ValueError: as `BatchNorm`, also if domains are missing or unknown, or in training if a domain that
            is in the mini-batch has one value per channel. A call that raises leaves the layer as it was.

    Source: Chang et al. (2019), whose gamma and beta are each domain's own; shared, as in the adaptive BN of Li et al.
    (2018).
    """

    given_names = ("domains", "mask")
    _numbered = True
    shared_affine = Setting(check.boolean)

    def __init__(self, domains: int, num_features: int, *, shared_affine: bool = False, **options: Any) -> None:
        super().__init__(num_features, norms=check.positive_int(domains, "domains"), **options)
        self.shared_affine = shared_affine
        self._start()
        self.domains: Array | None = None

    def forward(self, x: Array, domains: Array | None = None, mask: Array | None = None) -> Array:
        """Normalize `x`, `(N, C)` or `(N, C, *spatial)`, whose rows are of these domains; None for what `given` set."""
        x, valid = self._enter(x, mask)
        check.input(x, least=int(self.norm.of_batch))
        domains = self._given(x, domains, len(self.norms))
        if valid is not None and x.shape[0]:  # a row of padding alone is of no domain: it goes with the first that is
            xp, there = namespace(x), namespace(x).any(valid, axis=tuple(range(1, x.ndim)))
            domains = xp.where(there, domains, domains[int(xp.argmax(xp.astype(there, xp.int8)))])
        positions = count_along(x.shape, tuple(range(2, x.ndim)))
        for domain, (norm, where) in enumerate(zip(self.norms, self._rows(domains), strict=True)):
            if norm.of_batch and where.shape[0] * positions == 1:
                raise ValueError(
                    f"domains holds the domain {domain} once, for x of shape {x.shape}: one value per channel; "
                    "expected at least 2 values per channel of each domain that is there"
                )
        with undone_if_it_raises(self):
            return self._modulate(x, valid, domains)

    def _shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(self.parameter_names, (channels,) if self.shared_affine else (len(self.norms), channels))

    def _standardize(self, x: Array, valid: Array | None, domains: Array) -> tuple[Array, Any]:
        return self._each("forward", domains, x, valid), domains

    def _destandardize(self, dx_hat: Array, domains: Array) -> Array:
        return self._each("backward", domains, dx_hat)

    def _rows(self, domains: Array) -> list[Array]:
        return [namespace(domains).nonzero(domains == domain)[0] for domain in range(len(self.norms))]

    def _each(self, method: str, domains: Array, *values: Array | None) -> Array:
        """What each domain's norm makes of its rows, in the order of all rows."""
        xp, parts = namespace(domains), []
        there = [(norm, where) for norm, where in zip(self.norms, self._rows(domains), strict=True) if where.shape[0]]
        for norm, where in there or [(self.norm, domains)]:  # no rows at all: none of the first domain
            own = (None if each is None else xp.take(each, where, axis=0) for each in values)
            parts.append(getattr(norm, method)(*own))
        order = xp.concat([where for _, where in there]) if there else domains
        return xp.take(xp.concat(parts), xp.argsort(order), axis=0)


_SHARED_ALONG: dict[str, int | None] = {"instance": None, "layer": 1, "batch": 0}  # of (N, C), beside all positions


def _check_kinds(value: Any, name: str) -> tuple[str, ...]:
    kinds = tuple(value) if isinstance(value, tuple | list) else ()
    if not kinds or any(kinds.count(kind) > 1 or kind not in list(_SHARED_ALONG) for kind in kinds):
        raise ValueError(f"{name} is {value!r}; expected some of {tuple(_SHARED_ALONG)}, each once")
    return kinds


class SwitchableNorm(Modulated):
    """Switchable Normalization: mean and variance are mixed from those of instance, layer and batch normalization.

        mean = sum over k of w[k] * mean_k        w = softmax(mean_weight)        k: instance, layer, batch
        var  = sum over k of v[k] * var_k         v = softmax(var_weight)
        y = gamma * (x - mean) / sqrt(var + eps) + beta

    Mean and variance have weights of their own. With all weight on one, the layer is that normalizer. In inference the
    batch's share comes from the running statistics.

    Args:
        num_features: C, the number of channels.
        kinds: which are mixed, some of "instance", "layer" and "batch". Rows without positions, `(N, C)`, have no
            instance statistics: take `("layer", "batch")` for them.
        options: as those of `BatchNorm`, but for `affine`.

    Attributes:
        gamma, beta: scale and shift, `(C,)`; start at 1 and 0.
        mean_weight, var_weight: the logits of the weights, one for each of `kinds`, in their order; start at 0, all
            alike.
        norm: a `BatchNorm`, for its running statistics and its eps.

    Example:
        >>> layer = SwitchableNorm(1, eps=0.0)
        >>> layer.mean_weight = layer.var_weight = np.array([0.0, 0.0, 100.0])  # those of the batch
        >>> layer(np.array([[[1.0, 3.0]], [[10.0, 50.0]]])).round(2)
        array([[[-0.75, -0.65]],
        <BLANKLINE>
               [[-0.3 ,  1.71]]])

    Raises:
        TypeError, ValueError: as `BatchNorm`; also if a mean would be of one value only, or for an unknown kind.

    Source: Luo et al. (2019), "Differentiable Learning-to-Normalize via Switchable Normalization". As there, all three
    are found from those of the instances. Their code takes the unbiased variance of an instance, here it is the biased
    one, as everywhere. Running statistics are `BatchNorm`'s; the paper takes averages over batches after training, for
    which there is `recompute_statistics`.
    """

    parameter_names = ("gamma", "beta", "mean_weight", "var_weight")
    kinds = Setting(_check_kinds)

    def __init__(self, num_features: int, *, kinds: Sequence[str] = tuple(_SHARED_ALONG), **options: Any) -> None:
        super().__init__(num_features, **options)
        self.kinds = kinds
        self._start()

    def forward(self, x: Array, mask: Array | None = None) -> Array:
        """Normalize `x`, `(N, num_features)` or `(N, num_features, *spatial)`. A mask is refused, also that of `given`.

        Samples of unlike lengths would have statistics of unlike certainty, mixed by the same weights.
        """
        x, valid = self._enter(x, mask)
        if valid is not None:
            raise ValueError("mask is given; expected none: it is not said which statistics padding would leave out")
        return self._modulate(x, valid)

    def _shapes(self, channels: int) -> dict[str, tuple[int, ...]]:
        shapes = [(channels,)] * 2 + [(len(self.kinds),)] * 2
        return dict(zip(self.parameter_names, shapes, strict=True))

    def _standardize(self, x: Array, valid: Array | None, given: Any) -> tuple[Array, Any]:
        xp, (n, channels, *spatial) = namespace(x), x.shape
        for kind, values in (("instance", math.prod(spatial)), ("layer", math.prod((channels, *spatial)))):
            if kind in self.kinds and values < 2:
                raise ValueError(
                    f"x has shape {x.shape}: one value per {kind}; expected at least 2, or kinds without {kind!r}"
                )
        self.norm.forward(x)  # for its running statistics, and for what it refuses
        own = Moments.of(xp.reshape(x, (n, channels, math.prod(spatial))), 2)
        stored = None if self.norm.of_batch else (self.norm.running_mean, self.norm.running_var)
        w, v = (_softmax(getattr(self, name)) for name in ("mean_weight", "var_weight"))
        mixture = _mix(self.kinds, (w, v), xp.astype(own.mean, xp.float64), xp.astype(own.var(), xp.float64), stored)
        inv_std = 1 / xp.sqrt(mixture.var + self.norm.eps)
        like = (*inv_std.shape, *(1,) * len(spatial))
        x_hat, _ = standardize_with(xp, x, xp.reshape(mixture.mean, like), xp.reshape(inv_std, like))
        return x_hat, (x_hat, inv_std, mixture)

    def _destandardize(self, dx_hat: Array, kept: Any) -> Array:
        x_hat, inv_std, mixture = kept
        dmean, dvar = -inv_std * per_channel(dx_hat), -(inv_std**2) / 2 * per_channel(dx_hat * x_hat)
        down, dvar_down, of_weights = _mix_backward(dmean, dvar, mixture)
        self._fill(dict(zip(("mean_weight", "var_weight"), of_weights, strict=True)))
        positions = math.prod(x_hat.shape[2:])
        level, slope = down + 2 * dvar_down * (mixture.mean - mixture.own_mean), 2 * dvar_down / inv_std
        dx = at_positions(inv_std, x_hat) * dx_hat + at_positions(level / positions, x_hat)
        return dx + at_positions(slope / positions, x_hat) * x_hat


class _Mixture(NamedTuple):
    """Mean and variance of each channel of each sample, `(N, C)`, mixed from those of some kinds.

    Attributes:
        mean, var: the mixed ones.
        own_mean: those of the instances.
        found: of each kind its name, its mean and its variance, as they broadcast; "stored" for a batch's stored ones.
        weights: those of the means and of the variances.
    """

    mean: Array
    var: Array
    own_mean: Array
    found: list[tuple[str, Array, Array]]
    weights: tuple[Array, Array]


def _mix(kinds: Sequence[str], weights: tuple[Array, Array], own_mean: Array, own_var: Array, stored: Any) -> _Mixture:
    """Mix what follows from the statistics of instances for each kind; for the batch the stored ones, if there are."""
    xp, found = namespace(own_mean), []
    mean = var = xp.zeros_like(own_mean)
    for kind, w, v in zip(kinds, *weights, strict=True):
        if kind == "batch" and stored is not None:
            kind, of_mean, of_var = "stored", *(xp.reshape(each, (1, -1)) for each in stored)
        else:  # of all instances that share it: their variances, and how far their means are apart
            of_mean = _average(own_mean, kind)
            of_var = _average(own_var + (own_mean - of_mean) ** 2, kind)
        mean, var = mean + w * of_mean, var + v * of_var
        found.append((kind, of_mean, of_var))
    return _Mixture(mean, var, own_mean, found, weights)


def _mix_backward(dmean: Array, dvar: Array, mixture: _Mixture) -> tuple[Array, Array, list[Array]]:
    """What comes down to the instances' own means and variances, and the gradients of the weights' logits."""
    xp, (w, v) = namespace(dmean), mixture.weights
    down, dvar_down = xp.zeros_like(mixture.mean), xp.zeros_like(mixture.mean)
    for k, (kind, of_mean, _) in enumerate(mixture.found):
        if kind != "stored":
            share = v[k] * _average(dvar, kind)
            down = down + w[k] * _average(dmean, kind) + 2 * share * (mixture.own_mean - of_mean)
            dvar_down = dvar_down + share
    dw = xp.stack([xp.sum(dmean * (of_mean - mixture.mean)) for _, of_mean, _ in mixture.found])
    dv = xp.stack([xp.sum(dvar * (of_var - mixture.var)) for _, _, of_var in mixture.found])
    return down, dvar_down, [each * (d - xp.sum(each * d)) for each, d in ((w, dw), (v, dv))]


def _average(values: Array, kind: str) -> Array:
    """The mean of an `(N, C)` over all that share a statistic, as it broadcasts against it."""
    axis = _SHARED_ALONG[kind]
    return values if axis is None else namespace(values).mean(values, axis=axis, keepdims=True)


def _softmax(logits: Array) -> Array:
    xp = namespace(logits)
    logits = xp.astype(logits, xp.float64)
    weights = xp.exp(logits - xp.max(logits))
    return weights / xp.sum(weights)


class HistogramPreservingNorm(Layer):
    """Each channel of each scan loses its mean and deviation, and gets them back as two more channels.

        x_hat = (x - mean) / deviation        deviation = sqrt(var + eps), over the positions of a channel of a scan
        y = x_hat, mean and deviation side by side: C channels each, mean and deviation the same at all positions

    An affine map moves and stretches a histogram and keeps its shape: the order of the values, and every ratio of
    differences. So x_hat is the scan without the scale and the offset of its scanner. Where the level itself tells
    something, as in CT, it is not lost: a next layer finds it in the other channels, and `inverse` brings x back.
    `instance_norm` alone throws it away, and `match_histogram` the shape as well.

    There are no parameters and no running statistics; training and inference are the same. Mean and deviation come in
    the units of x, so a `BatchNorm(3 * C)` behind brings all channels to one scale.

    Args:
        eps: added to the variance, in the units of x squared; >= 0.

    Example:
        >>> layer = HistogramPreservingNorm(eps=0.0)
        >>> y = layer(np.array([[[1.0, 3.0, 5.0, 7.0]]]))  # one scan, one channel, four positions
        >>> y.round(2)
        array([[[-1.34, -0.45,  0.45,  1.34],
                [ 4.  ,  4.  ,  4.  ,  4.  ],
                [ 2.24,  2.24,  2.24,  2.24]]])
        >>> layer.inverse(y)
        array([[[1., 3., 5., 7.]]])

    Raises:
        TypeError: not a floating-point array.
        ValueError: no positions, or only one.

    Source: ours; no paper has it under this name. Each channel of a scan by itself is the z-score of medical images,
    and the `instance_norm` of Ulyanov, Vedaldi and Lempitsky (2016), eq. 4. Giving mean and deviation back is this
    book's answer to what that loses.
    """

    eps = Setting(check.eps)

    def __init__(self, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps

    @silent
    def forward(self, x: Array) -> Array:
        """Return `(N, 3 * C, *spatial)` for x of shape `(N, C, *spatial)`."""
        check.input(x, least=0)
        if count_along(x.shape, tuple(range(2, x.ndim))) < 2:
            raise ValueError(f"x has shape {x.shape}; expected (N, C, *spatial) with at least 2 positions")
        xp = namespace(x)
        x_hat, inv_std, axes, moments = standardize_over(xp, x, tuple(range(2, x.ndim)), self.eps)
        mean = xp.reshape(moments.mean, inv_std.shape)
        deviation = xp.sqrt(xp.reshape(moments.var(), inv_std.shape) + self.eps)
        self._keep((x_hat, inv_std, axes, x.dtype))
        planes = (xp.broadcast_to(xp.astype(v, x_hat.dtype), x.shape) for v in (mean, deviation))
        return xp.astype(xp.concat([x_hat, *planes], axis=1), x.dtype, copy=False)

    @silent
    def backward(self, dy: Array) -> Array:
        """dx of the three: through x_hat, sum(dmean) / positions, and x_hat * sum(ddeviation) / positions."""
        x_hat, inv_std, axes, dtype = self._last()
        n, channels, *spatial = x_hat.shape
        check.gradient(dy, x_hat, (n, 3 * channels, *spatial))
        xp, count = namespace(dy), count_along(x_hat.shape, axes)
        dy = xp.astype(dy, x_hat.dtype, copy=False)
        dx_hat, dmean, ddeviation = (dy[:, i * channels : (i + 1) * channels, ...] for i in range(3))
        dmean, ddeviation = (at_positions(per_channel(d) / count, dy) for d in (dmean, ddeviation))
        dx = standardize_backward(dx_hat, x_hat, inv_std, axes) + dmean + x_hat * ddeviation
        self._went_back()
        return xp.astype(dx, dtype, copy=False)

    def inverse(self, y: Array) -> Array:
        """Return x, to rounding, from what `forward` made of it: x_hat * deviation + mean.

        What a network made of the channels of x_hat comes back in the units of the scan.

        Raises:
            TypeError: not a floating-point array.
            ValueError: not `(N, 3 * C, *spatial)`.
        """
        check.input(y, "y", least=0)
        if y.shape[1] % 3:
            raise ValueError(f"y has shape {y.shape}; expected (N, 3 * C, *spatial), as forward returns")
        channels = y.shape[1] // 3
        x_hat, mean, deviation = (y[:, i * channels : (i + 1) * channels, ...] for i in range(3))
        return x_hat * deviation + mean


def match_histogram(x: Array, reference: Array) -> Array:
    """Give the values of one image the histogram of another, keeping their order: y = Q_reference(F_x(x)).

    F_x(v) is the fraction of values of x that are at most v, and Q_reference the value below which that fraction of the
    reference lies, linear between its values. All scans have the same histogram afterwards, so its shape says nothing
    any more about the scan; a lesion that is bright and rare is moved to where the reference has its rarest values.

    It is a step function of the ranks and has no useful gradient: a preparation of data, not a layer.

    Args:
        x: one image of any shape, a NumPy array of floating-point numbers. For a mini-batch,
            `np.stack([match_histogram(scan, reference) for scan in x])`.
        reference: another of any shape.

    Returns:
        y, of the shape and dtype of x. Equal values stay equal.

    Example:
        >>> match_histogram(np.array([[3.0, 1.0], [2.0, 100.0]]), np.array([10.0, 20.0, 30.0, 40.0]))
        array([[30., 10.],
               [20., 40.]])

    Raises:
        TypeError: not NumPy arrays of floating-point numbers.
        ValueError: no values, a NaN or an infinity.

    Source: Gonzalez and Woods (2018), "Digital Image Processing", section 3.3, histogram specification; the quantiles
    are those of skimage.exposure.match_histograms.
    """
    for name, image in (("x", x), ("reference", reference)):
        check.floats(image, name)
        if namespace(image) is not np:
            raise TypeError(f"{name} is an array of {namespace(image).__name__}; expected a NumPy array")
        if not image.size:
            raise ValueError(f"{name} has shape {image.shape}; expected at least one value")
        if not np.isfinite(image).all():
            raise ValueError(f"{name} holds a NaN or an infinity; expected finite numbers")
    values = np.sort(reference, axis=None)
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True))  # of each run of equal values
    at_most = np.searchsorted(np.sort(x, axis=None), x, side="right")
    return np.interp(at_most / x.size, (last + 1) / reference.size, values[last]).astype(x.dtype)
