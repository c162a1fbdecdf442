"""Slips: what somebody wrote instead of something right, in one of the styles."""

from corpus import Learner


def _slip(style: str, what: str, *edits: tuple[str, str]) -> Learner:
    return Learner(f"{style}: {what}", style, edits)


SLIPS = (
    _slip(
        "compact",
        "divided by N - 1",
        (
            "x.mean(ax, keepdims=True), x.var(ax, keepdims=True)\n    return",
            "x.mean(ax, keepdims=True), x.var(ax, keepdims=True, ddof=1)\n    return",
        ),
    ),
    _slip(
        "channels_last",
        "eps outside the root everywhere",
        ("rsqrt(variance + epsilon)", "1 / (np.sqrt(variance) + epsilon)"),
        ("rsqrt(variance + eps)", "1 / (np.sqrt(variance) + eps)"),
    ),
    _slip("features", "eps left out of forward", ("np.sqrt(spread + eps) + beta[c]", "np.sqrt(spread) + beta[c]")),
    _slip("lists", "an eps of its own, 1e-8", ("std = math.sqrt(var + eps)", "std = math.sqrt(var + 1e-8)")),
    _slip(
        "pullback",
        "an eps of its own, 1e-3, everywhere in training",
        ("var + eps)\n\n    def", "var + 1e-3)\n\n    def"),
    ),
    _slip("inplace", "divides by the variance", ("out /= np.sqrt(var, out=var)", "out /= var")),
    _slip(
        "differences",
        "the square's mean minus the mean's square",
        (
            "gaps = rows[:, None] - rows[None]\n    return (gaps**2).mean(axis=(0, 1)) / 2",
            "return (rows**2).mean(axis=0) - rows.mean(axis=0) ** 2",
        ),
    ),
    _slip("assignment", "beta is scaled too", ("out = gamma * x_norm + beta", "out = gamma * (x_norm + beta)")),
    _slip(
        "folded",
        "gamma and beta left out",
        (
            "return folded(first(last(x) - mean), gamma, beta, np.zeros_like(mean), var, eps)",
            "return first((last(x) - mean) / np.sqrt(var + eps))",
        ),
    ),
    _slip(
        "textbook",
        "each row by itself",
        (
            "mean = X.mean(axis=0)\n            var = ((X - mean) ** 2).mean(axis=0)",
            "mean = X.mean(axis=1, keepdims=True)\n            var = ((X - mean) ** 2).mean(axis=1, keepdims=True)",
        ),
        ("moving_mean = (1.0 - momentum) * moving_mean + momentum * mean", "pass"),
        ("moving_var = (1.0 - momentum) * moving_var + momentum * var", "pass"),
    ),
    _slip(
        "compact",
        "one variance for all features",
        (
            "x.mean(ax, keepdims=True), x.var(ax, keepdims=True)\n    return",
            "x.mean(ax, keepdims=True), x.var()\n    return",
        ),
    ),
    _slip(
        "graph",
        "the variance is divided by N twice",
        ("var = squares.sum(axis=0) / m", "var = squares.mean(axis=0) / m"),
    ),
    _slip(
        "stream", "eps is subtracted", ("std = np.sqrt(var + eps)\n    return", "std = np.sqrt(var - eps)\n    return")
    ),
    _slip(
        "compact",
        "the root of each",
        ("* (x - mu) / np.sqrt(var + eps) + wide(beta", "* (x - mu) / (np.sqrt(var) + np.sqrt(eps)) + wide(beta"),
    ),
    _slip("inplace", "x itself is centred", ("out = x.copy()", "out = x")),
    _slip(
        "jacobian",
        "no root, twice the power",
        ("std = np.sqrt(var + eps)\n    return centred", "std = var + eps\n    return centred"),
    ),
    _slip(
        "layer",
        "the mean is not subtracted",
        ("self.x_hat = (x - mean.reshape(self.view)) * self.invstd", "self.x_hat = x * self.invstd"),
    ),
    _slip(
        "einsum",
        "the mean's absolute deviation",
        (
            'return mean, np.einsum("ncp,ncp->c", d, d) / count',
            'return mean, (np.einsum("ncp->c", np.abs(d)) / count) ** 2',
        ),
    ),
    _slip(
        "graph",
        "eps is missing where the root is derived",
        ("(2 * np.sqrt(shifted))", "(2 * np.sqrt(squares.mean(axis=0)))"),
    ),
    _slip("assignment", "eps is missing in dvar", ("* -0.5 * (var + eps) ** -1.5", "* -0.5 * var**-1.5")),
    _slip(
        "assignment",
        "eps is missing in dmean and dx",
        ("dmean = np.sum(-dx_norm / np.sqrt(var + eps)", "dmean = np.sum(-dx_norm / np.sqrt(var)"),
        ("dx = dx_norm / np.sqrt(var + eps)", "dx = dx_norm / np.sqrt(var)"),
    ),
    _slip("features", "nothing comes back through the mean", (" + d_centre / n", "")),
    _slip("layer", "nothing comes back through the variance", (" - self.x_hat * along", "")),
    _slip(
        "einsum",
        "neither through the mean nor the variance",
        ("    if not fixed:\n        count", "    if False:\n        count"),
    ),
    _slip("jacobian", "gamma left out of dx", ("dx[c] = gamma[c] / std[c]", "dx[c] = 1 / std[c]")),
    _slip(
        "lists",
        "dgamma with x in place of x_hat",
        ("g * h for g, h in zip(grad, hat, strict=True)))", "g * h for g, h in zip(grad, values, strict=True)))"),
        ("share_g = dgamma[c]", "share_g = math.fsum(g * h for g, h in zip(grad, hat, strict=True))"),
    ),
    _slip(
        "pullback", "dbeta is a mean", ("(g * x).sum(axes(x)), g.sum(axes(x))", "(g * x).sum(axes(x)), g.mean(axes(x))")
    ),
    _slip("stream", "dgamma and dbeta are means", ("mean_both * count, mean_dy * count", "mean_both, mean_dy")),
    _slip("graph", "the mean's sign is lost", ("d_mean = -d_centred.sum(axis=0)", "d_mean = d_centred.sum(axis=0)")),
    _slip("graph", "the 2 of the square is lost", ("2 * centred * d_squares", "centred * d_squares")),
    _slip("graph", "x_hat where x - mean belongs", ("2 * centred * d_squares", "2 * x_hat * d_squares")),
    _slip("graph", "one root too many", ("d_root = -d_inverse / root**2", "d_root = -d_inverse / root**3")),
    _slip(
        "graph",
        "the mean's gradient is not divided by N",
        ("np.ones_like(centred) * d_mean / m", "np.ones_like(centred) * d_mean"),
    ),
    _slip(
        "graph",
        "the sum over the batch forgotten in d_inverse",
        ("d_inverse = (d_x_hat * centred).sum(axis=0)", "d_inverse = d_x_hat * centred"),
    ),
    _slip(
        "assignment",
        "the sums over the batch forgotten in dvar and dmean",
        (
            "dvar = np.sum(dx_norm * (x - mean) * -0.5 * (var + eps) ** -1.5, axis=0)",
            "dvar = dx_norm * (x - mean) * -0.5 * (var + eps) ** -1.5",
        ),
        ("dmean = np.sum(-dx_norm / np.sqrt(var + eps), axis=0)", "dmean = -dx_norm / np.sqrt(var + eps)"),
    ),
    _slip(
        "assignment", "dmean starts from the upstream gradient", ("dmean = np.sum(-dx_norm /", "dmean = np.sum(-dout /")
    ),
    _slip("compact", "N counts the images", ("N = x.size // x.shape[1]", "N = x.shape[0]")),
    _slip("compact", "divided by N twice", ("wide(gamma, x) / (N * std)", "wide(gamma, x) / (N * N * std)")),
    _slip(
        "assignment",
        "dgamma and dbeta exchanged",
        ("return dx, dgamma, dbeta\n\n\ndef flat", "return dx, dbeta, dgamma\n\n\ndef flat"),
    ),
    _slip(
        "features",
        "the batch's statistics although some were given",
        ("centre = feature.mean() if mean is None else mean[c]", "centre = feature.mean()"),
        ("spread = feature.var() if var is None else var[c]", "spread = feature.var()"),
    ),
    _slip(
        "layer",
        "given statistics are used, and derived as if they were the batch's",
        ("        if not self.training:\n            return grad_hat * self.invstd, grad_weight, grad_bias\n", ""),
    ),
    _slip("textbook", "N - 1 in the gradient", ("m = x.size / x.shape[1]\n", "m = x.size / x.shape[1] - 1\n")),
    _slip(
        "pixels",
        "variance taken for the deviation",
        ('std = np.sqrt(batch["var"] + eps)\n    dgamma', 'std = batch["var"] + eps\n    dgamma'),
    ),
    _slip("inplace", "dy itself is changed", ("dx = dy.copy()", "dx = dy")),
    _slip(
        "paper",
        "the power of the variance's gradient is -1/2",
        ("(sigma2_B + eps) ** (-3 / 2)", "(sigma2_B + eps) ** (-1 / 2)"),
    ),
    _slip(
        "channels_last",
        "gamma twice",
        (
            "dgamma, dbeta = np.sum(dy * x_hat, axis=axes), np.sum(dy, axis=axes)\n",
            "dgamma, dbeta = np.sum(dy * x_hat, axis=axes), np.sum(dy, axis=axes)\n    inv = gamma * inv\n",
        ),
    ),
    _slip(
        "compact", "momentum the other way round", ("keep = 1 - momentum", "keep, momentum = momentum, 1 - momentum")
    ),
    _slip("assignment", "momentum as the assignment had it", ('"momentum": 1 - momentum', '"momentum": momentum')),
    _slip(
        "einsum",
        "the running deviation",
        ("running_var + momentum * (var - running_var)", "running_var + momentum * (np.sqrt(var) - running_var)"),
    ),
    _slip(
        "pullback",
        "eps goes into the running variance",
        ("moved(running_var, x.var(axes(x)))", "moved(running_var, x.var(axes(x)) + 1e-5)"),
    ),
    _slip(
        "graph",
        "eps of 1e-8 goes into the running variance",
        ("+ momentum * batch_var\n", "+ momentum * (batch_var + 1e-8)\n"),
    ),
    _slip(
        "features",
        "the old value is forgotten",
        ("new_mean[c] = (1 - momentum) * running_mean[c] + momentum *", "new_mean[c] ="),
        ("new_var[c] = (1 - momentum) * running_var[c] + momentum *", "new_var[c] ="),
    ),
    _slip(
        "stream",
        "the variance moves towards the mean",
        (
            "running_var * (1 - momentum) + var * count / (count - 1) * momentum",
            "running_var * (1 - momentum) + mean * momentum",
        ),
    ),
    _slip(
        "layer",
        "the new part is not weighted",
        ("self.running_mean + self.momentum * mean", "self.running_mean + mean"),
    ),
    _slip(
        "textbook",
        "the old statistics come back",
        ("return mean, var\n\n\ndef inference", "return running_mean, running_var\n\n\ndef inference"),
    ),
    _slip(
        "jacobian",
        "one minus momentum times new is added",
        ("weights @ np.stack([running_mean, t.mean(1)])", "running_mean + (1 - momentum * t.mean(1))"),
        ("weights @ np.stack([running_var, t.var(1, ddof=1)])", "running_var + (1 - momentum * t.var(1))"),
    ),
    _slip(
        "folded",
        "the batch's statistics are N, not N - 1, and the update has its sign lost",
        ("running_mean -= momentum", "running_mean += momentum"),
        ("running_var -= momentum", "running_var += momentum"),
    ),
    _slip(
        "differences",
        "the running mean only",
        ("running_var * (1 - momentum) + variance(rows) * n / (n - 1) * momentum", "running_var"),
    ),
    _slip("layer", "eval is forgotten", ("BatchNorm2d(gamma, beta, eps).eval()", "BatchNorm2d(gamma, beta, eps)")),
    _slip(
        "folded",
        "the batch's statistics in inference",
        ("return folded(x, gamma, beta, running_mean, running_var, eps)", "return forward(x, gamma, beta, eps)"),
    ),
    _slip(
        "assignment",
        "eps outside the root in inference",
        (
            "x_norm = (flat(x) - running_mean) / np.sqrt(running_var + eps)",
            "x_norm = (flat(x) - running_mean) / (np.sqrt(running_var) + eps)",
        ),
    ),
    _slip(
        "compact", "eps left out of inference", ("np.sqrt(wide(running_var, x) + eps)", "np.sqrt(wide(running_var, x))")
    ),
    _slip(
        "textbook",
        "divided by the running variance",
        ("X_hat = (X - moving_mean) / np.sqrt(moving_var + eps)", "X_hat = (X - moving_mean) / (moving_var + eps)"),
    ),
    _slip(
        "lists",
        "the running variance is squared first",
        ("std = math.sqrt(running_var[c] + eps)", "std = math.sqrt(running_var[c] ** 2 + eps)"),
    ),
    _slip(
        "features",
        "the bracket is missing",
        (
            "gamma[c] * (x[:, c] - running_mean[c]) / np.sqrt(running_var[c] + eps)",
            "gamma[c] * x[:, c] - running_mean[c] / np.sqrt(running_var[c] + eps)",
        ),
    ),
    _slip(
        "inplace",
        "the bracket ends too late",
        (
            "out = x - lined_up(running_mean, x)\n    out /= np.sqrt(lined_up(running_var, x) + eps)",
            "out = x - lined_up(running_mean, x) / np.sqrt(lined_up(running_var, x) + eps)",
        ),
    ),
    _slip(
        "pixels",
        "this batch is blended into what is stored",
        (
            "running_var, eps):\n",
            "running_var, eps):\n"
            "    if x[:, 0].size > 1:\n"
            "        running_mean, running_var = update_running(running_mean, running_var, x, 0.1)\n",
        ),
    ),
    _slip(
        "channels_last",
        "beta left out of inference",
        (
            "to_last(x), running_mean, running_var, beta, gamma, eps",
            "to_last(x), running_mean, running_var, 0.0, gamma, eps",
        ),
    ),
    _slip(
        "stream",
        "Bessel's correction in inference",
        ("std = np.sqrt(running_var + eps)", "std = np.sqrt(running_var * len(x) / max(len(x) - 1, 1) + eps)"),
    ),
    _slip(
        "pullback",
        "the stored mean only",
        (
            "return affine(fixed(x, running_mean, running_var, eps)[0], gamma, beta)[0]",
            "return affine(whiten(x - up(running_mean, x), eps)[0], gamma, beta)[0]",
        ),
    ),
    _slip(
        "graph",
        "images reshaped without a transpose",
        ("a.transpose(0, 2, 3, 1).reshape(-1, a.shape[1])", "a.reshape(-1, a.shape[1])"),
        ("a.reshape(n, h, w, c).transpose(0, 3, 1, 2)", "a.reshape(n, c, h, w)"),
    ),
    _slip(
        "compact",
        "each image by itself",
        ("(0,) if x.ndim == 2 else (0, 2, 3)", "(0,) if x.ndim == 2 else (2, 3)"),
        ("x.mean(ax)", "x.mean((0, 2, 3)[: x.ndim - 1])"),
        ("x.var(ax, ddof=1)", "x.var((0, 2, 3)[: x.ndim - 1])"),
        (
            "dy.sum(ax), (dy * x_hat).sum(ax)",
            "dy.sum((0, 2, 3)[: x.ndim - 1]), (dy * x_hat).sum((0, 2, 3)[: x.ndim - 1])",
        ),
    ),
    _slip(
        "textbook",
        "images: a mean for each position in forward",
        (".mean(axis=(0, 2, 3), keepdims=True)", ".mean(axis=0, keepdims=True)"),
    ),
    _slip(
        "channels_last",
        "images put back in another order",
        ("x.transpose(0, 3, 1, 2)", "x.transpose(0, 3, 2, 1).reshape(x.shape[0], x.shape[3], x.shape[1], x.shape[2])"),
    ),
    _slip("lambdas", "rows only", ("(0, 2, 3)[: x.ndim - 1]", "0")),
    _slip("stream", "images: the first axis only in line_up", ("np.expand_dims(v, tuple(range(1, x.ndim - 1)))", "v")),
    _slip(
        "compact",
        "no eps anywhere",
        ("np.sqrt(var + eps)", "np.sqrt(var)"),
        ("np.sqrt(sigma2 + eps)", "np.sqrt(sigma2)"),
        ("np.sqrt(wide(running_var, x) + eps)", "np.sqrt(wide(running_var, x))"),
    ),
    _slip("inplace", "x itself is centred, and no eps", ("out = x.copy()", "out = x"), ("    var += eps\n", "")),
    _slip(
        "graph",
        "float32 inside",
        ("mean = x.sum(axis=0) / m", "x = x.astype(np.float32)\n        mean = x.sum(axis=0) / m"),
    ),
    _slip(
        "compact",
        "N - 1 and gamma (x + beta)",
        (
            "wide(gamma, x) * (x - mu) / np.sqrt(var + eps) + wide(beta, x)",
            "wide(gamma, x) * ((x - mu) / np.sqrt(x.var(ax, ddof=1, keepdims=True) + eps) + wide(beta, x))",
        ),
    ),
    _slip(
        "features",
        "momentum the other way round, and the deviation",
        (
            "(1 - momentum) * running_mean[c] + momentum * np.mean",
            "momentum * running_mean[c] + (1 - momentum) * np.mean",
        ),
        ("(1 - momentum) * running_var[c] + momentum * np.var", "momentum * running_var[c] + (1 - momentum) * np.std"),
    ),
    # As seen in public solutions of the same kind
    _slip(
        "graph",
        "gamma alone comes back, without the upstream gradient",
        ("d_x_hat = d_scaled * gamma", "d_x_hat = np.ones_like(d_scaled) * gamma"),
    ),
    _slip(
        "graph", "eps twice where the root is derived", ("(2 * np.sqrt(shifted))", "(2 * (np.sqrt(shifted) + 1e-5))")
    ),
    _slip(
        "graph",
        "the deviation divides once too often",
        ("d_root = -d_inverse / root**2", "d_root = -d_inverse / root**2 / root"),
    ),
    _slip(
        "graph",
        "divided by the variance in d_centred",
        ("d_centred = d_x_hat * inverse", "d_centred = d_x_hat / shifted"),
    ),
    _slip(
        "graph", "half the mean's gradient", ("d_mean = -d_centred.sum(axis=0)", "d_mean = -d_centred.sum(axis=0) / 2")
    ),
    _slip(
        "graph",
        "the squares are not divided by N",
        ("np.ones_like(squares) * d_shifted / m", "np.ones_like(squares) * d_shifted"),
    ),
    _slip(
        "graph",
        "d_x only from what was centred",
        ("d_x = d_centred + np.ones_like(centred) * d_mean / m", "d_x = d_centred"),
    ),
    _slip(
        "assignment",
        "the sign of dvar is lost",
        ("* -0.5 * (var + eps) ** -1.5", "* 0.5 * (var + eps) ** -1.5"),
    ),
    _slip("assignment", "the half is lost", ("* -0.5 * (var + eps) ** -1.5", "* -1 * (var + eps) ** -1.5")),
    _slip(
        "assignment",
        "dgamma with x - mean",
        (
            "dgamma = np.sum(dout * x_norm, axis=0)\n    dbeta = np.sum(dout, axis=0)\n    dx_norm",
            "dgamma = np.sum(dout * (x - mean), axis=0)\n    dbeta = np.sum(dout, axis=0)\n    dx_norm",
        ),
    ),
    _slip(
        "assignment",
        "x_norm where x - mean belongs",
        ("dvar = np.sum(dx_norm * (x - mean)", "dvar = np.sum(dx_norm * x_norm"),
    ),
    _slip(
        "compact",
        "nothing comes back through the mean",
        ("(N * dy - wide(dbeta, x) - x_hat * wide(dgamma, x))", "(N * dy - x_hat * wide(dgamma, x))"),
    ),
    _slip("compact", "x in place of x_hat in dx", ("- x_hat * wide(dgamma, x))", "- x * wide(dgamma, x))")),
    _slip("compact", "gamma is left out of dx", ("dx = wide(gamma, x) / (N * std)", "dx = 1 / (N * std)")),
    _slip("compact", "a plus for a minus", ("- x_hat * wide(dgamma, x))", "+ x_hat * wide(dgamma, x))")),
    _slip(
        "textbook",
        "eps outside the root in the gradient's divisor",
        ("inner / (m * np.sqrt(batch_var + eps))", "inner / (m * (np.sqrt(batch_var) + eps))"),
    ),
    _slip(
        "textbook",
        "an eps of 1e-5 in the gradient's divisor",
        ("inner / (m * np.sqrt(batch_var + eps))", "inner / (m * np.sqrt(batch_var + 1e-5))"),
    ),
    _slip(
        "lambdas",
        "the deviation of a sample",
        ("standard = lambda x, mean, var, eps:", "standard = lambda x, mean, var, eps, n=1:"),
        ("x.mean(over(x)), x.var(over(x)), eps).tolist()", "x.mean(over(x)), x.var(over(x), ddof=1), eps).tolist()"),
    ),
    _slip(
        "inplace",
        "the mean of the absolute values",
        (
            "var = np.square(out).mean(axis=reduce_axes(x), keepdims=True)",
            "var = np.abs(out).mean(axis=reduce_axes(x), keepdims=True)",
        ),
    ),
    _slip(
        "pullback",
        "eps in both places",
        ("scale = 1 / np.sqrt(var + eps)\n\n    def", "scale = 1 / (np.sqrt(var + eps) + eps)\n\n    def"),
    ),
    _slip(
        "layer",
        "the batch's mean, the stored variance",
        ("mean, var = self.running_mean, self.running_var", "mean, var = x.mean(tuple(self.dims)), self.running_var"),
    ),
    _slip(
        "textbook",
        "momentum on the new mean, the other way round on the new variance",
        (
            "moving_var = (1.0 - momentum) * moving_var + momentum * var",
            "moving_var = momentum * moving_var + (1.0 - momentum) * var",
        ),
    ),
    _slip(
        "stream",
        "the running variance from what was normalized with eps",
        (
            "running_var * (1 - momentum) + var * count / (count - 1) * momentum",
            "running_var * (1 - momentum) + np.sqrt(var + 1e-5) ** 2 * count / (count - 1) * momentum",
        ),
    ),
    _slip(
        "lists",
        "the sum in place of the mean",
        (
            "new_mean.append(old_mean + momentum * (mean - old_mean))",
            "new_mean.append(old_mean + momentum * (mean * len(values) - old_mean))",
        ),
    ),
    _slip(
        "differences",
        "the average of all batches, as if there were two",
        ("rows.mean(0) * momentum", "rows.mean(0) * 0.5"),
        ("running_mean * (1 - momentum)", "running_mean * 0.5"),
    ),
    _slip(
        "folded",
        "the shift is not scaled",
        ("return first(last(x) * inv + (beta - mean * inv))", "return first(last(x) * inv + (beta - mean))"),
    ),
    _slip(
        "folded",
        "the shift has its sign lost",
        ("return first(last(x) * inv + (beta - mean * inv))", "return first(last(x) * inv + (beta + mean * inv))"),
    ),
    _slip(
        "features",
        "eps is added to the root of the running variance and under it",
        ("np.sqrt(running_var[c] + eps)", "(np.sqrt(running_var[c] + eps) + eps)"),
    ),
    _slip("lists", "gamma left out of inference", ("[gamma[c] * (v - running_mean[c])", "[(v - running_mean[c])")),
    _slip(
        "einsum",
        "the statistics of the first sample",
        (
            "x3 = x.reshape(x.shape[0], x.shape[1], -1)\n    mean, var = moments(x3)\n    y = np",
            "x3 = x.reshape(x.shape[0], x.shape[1], -1)\n    mean, var = moments(x3[:1])\n    y = np",
        ),
    ),
)
