"""A small transformer and a recurrent layer with any normalizer in them, which the library has no use for.

Tokens come as whole numbers, `(N, T)`. From the embedding on a position of a sequence is a row, `(N * T, D)`, so that
the layers of `bn_lib` for rows are at work: `BatchNorm(D)` takes a mean per feature over sequences and positions,
`LayerNorm(D)` one over the features of each position.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from bn_lib import batch_norm, batch_norm_backward, batch_norm_inference, layer_norm, layer_norm_backward
from bn_lib._arrays import Array
from bn_lib.batchnorm import BatchNorm, LayerNorm, RMSNorm
from bn_lib.layer import Layer
from bn_lib.network import Dense, ReLU, Residual, Sequential, softmax_cross_entropy

#: "SkipInit" is no normalizer but a factor, 0 at first, at the end of each residual branch.
Norm: TypeAlias = Literal["BN", "BN, masked", "LN", "LN over time", "RMS", "DyT", "SkipInit", "none"]
Place: TypeAlias = Literal["pre", "post"]


class Padded:
    """Which positions of the batch that is being computed are valid, for the layers that have to know.

    Attributes:
        valid: `(N, T)`, False where a sequence has ended and is padded.
    """

    valid: Array = np.ones((1, 1), bool)


class Embedding(Layer):
    """A vector for each token plus one for each position: tokens `(N, T)` to rows `(N * T, D)`.

    Args:
        tokens: how many there are.
        positions: the longest T.
        width: D.
        rng: of both tables, normal with standard deviation 0.5.
        dtype: of both.
    """

    parameter_names = ("token", "position")

    def __init__(self, tokens: int, positions: int, width: int, *, rng: np.random.Generator, dtype: Any) -> None:
        super().__init__()
        self.token = rng.normal(0, 0.5, (tokens, width)).astype(dtype)
        self.position = rng.normal(0, 0.5, (positions, width)).astype(dtype)

    def forward(self, x: Array) -> Array:
        """Return the rows of tokens `(N, T)`."""
        self._keep(x)
        return (self.token[x] + self.position[: x.shape[1]]).reshape(x.size, -1)

    def backward(self, dy: Array) -> Array:
        """Sum the gradient of each row where its token and its position stand. Tokens have none: return zeros."""
        x = self._last()
        dtoken, dposition = np.zeros_like(self.token), np.zeros_like(self.position)
        np.add.at(dtoken, x.ravel(), dy)
        dposition[: x.shape[1]] = dy.reshape(*x.shape, -1).sum(axis=0)
        self.grads = {"token": dtoken, "position": dposition}
        self._went_back()
        return np.zeros(x.shape, dy.dtype)


class Attention(Layer):
    """Attention with one head: each position takes a weighted mean of what the valid ones, or those up to it, offer.

        a = softmax(q k^T / sqrt(D)),  y = (a v) w_o    with q = x w_q, k = x w_k, v = x w_v, for each sequence

    Args:
        width: D, of rows `(N * T, D)`.
        padded: which of them are valid.
        causal: whether a position sees only itself and those before it.
        rng: of the weights, normal with standard deviation 1 / sqrt(D).
        dtype: of the weights.

    Source: Vaswani et al. (2017), eq. 1.
    """

    parameter_names = ("w_q", "w_k", "w_v", "w_o")

    def __init__(self, width: int, padded: Padded, *, causal: bool, rng: np.random.Generator, dtype: Any) -> None:
        super().__init__()
        self.padded, self.causal = padded, causal
        self.w_q, self.w_k, self.w_v, self.w_o = rng.normal(0, width**-0.5, (4, width, width)).astype(dtype)

    def forward(self, x: Array) -> Array:
        """Return the rows' answers."""
        valid = self.padded.valid
        each = x.reshape(*valid.shape, -1)
        q, k, v = each @ self.w_q, each @ self.w_k, each @ self.w_v
        seen = np.broadcast_to(valid[:, None, :], (*valid.shape, valid.shape[1]))
        if self.causal:
            seen = seen & np.tri(valid.shape[1], dtype=bool)
        scores = np.where(seen, q @ k.transpose(0, 2, 1) * x.shape[1] ** -0.5, -np.inf)
        a = np.exp(scores - scores.max(axis=-1, keepdims=True))
        a /= a.sum(axis=-1, keepdims=True)
        mixed = a @ v
        self._keep((each, q, k, v, a, mixed))
        return (mixed @ self.w_o).reshape(x.shape)

    def backward(self, dy: Array) -> Array:
        """Through the weighted mean, the softmax (da - sum(da * a)) * a, and the products."""
        x, q, k, v, a, mixed = self._last()
        dy = dy.reshape(x.shape)
        dmixed = dy @ self.w_o.T
        da = dmixed @ v.transpose(0, 2, 1)
        dscores = a * (da - (da * a).sum(axis=-1, keepdims=True)) * x.shape[2] ** -0.5
        dq, dk, dv = dscores @ k, dscores.transpose(0, 2, 1) @ q, a.transpose(0, 2, 1) @ dmixed
        rows = x.reshape(-1, x.shape[2])
        products = {"w_q": (rows, dq), "w_k": (rows, dk), "w_v": (rows, dv), "w_o": (mixed.reshape(rows.shape), dy)}
        self.grads = {name: left.T @ right.reshape(rows.shape) for name, (left, right) in products.items()}
        self._went_back()
        return (dq @ self.w_q.T + dk @ self.w_k.T + dv @ self.w_v.T).reshape(rows.shape)


class MaskedBatchNorm(BatchNorm):
    """Batch Normalization of the valid rows only, in training and in use; the others become 0."""

    def __init__(self, width: int, padded: Padded, **options: Any) -> None:
        super().__init__(width, **options)
        self.padded = padded

    def forward(self, x: Array, mask: Array | None = None) -> Array:
        """Normalize the valid rows with their own mean and variance."""
        return super().forward(x, self.padded.valid.ravel() if mask is None else mask)


class LayerNormOverTime(LayerNorm):
    """A mean over the features *and positions* of a sequence, as Layer Normalization has it for images."""

    def __init__(self, width: int, padded: Padded, **options: Any) -> None:
        super().__init__(width, channel_axis=1, **options)
        self.padded = padded

    def _turned(self, rows: Array) -> Array:
        return rows.reshape(*self.padded.valid.shape, -1).transpose(0, 2, 1)

    def _back(self, turned: Array) -> Array:
        return turned.transpose(0, 2, 1).reshape(-1, turned.shape[1])

    def forward(self, x: Array) -> Array:
        """Normalize each sequence."""
        return self._back(super().forward(self._turned(x)))

    def backward(self, dy: Array) -> Array:
        """As for images `(N, D, T)`."""
        return self._back(super().backward(self._turned(dy)))


class DynamicTanh(Layer):
    """y = gamma * tanh(alpha * x) + beta: squashes as a normalizer does, and no value shares anything with another.

    Args:
        width: D, of rows `(N, D)`.
        alpha: one trained number, and where it starts.
        dtype: of the parameters.

    Source: Zhu et al. (2025); alpha starts at 0.5 as there.
    """

    parameter_names = ("alpha", "gamma", "beta")

    def __init__(self, width: int, alpha: float = 0.5, *, dtype: Any) -> None:
        super().__init__()
        self.alpha = np.full(1, alpha, dtype)
        self.gamma, self.beta = np.ones(width, dtype), np.zeros(width, dtype)

    def forward(self, x: Array) -> Array:
        """Return y."""
        squashed = np.tanh(self.alpha * x)
        self._keep((x, squashed))
        return self.gamma * squashed + self.beta

    def backward(self, dy: Array) -> Array:
        """tanh' = 1 - tanh^2."""
        x, squashed = self._last()
        inside = dy * self.gamma * (1 - squashed**2)
        self.grads = {
            "alpha": (inside * x).sum(keepdims=True).ravel(),
            "gamma": (dy * squashed).sum(axis=0),
            "beta": dy.sum(axis=0),
        }
        self._went_back()
        return inside * self.alpha


class Factor(Layer):
    """y = factor * x with a trained number that starts at 0. Source: De and Smith (2020), SkipInit."""

    parameter_names = ("factor",)

    def __init__(self, *, dtype: Any) -> None:
        super().__init__()
        self.factor = np.zeros(1, dtype)

    def forward(self, x: Array) -> Array:
        """Return y."""
        self._keep(x)
        return self.factor * x

    def backward(self, dy: Array) -> Array:
        """Return factor * dy."""
        self.grads = {"factor": (dy * self._last()).sum(keepdims=True).ravel()}
        self._went_back()
        return self.factor * dy


class Transformer(Sequential):
    """Tokens in, scores out: an embedding, blocks of attention and of two dense layers, and a last dense layer.

        pre:   h + F(norm(h)) twice a block, and a norm before the last layer
        post:  norm(h + F(h)) twice a block

    Every weight is drawn with standard deviation 1 / sqrt(inputs).

    Args:
        norm: the normalizer, or what stands in its place.
        place: of the normalizers.
        depth: blocks.
        width: D; the inner layer of a block is four times as wide.
        tokens: how many there are.
        outputs: scores for each position.
        positions: the longest sequence.
        causal: whether a position sees only itself and those before it.
        seed: of all weights.
        dtype: of all of it.

    Attributes:
        padded: which positions are valid; set it before `forward`, or call `scores`.

    Source: Vaswani et al. (2017) with one head; Xiong et al. (2020), table 1, for both places.
    """

    def __init__(
        self,
        norm: Norm,
        place: Place = "pre",
        *,
        depth: int = 1,
        width: int = 24,
        tokens: int,
        outputs: int,
        positions: int,
        causal: bool = True,
        seed: int = 0,
        dtype: Any = np.float32,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.padded = Padded()
        inner = 4 * width

        def normalizer() -> list[Layer]:
            makes: dict[Norm, Callable[[], Layer]] = {
                "BN": lambda: BatchNorm(width, dtype=dtype),
                "BN, masked": lambda: MaskedBatchNorm(width, self.padded, dtype=dtype),
                "LN": lambda: LayerNorm(width, dtype=dtype),
                "LN over time": lambda: LayerNormOverTime(width, self.padded, dtype=dtype),
                "RMS": lambda: RMSNorm(width, dtype=dtype),
                "DyT": lambda: DynamicTanh(width, dtype=dtype),
            }
            return [makes[norm]()] if norm in makes else []

        def around(*layers: Layer) -> list[Layer]:
            last = [Factor(dtype=dtype)] if norm == "SkipInit" else []
            if place == "pre":
                return [Residual(*normalizer(), *layers, *last)]
            return [Residual(*layers, *last), *normalizer()]

        def dense(inputs: int, outputs: int) -> Dense:
            return Dense(inputs, outputs, rng=rng, init=inputs**-0.5, dtype=dtype)

        layers: list[Layer] = [Embedding(tokens, positions, width, rng=rng, dtype=dtype)]
        for _ in range(depth):
            layers += around(Attention(width, self.padded, causal=causal, rng=rng, dtype=dtype))
            layers += around(dense(width, inner), ReLU(), dense(inner, width))
        super().__init__(*layers, *(normalizer() if place == "pre" else ()), dense(width, outputs))

    def scores(self, tokens: Array, valid: Array | None = None) -> Array:
        """Scores `(N, T, outputs)` of tokens `(N, T)`, all of them valid unless said otherwise."""
        self.padded.valid = np.ones(tokens.shape, bool) if valid is None else valid
        return self.forward(tokens).reshape(*tokens.shape, -1)

    def loss_and_gradients(self, tokens: Array, targets: Array, valid: Array | None = None) -> float:
        """The mean cross-entropy over the valid positions; every layer's `grads` are set."""
        scores = self.scores(tokens, valid)
        counted = self.padded.valid
        loss, dcounted = softmax_cross_entropy(scores[counted], targets[counted])
        dscores = np.zeros_like(scores)
        dscores[counted] = dcounted
        self.fill_grads(dscores.reshape(-1, scores.shape[-1]))
        return loss


class _Step(NamedTuple):
    """What a step of the recurrent layer keeps: the state before it, its cache, and the state after it."""

    before: Array
    cache: Any
    after: Array


class Recurrent(Layer):
    """h_t = tanh(norm(x_t w + h_{t-1} u)): x `(N, T, inputs)` to the last h, `(N, units)`, from h_0 = 0.

    With BN each step of a sequence is normalized with the statistics of that step over the batch. Two sets of running
    statistics are kept, which training never uses: one per step, and one shared by all steps, as a single layer that is
    called T times would keep it.

    Args:
        norm: "BN", "LN" or "none", which has a bias.
        inputs: features of each step.
        units: of the state.
        steps: T.
        rng: of the weights, normal with standard deviation 1 / sqrt(inputs).
        dtype: of all arrays.

    Attributes:
        shared: whether inference uses the one set that all steps share.
        mean_per_step, var_per_step: running statistics, `(T, units)`; momentum 0.1 as in torch.
        mean_shared, var_shared: the same for all steps, `(units,)`.

    Source: Elman's network; Cooijmans et al. (2017) for statistics per step.
    """

    parameter_names = ("w", "u", "gamma", "beta")
    buffer_names = ("mean_per_step", "var_per_step", "mean_shared", "var_shared")

    def __init__(
        self, norm: Norm, inputs: int, units: int, steps: int, *, rng: np.random.Generator, dtype: Any = np.float32
    ) -> None:
        super().__init__()
        self.norm, self.shared = norm, False
        self.w = rng.normal(0, inputs**-0.5, (inputs, units)).astype(dtype)
        self.u = rng.normal(0, units**-0.5, (units, units)).astype(dtype)
        self.gamma, self.beta = np.ones(units, dtype), np.zeros(units, dtype)
        self.mean_per_step, self.var_per_step = np.zeros((steps, units), dtype), np.ones((steps, units), dtype)
        self.mean_shared, self.var_shared = np.zeros(units, dtype), np.ones(units, dtype)

    def forward(self, x: Array) -> Array:
        """Return the last state."""
        h = np.zeros((len(x), len(self.gamma)), x.dtype)
        kept = []
        for t in range(x.shape[1]):
            before = h
            y, cache = self._normalize(x[:, t] @ self.w + h @ self.u, t)
            h = np.tanh(y)
            kept.append(_Step(before, cache, h))
        self._keep((x, kept))
        return h

    def _normalize(self, a: Array, t: int) -> tuple[Array, Any]:
        if self.norm == "none":
            return a + self.beta, None
        if self.norm == "LN":
            return layer_norm(a, self.gamma, self.beta)
        if not self.training:
            mean, var = (
                (self.mean_shared, self.var_shared) if self.shared else (self.mean_per_step[t], self.var_per_step[t])
            )
            return batch_norm_inference(a, self.gamma, self.beta, mean, var), None
        mean, var = a.mean(axis=0), a.var(axis=0, ddof=1)
        for held, seen in (("mean_per_step", mean), ("var_per_step", var)):
            running = getattr(self, held).copy()
            running[t] = 0.9 * running[t] + 0.1 * seen
            setattr(self, held, running)
        self.mean_shared, self.var_shared = 0.9 * self.mean_shared + 0.1 * mean, 0.9 * self.var_shared + 0.1 * var
        return batch_norm(a, self.gamma, self.beta)

    def backward(self, dy: Array) -> Array:
        """Back through the steps, last to first, and the sum of what each adds to the gradients."""
        x, kept = self._last()
        grads = {name: np.zeros_like(getattr(self, name)) for name in self.parameter_names}
        dx, dh = np.zeros_like(x), dy
        for t, (before, cache, after) in reversed(list(enumerate(kept))):
            da = dh * (1 - after**2)
            if self.norm == "none":
                grads["beta"] += da.sum(axis=0)
            else:
                back = layer_norm_backward if self.norm == "LN" else batch_norm_backward
                da, dgamma, dbeta = back(da, cache)
                grads["gamma"] += dgamma
                grads["beta"] += dbeta
            grads["w"] += x[:, t].T @ da
            grads["u"] += before.T @ da
            dx[:, t], dh = da @ self.w.T, da @ self.u.T
        self.grads = grads
        self._went_back()
        return dx
