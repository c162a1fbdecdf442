// Find the bug: shape an input until a wrong Batch Normalization gives itself away, then say what is wrong with it.
import { html, useMemo } from "../preact.js";
import { batchNormMistaken, gaussian, moments } from "../bn.js";
import { AxisX, AxisY, Choice, Drawing, Handle, Slider, clamp, explorable, fixed, scale, significant } from "../ui.js";

const WIDTH = 360;
const INPUT_HEIGHT = 172;
const ROWS = [52, 134]; // the heights of the two features
const LIMIT = 4; // x is between -LIMIT and LIMIT
const along = scale([-LIMIT, LIMIT], [20, WIDTH - 20], 8);

const OUTPUT_HEIGHT = 330;
const SIDES = [[34, 188], [202, 356]]; // of a square for each feature, in which the outputs are drawn against each other
const TOP = 44;
const FLOOR = TOP + SIDES[0][1] - SIDES[0][0];
const REACH = 3; // outputs beyond it are drawn at the edge, hollow
const EDGE = REACH + 0.2;
const SEEN_APART = 0.5; // outputs that differ by more keep at least this distance at the edge
const across = SIDES.map((side) => scale([-REACH, REACH], side, 3));
const up = scale([-REACH, REACH], [FLOOR, TOP], 3);
const NO_NUMBER = FLOOR + 42; // the height, below the axis, at which what is not a number is drawn
const METER = OUTPUT_HEIGHT - 24;
const onMeter = (share) => 20 + (clamp(Math.log10(Math.max(share, 1e-17)) + 17, 0, 17) / 17) * (WIDTH - 40);

const LETTERS = [..."ABCDEFGH"];
const COPIES = [1, 2, 3, 10, 30, 100];
const CLEAR = 0.05; // of the largest output: seen without a ruler
const ABOVE_ROUNDING = 100;

// An input on which no mistake shows, and the one change that exposes each.
const CONVENIENT = { x: [[-1.34, 0.45], [0.45, 1.34], [1.34, -0.45], [-0.45, -1.34]], far: 0, copies: 100, gamma: 1, beta: 0, eps: 1e-5 };
const EXPOSED_BY = {
  ddof1: { copies: 1 },
  onePass: { far: 1e8 },
  epsOutside: { eps: 1 },
  noEps: { eps: 1 },
  varianceForDeviation: { x: CONVENIENT.x.map(([a, b]) => [2 * a, 2 * b]) },
  overEverything: { x: CONVENIENT.x.map(([a, b]) => [a, b + 2]) },
  gammaLeftOut: { gamma: 2 },
  betaScaled: { gamma: 0.5, beta: 1 },
};

const mistakeOf = ({ mistakes, suspect }) => mistakes[LETTERS.indexOf(suspect)];

/** The outputs of the four rows, in a mini-batch that repeats them. */
function outputs({ x, far, copies, gamma, beta, eps }, id) {
  const rows = x.map((row) => row.map((value) => value + far));
  const batch = Array.from({ length: copies }, () => rows).flat();
  return batchNormMistaken(batch, gamma, beta, eps, id).slice(0, x.length);
}

/** How far two outputs are apart, as a share of the largest; and where most. What is not a number is infinitely far. */
function distance(a, b) {
  const size = Math.max(...[...a, ...b].flat().map(Math.abs).filter(Number.isFinite), 1e-300);
  const gaps = a.flatMap((row, i) => row.map((value, c) => ({ i, c, gap: Number.isFinite(b[i][c]) ? Math.abs(value - b[i][c]) / size : Infinity })));
  return { size, ...gaps.reduce((worst, each) => (each.gap > worst.gap ? each : worst)) };
}

/** What a change in the last digit of x, and of y, does to the outputs, as a share of the largest. */
function roundingOf({ x, far, gamma, eps }, size) {
  const shares = [0, 1].map((c) => {
    const values = x.map((row) => row[c] + far);
    return Math.abs(gamma) * Math.max(...values.map(Math.abs)) / Math.sqrt(moments(values).variance + eps);
  });
  return Number.EPSILON * (1 + Math.max(...shares) / size);
}

/** What there is to see: both outputs, how far they are apart, and what rounding would do. */
function compare(state) {
  const right = outputs(state, "");
  const wrong = outputs(state, mistakeOf(state).id);
  const { size, gap, i, c } = distance(right, wrong);
  const rounding = roundingOf(state, size);
  return { right, wrong, gap, i, c, rounding, clear: gap >= CLEAR && gap >= ABOVE_ROUNDING * rounding };
}

const percent = (share) => `${significant(100 * share, 2)} %`;
const number = (value) => (!Number.isFinite(value) ? "not a number" : Math.abs(value) < 1000 ? fixed(value) : significant(value));

/** What the figure answers to the reader's guess. */
function reply(state, { wrong, clear }) {
  const { suspect, answer, found, shown, mistakes } = state;
  const truth = mistakeOf(state);
  const told = `“${truth.name}”. Its author would be told: “${truth.says}”`;
  if (found.includes(suspect) || (answer === truth.name && clear)) return `Yes: ${told}`;
  if (shown.includes(suspect)) return `It is ${told}`;
  if (!clear) {
    return answer
      ? "That would be a guess. On this input the suspect is as good as right: first find one that tells them apart."
      : "On this input the suspect is as good as right. Change the input until it is not.";
  }
  if (!answer) return "Told apart. Now look at how, and say what it does wrong.";
  const guess = outputs(state, mistakes.find(({ name }) => name === answer).id);
  const { gap, i, c } = distance(guess, wrong);
  return gap < CLEAR
    ? `“${answer}” would look nearly the same here. Find an input on which that one and the suspect differ.`
    : `No. With “${answer}” value ${i + 1} of feature ${c + 1} would become ${number(guess[i][c])}, and the suspect makes it ${number(wrong[i][c])}.`;
}

// What each claim compares; `close` leaves room for rounding only, as in the exercises' formula.py.
const close = (a, b) => Number.isFinite(a) && Number.isFinite(b) && Math.abs(a - b) <= 1e-9 + 1e-6 * Math.max(Math.abs(a), Math.abs(b));
const columns = (y) => [0, 1].map((c) => moments(y.map((row) => row[c])));
const TESTS = [
  (y, { beta }) => columns(y).every(({ mean }) => close(mean, beta)),
  (y, { gamma }) => columns(y).every(({ variance }) => close(Math.sqrt(variance), Math.abs(gamma))),
  (y) => y.flat().every((value) => close(value, value)),
  (y, _, right) => y.every((row, i) => row.every((value, c) => close(value, right[i][c]))), // the definition gives what is right
];

/** What the figure answers to a claim; and whether it exposes the suspect. */
function judged(state, { right, wrong, clear }) {
  const { suspect, claim, claims, shown } = state;
  const told = `Its author would be told: “${mistakeOf(state).says}”`;
  if (shown.includes(suspect)) return { says: `It is “${mistakeOf(state).name}”. ${told}`, exposed: true };
  if (!claim) return { says: clear ? "Right and suspect come apart here. Which claim shows it?" : "On this input the suspect is as good as right, to a few percent: no claim is a clear test. Change the input." };
  const test = TESTS[claims.indexOf(claim)];
  const [holds, holdsForSuspect] = [right, wrong].map((y) => test(y, state, right));
  if (!holds) return { says: "The claim is false: a right implementation fails it as well, and so it exposes nobody." };
  if (!clear) return { says: "Outputs that are this close may differ by rounding or by how one computes. Change the input until they come apart." };
  if (holdsForSuspect && claim === "close(y, y)") return { says: "The claim holds for everything. Whatever comes out, it says nothing." };
  if (holdsForSuspect) return { says: "The claim holds for the suspect, too: what differs here is not what it looks at." };
  return { says: `Exposed: a right implementation keeps the claim and the suspect does not. ${told}`, exposed: true };
}

/** A feature's mark: a circle or a square, so that colour says nothing alone. */
function Mark({ c, x, y, kind }) {
  return c === 0
    ? html`<circle class=${kind} cx=${x.toFixed(1)} cy=${y.toFixed(1)} r="6" />`
    : html`<rect class=${kind} x=${(x - 5.5).toFixed(1)} y=${(y - 5.5).toFixed(1)} width="11" height="11" />`;
}

function Input({ state, change, uid }) {
  const { x, far } = state;
  const handles = x.flatMap((row, i) => row.map((value, c) => html`
    <${Handle} key=${`${i}${c}`} width=${WIDTH} height=${INPUT_HEIGHT} at=${[along(value), ROWS[c]]}
      x=${{ value, scale: along, min: -LIMIT, max: LIMIT, step: 0.1 }}
      label=${`value ${i + 1} of feature ${c + 1}`} text=${`${fixed(value)}${far ? ` plus ${far}` : ""}`}
      move=${(to) => change({ x: x.map((old, j) => (j === i ? old.map((v, d) => (d === c ? to.x : v)) : old)) })} />
  `));
  const axes = useMemo(() => ROWS.map((height) => html`<${AxisX} scale=${along} y=${height + 11} />`), []); // drawn once
  return html`
    <${Drawing} width=${WIDTH} height=${INPUT_HEIGHT} uid=${uid} handles=${handles}>
      ${axes}
      ${ROWS.map((height, c) => {
        const { mean, variance } = moments(x.map((row) => row[c]));
        return html`
          <text class="bn-row" x="4" y=${height - 38}>${`in: feature ${c + 1}${far ? `, + ${significant(far)}` : ""}`}</text>
          <text x=${WIDTH - 4} y=${height - 38} text-anchor="end">μ = ${fixed(mean)}, σ² = ${fixed(variance)}</text>
          <line class="bn-band" x1=${along(clamp(mean - Math.sqrt(variance), -LIMIT, LIMIT)).toFixed(1)} x2=${along(clamp(mean + Math.sqrt(variance), -LIMIT, LIMIT)).toFixed(1)} y1=${height - 22} y2=${height - 22} />
          <line class="bn-mean" x1=${along(mean).toFixed(1)} x2=${along(mean).toFixed(1)} y1=${height - 28} y2=${height - 16} />
          ${x.map((row) => html`<${Mark} c=${c} x=${along(row[c])} y=${height} kind="bn-in" />`)}
        `;
      })}
    <//>
  `;
}

/** Where a right output and the suspect's are drawn against each other, and the height of the line "alike" there. */
function placed(right, wrong, across) {
  if (Number.isNaN(wrong)) return { x: across(clamp(right, -REACH, REACH)), y: NO_NUMBER, out: true };
  const inside = (value) => clamp(value, -EDGE, EDGE);
  const out = inside(right) !== right || inside(wrong) !== wrong;
  let [x, y] = [inside(right), inside(wrong)];
  // Both at the edge would look alike: the one that is nearer to 0 moves in.
  const apart = clamp(wrong - right, -SEEN_APART, SEEN_APART);
  if (Math.abs(y - x) < Math.abs(apart)) {
    if (Math.abs(wrong) > Math.abs(right)) x = y - apart;
    else y = x + apart;
  }
  return { x: across(x), y: up(y), from: up(x), out };
}

function Outputs({ seen, uid }) {
  const { right, wrong, gap, rounding } = seen;
  const [low, high] = [-REACH, REACH];
  const axes = useMemo(
    () => across.map((s, c) => html`
      <${AxisX} scale=${s} y=${up(low)} top=${up(high)} label=${c === 1 && "right y"} />
      <${AxisY} scale=${up} x=${s(low)} right=${s(high)} format=${c === 1 ? () => "" : undefined} />
      <text x=${s(low)} y=${TOP - 7}>feature ${c + 1}</text>
    `),
    [],
  );
  const features = across.map((s, c) => right.map((row, i) => placed(row[c], wrong[i][c], s)));
  const noNumber = features.flat().some(({ from }) => from === undefined);
  return html`
    <${Drawing} width=${WIDTH} height=${OUTPUT_HEIGHT} uid=${uid}>
      <text class="bn-row" x="2" y="14">out: the suspect’s y</text>
      ${axes}
      <text class="bn-index" x=${across[1](high)} y=${TOP - 7} text-anchor="end">line: alike</text>
      ${features.map((points, c) => html`
        <g class="bn-of-feature">
          <line class="bn-alike" x1=${across[c](low)} y1=${up(low)} x2=${across[c](high)} y2=${up(high)} />
          ${points.map(({ x, from, y }) => from && html`<line class="bn-apart" x1=${x.toFixed(1)} x2=${x.toFixed(1)} y1=${from.toFixed(1)} y2=${y.toFixed(1)} />`)}
          ${points.map(({ x, y, out }) => html`<${Mark} c=${c} x=${x} y=${y} kind=${out ? "bn-suspect bn-beyond" : "bn-suspect"} />`)}
        </g>
      `)}
      ${noNumber && html`<text class="bn-index" x="2" y=${NO_NUMBER + 22}>not a number</text>`}
      <g class="bn-meter">
        <rect class="bn-meter-all" x=${onMeter(0)} y=${METER - 5} width=${onMeter(1) - onMeter(0)} height="10" rx="5" />
        <rect class="bn-meter-gap" x=${onMeter(0)} y=${METER - 5} width=${(onMeter(Math.min(gap, 1)) - onMeter(0)).toFixed(1)} height="10" rx="5" />
        <line x1=${onMeter(rounding).toFixed(1)} x2=${onMeter(rounding).toFixed(1)} y1=${METER - 9} y2=${METER + 9} />
        <line x1=${onMeter(CLEAR).toFixed(1)} x2=${onMeter(CLEAR).toFixed(1)} y1=${METER - 9} y2=${METER + 9} />
        <text x=${onMeter(rounding).toFixed(1)} y=${METER + 20} text-anchor="middle">rounding</text>
        <text x=${onMeter(CLEAR).toFixed(1)} y=${METER + 20} text-anchor="middle">clear</text>
        <text x=${onMeter(0)} y=${METER - 13}>${Number.isFinite(gap) ? `apart by ${percent(gap)}` : "infinitely far apart"}</text>
      </g>
    <//>
  `;
}

/** The claims about the output, one of which the reader chooses, and what is found. */
function Claims({ state, seen, change, show }) {
  const { claim, claims } = state;
  const { says, exposed } = judged(state, seen);
  return html`
    <div class="bn-naming" role="group" aria-label="A claim about the output">
      <div class="bn-controls">
        <span>Which claim exposes it?</span>
        <div class="bn-names bn-claims">
          ${claims.map((text) => html`
            <button key=${text} type="button" aria-pressed=${claim === text} onClick=${() => change({ claim: text })}><code>${text}</code></button>
          `)}
          <button type="button" class="bn-show" onClick=${show}>Show me</button>
        </div>
      </div>
      <p class="bn-reply" role="status">${exposed ? "✓ " : ""}${says}</p>
    </div>
  `;
}

function View({ state, set, uid }) {
  const { suspect, far, copies, gamma, beta, eps, answer, found, shown, mistakes } = state;
  const seen = compare(state);
  const truth = mistakeOf(state);
  // A guess was about the input it was made on. A claim is about any input, but what was shown is no longer there.
  const change = (patch) => set({ ...patch, answer: "", ...(state.alone && { shown: [] }) });
  const names = [...mistakes].sort((a, b) => (a.name < b.name ? -1 : 1));
  const guess = (name) =>
    set({ answer: name, ...(name === truth.name && seen.clear && !found.includes(suspect) && { found: [...found, suspect] }) });
  const show = () =>
    set({ ...CONVENIENT, ...EXPOSED_BY[truth.id], answer: "", shown: shown.includes(suspect) ? shown : [...shown, suspect] });
  const power = far ? Math.round(Math.log10(far)) : 0;
  const solved = found.includes(suspect) || shown.includes(suspect);
  return html`
    ${!state.alone && html`<${Choice} label="Suspect" value=${suspect} options=${LETTERS.map((letter) => [letter, found.includes(letter) ? `${letter} ✓` : letter])}
      uid=${uid} set=${(letter) => change({ suspect: letter })} />`}
    <div class="bn-beside bn-pair">
      <div class="bn-lab">
        <${Input} state=${state} change=${change} uid=${uid} />
        <div class="bn-sliders">
          <${Slider} label="m, samples" value=${COPIES.findIndex((count) => count >= copies)} min=${0} max=${COPIES.length - 1} step=${1}
            format=${() => String(state.x.length * copies)} set=${(i) => change({ copies: COPIES[i] })} />
          <${Slider} label="added to x" value=${power} min=${0} max=${8} step=${1}
            format=${() => significant(far)} set=${(k) => change({ far: k ? 10 ** k : 0 })} />
          <${Slider} label="γ, the scale" value=${gamma} min=${-3} max=${3} step=${0.05} set=${(v) => change({ gamma: v })} />
          <${Slider} label="β, the shift" value=${beta} min=${-3} max=${3} step=${0.05} set=${(v) => change({ beta: v })} />
          <${Slider} label="ε" value=${eps} min=${1e-5} max=${10} step=${0.05} log=${true} format=${significant} set=${(v) => change({ eps: v })} />
        </div>
      </div>
      <${Outputs} seen=${seen} uid=${uid} />
    </div>
    ${state.alone && html`<${Claims} state=${state} seen=${seen} change=${change}
      show=${() => set({ ...CONVENIENT, ...EXPOSED_BY[truth.id], claim: state.claims.at(-1), shown: [suspect] })} />`}
    ${!state.alone && html`<div class="bn-naming" role="group" aria-label=${`What does suspect ${suspect} do wrong?`}>
      <div class="bn-controls">
        <span>What does suspect ${suspect} do wrong?</span>
        <div class="bn-names">
          ${names.map(({ name }) => html`
            <button key=${name} type="button" aria-pressed=${answer === name || (solved && truth.name === name)} onClick=${() => guess(name)}>${name}</button>
          `)}
          <button type="button" class="bn-show" onClick=${show}>Show me</button>
        </div>
      </div>
      <p class="bn-reply" role="status">${reply(state, seen)}</p>
    </div>`}
  `;
}

function describe(state) {
  const { right, wrong, gap, i, c, rounding, clear } = compare(state);
  const found = state.found.length ? ` ${state.found.length} of ${LETTERS.length} found.` : "";
  const verdict = clear ? "told apart clearly" : gap <= ABOVE_ROUNDING * rounding ? "no more than rounding explains" : "too little to see";
  const apart = Number.isFinite(gap) ? `differ by ${percent(gap)} of the largest, ${verdict}` : "are no numbers, told apart clearly";
  return (
    `${state.alone ? "The suspect" : `Suspect ${state.suspect}`} on ${state.x.length * state.copies} samples: its outputs ${apart} (rounding: ${percent(rounding)}). ` +
    `Value ${i + 1} of feature ${c + 1} becomes ${number(wrong[i][c])}, and ${number(right[i][c])} would be right.${found}`
  );
}

/** Another suspect, on an input that gives it away. */
function surprise(state, next) {
  const pick = (values) => values[Math.floor(next() * values.length)];
  const others = LETTERS.filter((letter) => letter !== state.suspect);
  const open = others.filter((letter) => !state.found.includes(letter));
  const suspect = state.alone ? state.suspect : pick(open.length ? open : others);
  const snap = (value, step) => Number((Math.round(value / step) * step).toPrecision(6));
  const draw = () => {
    const features = [0, 1].map(() => ({ center: 2 * gaussian(next), spread: 0.3 + 1.2 * next() }));
    return {
      x: state.x.map(() => features.map(({ center, spread }) => clamp(snap(center + spread * gaussian(next), 0.1), -LIMIT, LIMIT))),
      far: pick([0, 0, 1e8]),
      copies: pick([1, 1, 10]),
      gamma: snap(0.5 + 2 * next(), 0.05),
      beta: snap(3 * (next() - 0.5), 0.05),
      eps: pick([1e-5, 0.1, 1]),
    };
  };
  const truth = mistakeOf({ ...state, suspect });
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const input = draw();
    if (compare({ ...state, ...input, suspect }).clear) return { ...input, suspect, answer: "" };
  }
  return { ...CONVENIENT, ...EXPOSED_BY[truth.id], suspect, answer: "" };
}

export default explorable({
  keys: ["suspect", "x", "far", "copies", "gamma", "beta", "eps", "answer", "found", "shown", "mistakes", "alone", "claims", "claim"],
  View,
  describe,
  surprise,
});
