// Training and inference: running statistics chase the population's, until the layer is switched to inference.
import { html, useMemo } from "../preact.js";
import { errorOfY, momentsOfBatches, movedMoments, runningStatistics, standardBatches } from "../bn.js";
import { AxisX, AxisY, Drawing, Handle, Player, Slider, clamp, explorable, fixed, line, scale, significant } from "../ui.js";

const WIDTH = 360;
const HEIGHT = 390;
const UPDATES = 150;
const EPS = 1e-5;
const HIGHEST = 12; // of the population's mean
const LEFT = 34;
const RIGHT = WIDTH - 12;
const STRIPS = { mean: [42, 172], variance: [198, 262], error: [288, 352] }; // from top to bottom
const time = scale([0, UPDATES], [LEFT, RIGHT], 5);
const upward = ([top, bottom]) => [bottom, top];
const levels = scale([-2, 14], upward(STRIPS.mean), 4);
const errors = scale([0, 2], upward(STRIPS.error), 2);

/** A function that remembers its last answer. */
function remembering(compute) {
  let [asked, answer] = [null, null];
  return (...questions) => {
    if (!asked || questions.some((question, i) => question !== asked[i])) [asked, answer] = [questions, compute(...questions)];
    return answer;
  };
}

const standardMoments = remembering((seed, batchSize) => momentsOfBatches(standardBatches(seed, batchSize, UPDATES)));

/** Everything that the figure shows, worked out from the state. */
function simulated({ seed, batch_size, momentum, mean, deviation, moved_at, moved_to, updates }) {
  const variance = deviation ** 2;
  const population = (at) => ({ mean: at < moved_at ? mean : moved_to, variance });
  const batches = standardMoments(seed, batch_size).map((batch, at) => movedMoments(batch, population(at).mean, deviation));
  const running = runningStatistics(batches, momentum);
  const stored = running[updates];
  const ownErrors = batches.map((batch, at) => errorOfY({ mean: batch.mean, variance: batch.biased }, population(at), EPS));
  const answer = (statistics, at) => (population(at).mean + deviation - statistics.mean) / Math.sqrt(statistics.variance + EPS);
  return {
    population, batches, running, stored, ownErrors,
    errors: running.map((statistics, at) => errorOfY(at < updates ? statistics : stored, population(at), EPS)),
    typicalOwnError: [...ownErrors].sort((a, b) => a - b)[UPDATES / 2],
    shouldBe: answer(population(updates), updates),
    is: answer(stored, updates),
    meanSpread: deviation / Math.sqrt(batch_size),
    varianceSpread: variance * Math.sqrt(2 / (batch_size - 1)),
  };
}

/** A dot for each value, as one path; what lies outside of the strip is drawn at its edge. */
const dots = (values, s, [top, bottom]) =>
  values.map((value, at) => `M${time(at + 1).toFixed(1)} ${clamp(s(value), top, bottom).toFixed(1)}h0`).join("");

function trace(values, s, [top, bottom], first = 0) {
  return line(values.map((value, i) => [time(first + i), clamp(s(value), top, bottom)]));
}

/** Where the population is: a step at the update at which it moves. */
function Truth({ before, after, at, s }) {
  const points = [[time(0), s(before)], [time(at), s(before)], [time(at), s(after)], [time(UPDATES), s(after)]];
  return html`<path class="bn-population" d=${line(points)} />`;
}

/** One strip: batches as dots, what runs along as a line, and from the switch on what was stored. */
function Strip({ name, s, batches, values, updates, stored }) {
  const strip = STRIPS[name];
  return html`
    <path class="bn-batch-dots" d=${dots(batches.slice(0, updates), s, strip)} />
    <path class="bn-running" d=${trace(values.slice(0, updates + 1), s, strip)} />
    <path class="bn-stored" d=${trace(stored, s, strip, updates)} />
  `;
}

function Axes({ variances }) {
  const left = [
    ["mean", "mean", levels],
    ["variance", "variance", variances],
    ["error", "error of y, up to 2 of its deviations", errors],
  ];
  return html`
    ${left.map(([name, words, s]) => html`
      <${AxisY} scale=${s} x=${LEFT} right=${RIGHT} />
      <text x=${LEFT} y=${STRIPS[name][0] - 7}>${words}</text>
    `)}
    <${AxisX} scale=${time} y=${STRIPS.error[1]} label="updates" />
  `;
}

function View({ state, set, uid, anew }) {
  const { seed, momentum, batch_size, mean, moved_at, moved_to, updates } = state;
  const seen = simulated(state);
  const now = seen.population(updates);
  const variances = scale([0, Math.max(1.25, 3 * now.variance)], upward(STRIPS.variance), 2);
  const axes = useMemo(() => html`<${Axes} variances=${variances} />`, [now.variance]);
  const x = time(updates);
  const rest = Array(UPDATES - updates + 1);
  const gap = [levels(now.mean), clamp(levels(seen.stored.mean), ...STRIPS.mean)];
  const handles = html`
    <${Handle} width=${WIDTH} height=${HEIGHT} at=${[x, 16]} x=${{ value: updates, scale: time, min: 0, max: UPDATES, step: 1 }}
      label="the switch to inference" text=${`after ${updates} updates, error of y ${fixed(seen.errors[updates])}`}
      move=${(to) => set({ updates: to.x })} />
    <${Handle} width=${WIDTH} height=${HEIGHT} at=${[time(moved_at), levels(moved_to)]} kind="bn-of-population"
      x=${{ value: moved_at, scale: time, min: 0, max: UPDATES, step: 1 }}
      y=${{ value: moved_to, scale: levels, min: 0, max: HIGHEST, step: 0.1 }}
      label="where the population's mean moves" text=${`at update ${moved_at} from ${fixed(mean, 1)} to ${fixed(moved_to, 1)}`}
      move=${(to) => set({ moved_at: to.x ?? moved_at, moved_to: to.y ?? moved_to })} />
  `;
  return html`
    <div class="bn-beside">
      <div class="bn-chase">
        <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${handles}>
          <rect class="bn-after" x=${x} y="26" width=${RIGHT - x} height=${STRIPS.error[1] - 26} />
          ${axes}
          ${Object.values(STRIPS).map(([top, bottom]) => html`<line class="bn-time" x1=${x} x2=${x} y1=${top - 2} y2=${bottom} />`)}
          ${x > 112 && html`<text x=${x - 15} y="15" text-anchor="end">← training</text>`}
          ${x < RIGHT - 84 && html`<text x=${x + 15} y="15">inference →</text>`}
          <${Truth} before=${mean} after=${moved_to} at=${moved_at} s=${levels} />
          <${Strip} name="mean" s=${levels} updates=${updates} batches=${seen.batches.map((batch) => batch.mean)}
            values=${seen.running.map((statistics) => statistics.mean)} stored=${rest.fill(seen.stored.mean)} />
          <line class="bn-gap" x1=${x} x2=${x} y1=${gap[0]} y2=${gap[1]} />
          <${Truth} before=${now.variance} after=${now.variance} at=${moved_at} s=${variances} />
          <${Strip} name="variance" s=${variances} updates=${updates} batches=${seen.batches.map((batch) => batch.unbiased)}
            values=${seen.running.map((statistics) => statistics.variance)} stored=${[...rest].fill(seen.stored.variance)} />
          <${Strip} name="error" s=${errors} updates=${updates} batches=${seen.ownErrors}
            values=${seen.errors} stored=${seen.errors.slice(updates)} />
          <circle class="bn-error-now" cx=${x} cy=${clamp(errors(seen.errors[updates]), ...STRIPS.error)} r="4.5" />
        <//>
        <${Player} label="updates" value=${updates} min=${0} max=${UPDATES} seconds=${12} format=${String} anew=${anew} set=${(to) => set({ updates: to })} />
      </div>
      <div class="bn-worked bn-chase-numbers">
        <table>
          <thead><tr><td></td><th scope="col">population</th><th scope="col">running</th><th scope="col">one batch</th></tr></thead>
          <tbody>
            <tr><th scope="row">mean</th><td>${fixed(now.mean)}</td><td>${fixed(seen.stored.mean)}</td><td>± ${fixed(seen.meanSpread)}</td></tr>
            <tr><th scope="row">variance</th><td>${fixed(now.variance)}</td><td>${fixed(seen.stored.variance)}</td><td>± ${fixed(seen.varianceSpread)}</td></tr>
            <tr><th scope="row">error of y</th><td>0</td><td>${fixed(seen.errors[updates])}</td><td>${fixed(seen.typicalOwnError)}</td></tr>
          </tbody>
        </table>
        <p class="bn-legend">Dashed: the population. Dots: single batches. Line: the running statistics, and from the switch on what is stored.</p>
        <div class="bn-sliders">
        <${Slider} label="momentum" value=${momentum} min=${0.001} max=${1} step=${0.05} log=${true} format=${(value) => significant(value, 2)}
          set=${(to) => set({ momentum: to })} />
        <${Slider} label="batch size" value=${Math.log2(batch_size)} min=${1} max=${7} step=${1} format=${(power) => String(Math.round(2 ** power))}
          set=${(power) => set({ batch_size: 2 ** power })} />
        </div>
        <p class="bn-legend bn-convention">A new batch counts ${percentage(momentum)}, all before it ${percentage(1 - momentum)}: PyTorch's momentum. Keras calls it ${significant(1 - momentum, 4)}.</p>
      </div>
    </div>
  `;
}

const percentage = (part) => `${significant(100 * part, 3)} %`;

function describe(state) {
  const { momentum, batch_size, updates, moved_at, moved_to, mean } = state;
  const seen = simulated(state);
  const now = seen.population(updates);
  const later = updates < moved_at && moved_to !== mean && moved_at < UPDATES;
  return (
    `After ${updates} updates with momentum ${significant(momentum, 2)} and batches of ${batch_size}, the running mean is ` +
    `${fixed(seen.stored.mean)} (population ${fixed(now.mean)}) and the running variance ${fixed(seen.stored.variance)} ` +
    `(population ${fixed(now.variance)}). In inference, an input one deviation above the mean gives y = ${fixed(seen.is)} ` +
    `instead of ${fixed(seen.shouldBe)}; over all inputs y is off by ${fixed(seen.errors[updates])}.` +
    (later ? ` When the population has moved, it is off by ${fixed(seen.errors[UPDATES])}.` : "")
  );
}

function surprise(_, next) {
  const oneOf = (values) => values[Math.floor(next() * values.length)];
  const moved_at = 30 + Math.floor(80 * next());
  const mean = 1 + Math.round(10 * next());
  return {
    seed: Math.floor(1e6 * next()),
    momentum: oneOf([0.01, 0.03, 0.1, 0.3, 1]),
    batch_size: oneOf([2, 4, 16, 64]),
    mean,
    deviation: oneOf([1, 2, 3]),
    moved_at,
    moved_to: mean > 6 ? mean - 4 : mean + 4,
    updates: clamp(moved_at + oneOf([-20, -3, 3, 15, 35]), 0, UPDATES),
  };
}

export default explorable({
  keys: ["seed", "momentum", "batch_size", "mean", "deviation", "moved_at", "moved_to", "updates"], View, describe, surprise,
});
