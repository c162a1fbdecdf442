// The mathematics of Batch Normalization in the browser. Pure functions of numbers and arrays; nothing here draws.
// tests/explorables compares each with bn_lib, to 1e-12.

export const sum = (values) => values.reduce((total, value) => total + value, 0);

export const mean = (values) => sum(values) / values.length;

/** Mean and biased variance, in two passes. */
export function moments(values) {
  const mu = mean(values);
  return { mean: mu, variance: mean(values.map((value) => (value - mu) ** 2)) };
}

/** y = gamma (x - mean) / sqrt(variance + eps) + beta, with statistics that are given. */
export function scaleAndShift(x, { mean, variance }, gamma, beta, eps) {
  const xHat = x.map((value) => (value - mean) / Math.sqrt(variance + eps));
  return { xHat, y: xHat.map((value) => gamma * value + beta) };
}

/** Batch Normalization of one feature in training: Ioffe and Szegedy (2015), Algorithm 1. */
export function batchNorm(x, gamma, beta, eps) {
  const statistics = moments(x);
  return { ...statistics, ...scaleAndShift(x, statistics, gamma, beta, eps) };
}

/**
 * The gradient of one feature, and the three paths by which it reaches x: straight through x - mean, through the mean,
 * and through the variance. dx is their sum.
 */
export function batchNormBackward(dy, x, gamma, eps) {
  const { mean: mu, variance } = moments(x);
  const { xHat } = scaleAndShift(x, { mean: mu, variance }, 1, 0, eps);
  const dxHat = dy.map((value) => gamma * value);
  const inverse = 1 / Math.sqrt(variance + eps);
  const throughMean = -inverse * mean(dxHat);
  const along = mean(dxHat.map((value, i) => value * xHat[i]));
  const paths = {
    direct: dxHat.map((value) => inverse * value),
    mean: dxHat.map(() => throughMean),
    variance: xHat.map((value) => -inverse * along * value),
  };
  return {
    dx: dy.map((_, i) => paths.direct[i] + paths.mean[i] + paths.variance[i]),
    dgamma: sum(dy.map((value, i) => value * xHat[i])),
    dbeta: sum(dy),
    paths,
  };
}

/** A running statistic after one more batch: PyTorch's convention, (1 - momentum) old + momentum batch. */
export const updated = (running, batch, momentum) => (1 - momentum) * running + momentum * batch;

/** Numbers in [0, 1) that are the same for the same seed (Mulberry32). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One number from the standard normal distribution (Box and Muller). */
export function gaussian(next) {
  return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

// The backward pass, path by path

/** What arrives at x along some of the paths of `batchNormBackward`. */
export const alongPaths = (paths, taken) => paths.direct.map((_, i) => sum(taken.map((path) => paths[path][i])));

/** The gradient of the loss sum(dy y) with respect to x by central differences: no formula of a backward pass in it. */
export function gradientByDifferences(dy, x, gamma, eps, h = 1e-5) {
  const loss = (values) => sum(batchNorm(values, gamma, 0, eps).y.map((value, i) => dy[i] * value));
  const moved = (i, by) => x.map((value, j) => (j === i ? value + by : value));
  return x.map((_, i) => (loss(moved(i, h)) - loss(moved(i, -h))) / (2 * h));
}
