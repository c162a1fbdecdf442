// Own formulas: what a reader types for γ and β as functions of the batch's mean, drawn with its slope, and one batch.
import { html, useMemo } from "./preact.js";
import { Parser } from "./expressions.js";
import { AxisX, AxisY, Drawing, Handle, Slider, clamp, explorable, fixed, line, roundLimit, scale, significant } from "./ui.js";

const WIDTH = 360;
const HEIGHT = 300;
const LEFT = 40;
const LOWS = [122, 262]; // the heights at which the two plots end
const TALL = 96;
const REACH = 10; // means from -REACH to REACH
const STEPS = 400; // 0 is among the means
const MOST = 100; // what is larger runs out of its plot
const along = scale([-REACH, REACH], [LEFT, WIDTH - 12], 5);
const MEANS = Array.from({ length: STEPS + 1 }, (_, i) => -REACH + (2 * REACH * i) / STEPS);
const STEP = 1e-5; // for slopes

const BATCH_HEIGHT = 96;
const BATCH = [-Math.sqrt(1.5), 0, Math.sqrt(1.5)]; // three values with mean 0 and variance 1

const PARAMETERS = ["a", "b", "c", "d"];
const OF_THE_BATCH = ["mu", "var", "sigma", "eps"];

// Reading. The names and signs are those of the exercises' formulas; what is not listed there is not read here.

const FUNCTIONS = {
  ...Object.fromEntries(
    ["abs", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sign", "min", "max"].map((name) => [name, Math[name]]),
  ),
  arctan: Math.atan,
  arcsinh: Math.asinh,
  square: (u) => u * u,
  sigmoid: (u) => 1 / (1 + Math.exp(-u)),
  softplus: (u) => Math.max(u, 0) + Math.log1p(Math.exp(-Math.abs(u))),
  relu: (u) => Math.max(u, 0),
  clip: (u, low, high) => Math.min(Math.max(u, low), high),
  minimum: Math.min,
  maximum: Math.max,
};

const SPELLED = {
  μ: "mu", µ: "mu", "σ²": "var", σ: "sigma", ε: "eps", π: "pi", "−": "-", "·": "*", "×": "*", "÷": "/", "√": "sqrt", "**": "^",
};
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

const spelled = (text) =>
  text
    .replace(/\b(?:np|numpy|math)\./g, "")
    .replace(/\*\*|σ²|[μµσεπ−·×÷√]/g, (sign) => SPELLED[sign])
    .replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]+/g, (run) => `^${[...run].map((digit) => RAISED.indexOf(digit)).join("")}`);

const parser = new Parser({ operators: { logical: false, comparison: false, assignment: false, concatenate: false, conditional: false, factorial: false, in: false, array: false, remainder: false, fndef: false } });
parser.functions = FUNCTIONS;
parser.unaryOps = { "-": (u) => -u, "+": (u) => +u };
parser.consts = { pi: Math.PI, e: Math.E };

const UNREADABLE = "This cannot be read yet. It is written as in Python: 1 + a * tanh(mu).";

/** A formula as { at(names) } or, if it cannot be read, { trouble } in words. */
function read(text) {
  const plain = spelled(text);
  const called = plain.match(/[a-z]\w*(?=\s*\()/gi)?.find((name) => !Object.hasOwn(FUNCTIONS, name));
  if (!plain.trim()) return { trouble: "There is no formula yet." };
  if (called) return { trouble: `There is no function ${called}.` };
  let formula;
  let value;
  try {
    formula = parser.parse(plain);
    const unknown = formula.variables().find((name) => !OF_THE_BATCH.includes(name) && !PARAMETERS.includes(name));
    if (unknown) return { trouble: `There is no ${unknown} here: a formula has mu, var, sigma, eps, and parameters a to d.` };
    value = formula.evaluate(Object.fromEntries([...OF_THE_BATCH, ...PARAMETERS].map((name) => [name, 1])));
  } catch {
    return { trouble: UNREADABLE };
  }
  return typeof value === "number" ? { at: (names) => formula.evaluate(names) } : { trouble: UNREADABLE };
}

const namesFor = ({ var: variance, eps, a, b, c, d }, mean) => ({ mu: mean, var: variance, sigma: Math.sqrt(variance), eps, a, b, c, d });

/** The values of a formula, and its slopes, at all means. */
function curve(formula, state) {
  if (formula.trouble) return { values: [], slopes: [], gaps: 0, limit: 1 };
  const at = (mean) => formula.at(namesFor(state, mean));
  const values = MEANS.map(at);
  const slopes = MEANS.map((mean) => (at(mean + STEP) - at(mean - STEP)) / (2 * STEP));
  const sizes = values.filter(Number.isFinite).map(Math.abs);
  return { values, slopes, gaps: values.length - sizes.length, limit: roundLimit(clamp(Math.max(1, ...sizes), 1, MOST)) };
}

/** Paths through what has a value; beyond the plot's edge they end. */
function paths(values, up, limit) {
  const runs = [[]];
  values.forEach((value, i) => {
    const before = values[i - 1];
    const inside = Math.abs(value) <= limit;
    const leaves = !inside && Math.abs(before) <= limit;
    if (!Number.isFinite(value) || !(inside || leaves)) runs.push([]);
    else {
      const last = runs[runs.length - 1];
      if (inside && !last.length && Number.isFinite(before)) last.push([along(MEANS[i - 1]), up(clamp(before, -limit, limit))]);
      last.push([along(MEANS[i]), up(clamp(value, -limit, limit))]);
      if (leaves) runs.push([]);
    }
  });
  return runs.filter((run) => run.length > 1).map(line).join("");
}

function Plot({ symbol, low, drawn, mean, now }) {
  const { values, slopes, limit } = drawn;
  const up = scale([-limit, limit], [low, low - TALL], 2);
  const bottom = low === LOWS[1];
  return html`
    <${AxisX} scale=${along} y=${low} label=${bottom ? "mean μ of the batch" : ""} format=${bottom ? undefined : () => ""} />
    <${AxisY} scale=${up} x=${LEFT} right=${WIDTH - 12} label=${`${symbol}(μ)`} />
    <path class="bn-slope" d=${paths(slopes, up, limit)} />
    <path class="bn-formula-line" d=${paths(values, up, limit)} />
    ${Number.isFinite(now) && Math.abs(now) <= limit && html`<circle class="bn-here" cx=${along(mean).toFixed(1)} cy=${up(now).toFixed(1)} r="5" />`}
  `;
}

/** What the layer makes of three values with this mean and variance; both drawn on one line. */
function Batch({ state, gamma, beta, uid }) {
  const { mean, var: variance, eps } = state;
  const x = BATCH.map((value) => mean + Math.sqrt(variance) * value);
  const y = BATCH.map((value) => (gamma * Math.sqrt(variance) * value) / Math.sqrt(variance + eps) + beta);
  const limit = roundLimit(clamp(Math.max(REACH, ...[...x, ...y].filter(Number.isFinite).map(Math.abs)), 1, 10 * MOST));
  const across = scale([-limit, limit], [LEFT, WIDTH - 12], 5);
  const row = (values, height, kind) =>
    values.filter(Number.isFinite).map((value) => html`<circle class=${kind} cx=${across(clamp(value, -limit, limit)).toFixed(1)} cy=${height} r="6" />`);
  return html`
    <${Drawing} width=${WIDTH} height=${BATCH_HEIGHT} uid=${uid}>
      <text class="bn-row" x="4" y="28">in: x</text>
      <text class="bn-row" x="4" y="58">out: y</text>
      ${row(x, 24, "bn-in")}
      ${row(y, 54, "bn-out")}
      <${AxisX} scale=${across} y=${72} />
    <//>
  `;
}

function Field({ symbol, text, trouble, set, uid }) {
  const id = `${uid}-${symbol}`;
  return html`
    <div class="bn-field bn-controls">
      <label>
        <span>${symbol}(μ) =</span>
        <input type="text" value=${text} maxlength="400" autocomplete="off" autocapitalize="off" spellcheck="false"
          aria-invalid=${String(Boolean(trouble))} aria-describedby=${id}
          onInput=${(event) => set(event.currentTarget.value)} onKeyDown=${(event) => event.stopPropagation()} />
      </label>
      <p class="bn-trouble" id=${id} role="status">${trouble ?? ""}</p>
    </div>
  `;
}

/** What there is to draw of a state. */
function drawn(state) {
  return ["gamma", "beta"].map((name) => {
    const formula = read(state[name]);
    return { formula, ...curve(formula, state), now: formula.trouble ? NaN : formula.at(namesFor(state, state.mean)) };
  });
}

function View({ state, set, uid }) {
  const { mean, gamma, beta } = state;
  const [g, b] = useMemo(() => drawn(state), Object.values(state));
  const handle = html`<${Handle} width=${WIDTH} height=${HEIGHT} at=${[along(mean), LOWS[1]]}
    x=${{ value: mean, scale: along, min: -REACH, max: REACH, step: 0.1 }} label="mean of the batch" text=${fixed(mean, 1)}
    move=${(to) => set({ mean: to.x })} />`;
  return html`
    <${Field} symbol="γ" text=${gamma} trouble=${g.formula.trouble} set=${(text) => set({ gamma: text })} uid=${uid} />
    <${Field} symbol="β" text=${beta} trouble=${b.formula.trouble} set=${(text) => set({ beta: text })} uid=${uid} />
    <div class="bn-beside bn-pair">
      <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${handle}>
        <line class="bn-at-mean" x1=${along(mean).toFixed(1)} x2=${along(mean).toFixed(1)} y1=${LOWS[0] - TALL} y2=${LOWS[1]} />
        <${Plot} symbol="γ" low=${LOWS[0]} drawn=${g} mean=${mean} now=${g.now} />
        <${Plot} symbol="β" low=${LOWS[1]} drawn=${b} mean=${mean} now=${b.now} />
      <//>
      <div class="bn-workbench">
        <${Batch} state=${state} gamma=${g.now} beta=${b.now} uid=${uid} />
        <div class="bn-sliders">
          <${Slider} label="σ² of the batch" value=${state.var} min=${1e-8} max=${10} step=${0.1} log=${true} format=${(v) => significant(v, 2)} set=${(v) => set({ var: v })} />
          ${PARAMETERS.map((name) => html`<${Slider} key=${name} label=${name} value=${state[name]} min=${-2} max=${2} step=${0.05} set=${(v) => set({ [name]: v })} />`)}
        </div>
      </div>
    </div>
  `;
}

const number = (value) => (Number.isNaN(value) ? "no number" : Number.isFinite(value) ? significant(value) : "infinite");

function describe(state) {
  const [g, b] = drawn(state);
  const gap = ({ formula, gaps }, symbol) => (formula.trouble ? ` ${symbol} cannot be read.` : gaps ? ` ${symbol} has no value for ${gaps} of ${MEANS.length} means.` : "");
  return (
    `At the mean ${fixed(state.mean, 1)} and the variance ${significant(state.var, 2)}, γ is ${number(g.now)} and β is ${number(b.now)}: ` +
    `the output has the mean ${number(b.now)}.${gap(g, "γ")}${gap(b, "β")}`
  );
}

// Designs in which something goes wrong, and where one sees it.
const SURPRISES = [
  { gamma: "1 + a / mu", beta: "b * mu", mean: 0.1 },
  { gamma: "1 + a * abs(mu)", beta: "b * sign(mu)", mean: -0.2 },
  { gamma: "1 + a * log(mu)", beta: "b * sqrt(mu)", mean: 3 },
  { gamma: "1 + a * tanh(mu) / sigma", beta: "b * mu / var", mean: 2, var: 1e-4 },
  { gamma: "1 + a / (mu**2 - 2)", beta: "b * tan(mu)", mean: 1.4 },
  { gamma: "a * tanh(mu)", beta: "mu", mean: 0 },
  { gamma: "1 + a * relu(mu - 3)", beta: "b * clip(mu, -1, 1)", mean: 3 },
  { gamma: "1 + a * exp(mu)", beta: "b * mu**3", mean: 4 },
];

const surprise = (state, next) => {
  const others = SURPRISES.filter(({ gamma }) => gamma !== state.gamma);
  return { var: 1, a: 0.5, b: 0.5, ...others[Math.floor(next() * others.length)] };
};

export default explorable({ keys: ["gamma", "beta", "mean", "var", "a", "b", "c", "d", "eps"], View, describe, surprise });
