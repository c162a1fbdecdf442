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

// Gradient descent for a linear model with two features. A symmetric matrix of two rows is [h11, h12, h22].

/** The Hessian of half the mean squared error: x.T @ x / N. */
export function hessianOfTwo(rows) {
  const product = (j, k) => mean(rows.map((row) => row[j] * row[k]));
  return [product(0, 0), product(0, 1), product(1, 1)];
}

/** Its eigenvalues, and the angle of the direction of the largest. */
export function eigenOfTwo([a, b, c]) {
  const largest = (a + c) / 2 + Math.hypot((a - c) / 2, b);
  return { largest, smallest: (a * c - b * b) / largest, angle: Math.atan2(2 * b, a - c) / 2 };
}

/** The loss above its minimum at the distance e from the best weights. */
export const lossOfTwo = ([a, b, c], [e1, e2]) => (a * e1 * e1 + 2 * b * e1 * e2 + c * e2 * e2) / 2;

/** The distances from the best weights that gradient descent visits: the start first, then e <- e - rate H e. */
export function descentOfTwo([a, b, c], start, rate, steps) {
  const visited = [start];
  for (let k = 0; k < steps; k += 1) {
    const [e1, e2] = visited[k];
    visited.push([e1 - rate * (a * e1 + b * e2), e2 - rate * (b * e1 + c * e2)]);
  }
  return visited;
}

/** Each feature with mean 0 and standard deviation 1. */
export function standardizedTwo(rows) {
  const [first, second] = [0, 1].map((j) => {
    const column = rows.map((row) => row[j]);
    return scaleAndShift(column, moments(column), 1, 0, 0).xHat;
  });
  return first.map((value, i) => [value, second[i]]);
}

/** Centered, rotated to the principal axes, and each of them scaled to variance 1: steepest first. */
export function whitenedTwo(rows) {
  const centers = [0, 1].map((j) => mean(rows.map((row) => row[j])));
  const centered = rows.map(([x1, x2]) => [x1 - centers[0], x2 - centers[1]]);
  const { largest, smallest, angle } = eigenOfTwo(hessianOfTwo(centered));
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return centered.map(([x1, x2]) => [(cos * x1 + sin * x2) / Math.sqrt(largest), (cos * x2 - sin * x1) / Math.sqrt(smallest)]);
}

// The block: one computation, four choices of axes

/** To which piece each map of `samples` x `channels` belongs: the values of a piece share a mean. owner[n][c] counts from 0. */
export function pieceOf(samples, channels, normalizer, groups) {
  const number = {
    batch: (n, c) => c,
    layer: (n) => n,
    instance: (n, c) => n * channels + c,
    group: (n, c) => n * groups + Math.floor(c / (channels / groups)),
  }[normalizer];
  return Array.from({ length: samples }, (_, n) => Array.from({ length: channels }, (_, c) => number(n, c)));
}

/** Normalize x[n][c][position] piece by piece: owner[n][c], the pieces' statistics, and y of the shape of x. */
export function normalizeBlock(x, normalizer, groups, eps) {
  const owner = pieceOf(x.length, x[0].length, normalizer, groups);
  const values = [];
  x.forEach((maps, n) => maps.forEach((map, c) => (values[owner[n][c]] ??= []).push(...map)));
  const pieces = values.map((piece) => ({ ...moments(piece), count: piece.length }));
  const y = x.map((maps, n) => maps.map((map, c) => scaleAndShift(map, pieces[owner[n][c]], 1, 0, eps).y));
  return { owner, pieces, y };
}

// Any axes (choose_axes.js)

/**
 * Normalize x[n][c][h][w] over the axes named in a text such as "NHW", the channels of C in groups of neighbours: the
 * number of the piece that each value belongs to, and y of the shape of x. `center` false divides by the root mean
 * square and subtracts nothing.
 */
export function normalizeOver(x, axes, groups, center, eps = 1e-12) {
  const size = x[0].length / groups;
  const keyOf = (n, c, h, w) =>
    [axes.includes("N") ? 0 : n, axes.includes("C") ? Math.floor(c / size) : c, axes.includes("H") ? 0 : h, axes.includes("W") ? 0 : w].join();
  const each = (f) => x.map((maps, n) => maps.map((rows, c) => rows.map((row, h) => row.map((value, w) => f(value, keyOf(n, c, h, w))))));
  const pieces = new Map();
  each((value, key) => pieces.set(key, [...(pieces.get(key) ?? []), value]));
  const numbers = new Map([...pieces.keys()].map((key, number) => [key, number]));
  const statistics = new Map(
    [...pieces].map(([key, values]) => [key, center ? moments(values) : { mean: 0, variance: mean(values.map((value) => value * value)) }]),
  );
  return {
    owner: each((_, key) => numbers.get(key)),
    y: each((value, key) => scaleAndShift([value], statistics.get(key), 1, 0, eps).y[0]),
  };
}

const inPart = {
  everything: () => true,
  "one sample": (n) => n === 0,
  "one channel": (_, c) => c === 0,
  "one map": (n, c) => n === 0 && c === 0,
  "one position": (n, c, h, w) => h === 0 && w === 0,
};

/** Whether `normalizeOver` gives the same when a part of x is shifted by 5 ("+") or multiplied by 3 ("×"). */
export function leavesNoTrace(x, axes, groups, center, part, change) {
  const moved = x.map((maps, n) => maps.map((rows, c) => rows.map((row, h) => row.map((value, w) => {
    if (!inPart[part](n, c, h, w)) return value;
    return change === "+" ? value + 5 : 3 * value;
  }))));
  const [before, after] = [x, moved].map((values) => normalizeOver(values, axes, groups, center).y.flat(3));
  return before.every((value, i) => Math.abs(value - after[i]) < 1e-6);
}

// Running statistics (training_and_inference.js)

/** `count` batches from the standard normal distribution. A small batch is the beginning of a larger one of its seed. */
export function standardBatches(seed, batchSize, count) {
  return Array.from({ length: count }, (_, k) => {
    const next = random(Math.imul(seed + 1, 0x9e3779b1) + k);
    return Array.from({ length: batchSize }, () => gaussian(next));
  });
}

/** Mean and both variances of each batch. */
export function momentsOfBatches(batches) {
  return batches.map((values) => {
    const { mean, variance } = moments(values);
    return { mean, biased: variance, unbiased: (variance * values.length) / (values.length - 1) };
  });
}

/** The same for center + deviation * values. */
export const movedMoments = ({ mean, biased, unbiased }, center, deviation) => ({
  mean: center + deviation * mean,
  biased: deviation ** 2 * biased,
  unbiased: deviation ** 2 * unbiased,
});

/** Running mean and variance after 0, 1, ... batches. They start at 0 and 1; the variance averaged is the unbiased one. */
export function runningStatistics(batches, momentum) {
  const running = [{ mean: 0, variance: 1 }];
  batches.forEach((batch, k) => {
    running.push({
      mean: updated(running[k].mean, batch.mean, momentum),
      variance: updated(running[k].variance, batch.unbiased, momentum),
    });
  });
  return running;
}

/**
 * How far y = (x - mean) / sqrt(variance + eps) is from what the population's own statistics give: the root of the mean
 * square over the population's x.
 */
export function errorOfY(stored, population, eps) {
  const factor = 1 / Math.sqrt(stored.variance + eps);
  const right = 1 / Math.sqrt(population.variance + eps);
  return Math.hypot(factor * (population.mean - stored.mean), Math.sqrt(population.variance) * (factor - right));
}

// Find the bug: Batch Normalization as four steps, and the mistakes of the exercises as one wrong step each

const rightSteps = {
  taken: (feature) => feature,
  variance: (values) => moments(values).variance,
  root: (variance, eps) => Math.sqrt(variance + eps),
  output: (xHat, gamma, beta) => gamma * xHat + beta,
};

const wrongSteps = {
  ddof1: { variance: (values) => (moments(values).variance * values.length) / (values.length - 1) },
  onePass: { variance: (values) => mean(values.map((value) => value * value)) - mean(values) * mean(values) },
  epsOutside: { root: (variance, eps) => Math.sqrt(variance) + eps },
  noEps: { root: (variance) => Math.sqrt(variance) },
  varianceForDeviation: { root: (variance, eps) => variance + eps },
  overEverything: { taken: (feature, x) => x.flat() },
  gammaLeftOut: { output: (xHat, gamma, beta) => xHat + beta },
  betaScaled: { output: (xHat, gamma, beta) => gamma * (xHat + beta) },
};

/** Batch Normalization of x[sample][feature] with one of these mistakes, or right where `mistake` is "". */
export function batchNormMistaken(x, gamma, beta, eps, mistake) {
  const steps = { ...rightSteps, ...wrongSteps[mistake] };
  const features = x[0].map((_, c) => steps.taken(x.map((row) => row[c]), x));
  const means = features.map(mean);
  const roots = features.map((values) => steps.root(steps.variance(values), eps));
  return x.map((row) => row.map((value, c) => steps.output((value - means[c]) / roots[c], gamma, beta)));
}

// A unit with two weights and BN (turning.js): only the direction of the weights counts

/** The gradient of half the mean squared error of BN(x w), with gamma 1, beta 0 and eps 0, with respect to w. */
export function gradientOfUnit([w1, w2], rows, targets) {
  const z = rows.map(([x1, x2]) => x1 * w1 + x2 * w2);
  const { xHat } = batchNorm(z, 1, 0, 0);
  const dy = xHat.map((value, i) => (value - targets[i]) / z.length);
  const { dx } = batchNormBackward(dy, z, 1, 0);
  return [0, 1].map((j) => sum(dx.map((value, i) => value * rows[i][j])));
}

/** The weights that w <- (1 - rate decay) w - rate gradient visits, the start first, and each step's gradient. */
export function descentOfUnit(start, batches, rate, decay) {
  const visited = [start];
  const gradients = batches.map(({ rows, targets }, k) => {
    const gradient = gradientOfUnit(visited[k], rows, targets);
    visited.push(visited[k].map((w, j) => (1 - rate * decay) * w - rate * gradient[j]));
    return gradient;
  });
  return { visited, gradients };
}

/** The angle between two vectors of the plane, in radians, from 0 to pi. */
export const angleBetween = ([a1, a2], [b1, b2]) => Math.abs(Math.atan2(a1 * b2 - a2 * b1, a1 * b1 + a2 * b2));

/**
 * Where decay takes away as much length as gradients add: the angle of a step, exactly, for steps at right angles to w,
 * and the length, where `square` is the mean of |gradient|^2 |w|^2. Both are of a vector whose length stays.
 */
export function balanceOfUnit(rate, decay, square) {
  const shrink = 1 - rate * decay;
  return { angle: Math.acos(shrink), length: ((rate ** 2 * square) / (1 - shrink ** 2)) ** 0.25 };
}

// A generator of digits whose gamma and beta lie between those of two classes (two_digits.js)

/** The part of the way from one row of numbers to another. */
export const onTheWay = (from, to, share) => from.map((value, i) => value + share * (to[i] - value));

/** values @ weight + bias, for weight[input][output]. */
export const dense = (values, weight, bias) => bias.map((b, j) => sum(values.map((value, i) => value * weight[i][j])) + b);

/** The pixels, from 0 to 1, that a generator draws of noise z; maps[layer] is the { gamma, beta } behind each hidden layer. */
export function drawnDigit({ hidden, output }, z, maps) {
  const last = hidden.reduce((h, { weight, bias }, k) => {
    const { gamma, beta } = maps[k];
    return dense(h, weight, bias).map((xHat, j) => Math.max(0, gamma[j] * xHat + beta[j]));
  }, z);
  return dense(last, output.weight, output.bias).map((value) => 1 / (1 + Math.exp(-value)));
}

// A detector of lesions (one_scan.js)

/** What a scanner shows of tissues: gain (t^gamma + noise grain) + offset. */
export const scanned = (tissues, grain, { gain, offset, gamma, noise }) =>
  tissues.map((t, i) => gain * (Math.max(t, 0) ** gamma + noise * grain[i]) + offset);

/** A convolution of 3 x 3 with stride 2 and a border of zeros, and a ReLU: of maps[channel][row][column]. */
export function halved(maps, weight, bias) {
  const side = maps[0].length / 2;
  const at = (map, row, column) => map[row]?.[column] ?? 0;
  const places = [...Array(side).keys()];
  return weight.map((kernels, k) => places.map((i) => places.map((j) => {
    let total = bias[k];
    kernels.forEach((kernel, c) => kernel.forEach((row, a) => row.forEach((w, b) => {
      total += w * at(maps[c], 2 * i + a - 1, 2 * j + b - 1);
    })));
    return Math.max(0, total);
  })));
}

/** The logit of a lesion in an image[row][column]: convolutions, the largest value of each channel, a dense layer. */
export function lesionScore({ weights, biases, output }, image) {
  const maps = weights.reduce((before, weight, k) => halved(before, weight, biases[k]), [image]);
  const largest = maps.map((map) => Math.max(...map.flat()));
  return sum(largest.map((value, i) => value * output[i])) + output[output.length - 1];
}
