// Two features, one step size: the bowl of a linear model's loss, and descent into it.
import { html, useMemo } from "../preact.js";
import { descentOfTwo, eigenOfTwo, hessianOfTwo, lossOfTwo, moments, standardizedTwo, whitenedTwo } from "../bn.js";
import {
  AxisX, AxisY, Choice, Drawing, Handle, clamp, explorable, fixed, line, reducedMotion, scale, significant, usePlaying,
} from "../ui.js";

const WIDTH = 360;
const STEPS = 60;
const REACH = [8, 6]; // of the plane, to each side of the best weights
const RATES = { min: Math.log10(0.001), max: Math.log10(3), step: 0.02 }; // the learning rate moves in powers of ten
const DEVIATIONS = { min: 1, max: 10, step: 0.1 };
const PREPARATIONS = [["none", "as given"], ["standardize", "standardized"], ["whiten", "whitened"]];
const PREPARED_WORDS = { none: "what the model gets", standardize: "standardized", whiten: "whitened" };
const prepare = { none: (rows) => rows, standardize: standardizedTwo, whiten: whitenedTwo };

/** Whitening makes components of the features: each is a sum of both. */
const nameOf = (preparation) => (preparation === "whiten" ? "component" : "feature");
const weightOf = (preparation, j) => (preparation === "whiten" ? `weight of component ${j}` : `weight ${j}`);

/** What is known of the bowl: the features as given and as prepared, the Hessian and what follows from it. */
function bowl({ x, deviation, preparation }) {
  const own = Math.sqrt(moments(x.map((row) => row[1])).variance);
  const given = x.map(([x1, x2]) => [x1, (x2 * deviation) / own]);
  const prepared = prepare[preparation](given);
  const h = hessianOfTwo(prepared);
  const { largest, smallest, angle } = eigenOfTwo(h);
  const condition = largest / smallest;
  return {
    given, prepared, h, largest, smallest, angle, condition,
    round: condition < 1.001, // it has no valley, and no direction is steep or flat
    limit: 2 / largest,
    best: 2 / (largest + smallest),
  };
}

/** The descent, and the loss at each step as a fraction of that at the start. */
function descent({ h, largest, smallest }, { start, rate }) {
  const path = descentOfTwo(h, start, rate, STEPS);
  const began = lossOfTwo(h, start);
  return {
    path,
    left: path.map((e) => (began > 0 ? lossOfTwo(h, e) / began : 0)),
    steep: 1 - rate * largest,
    flat: 1 - rate * smallest,
  };
}

// The plane of the weights, and the learning rate below it

const TOP = 40;
const BOTTOM = 268;
const HEIGHT = 370;
const TRACK = 336;
const across = scale([-REACH[0], REACH[0]], [44, 348], 4);
const up = scale([-REACH[1], REACH[1]], [BOTTOM, TOP], 4);
const along = scale([RATES.min, RATES.max], [22, 338]);
const UNIT = across(1) - across(0);
const HALF_WIDTHS = [0.4, 1, 2, 3.2, 4.4, 5.6]; // of the ellipses, across the valley

/** A path as far as it can be drawn: a little beyond the plane it is as good as gone. */
function drawable(path) {
  const gone = path.findIndex(([e1, e2]) => Math.abs(e1) > 5 * REACH[0] || Math.abs(e2) > 5 * REACH[1]);
  return (gone < 0 ? path : path.slice(0, gone + 1)).map(([e1, e2]) => [across(e1), up(e2)]);
}

// What never changes is made once, and not compared again at every step of a drag.
const [PLANE_AXES, PLANE_AXES_WHITENED] = ["none", "whiten"].map((preparation) => html`
  <${AxisY} scale=${up} x=${across.range[0]} label=${`${weightOf(preparation, 2)} − best`} />
  <${AxisX} scale=${across} y=${BOTTOM} label=${`${weightOf(preparation, 1)} − best`} />
`);
const RATE_AXIS = html`
  ${[0.001, 0.01, 0.1, 1].map((tick) => html`<text class="bn-quiet" x=${along(Math.log10(tick))} y=${TRACK + 28} text-anchor="middle">${tick}</text>`)}
  <text x="2" y=${TRACK - 19}>learning rate</text>
`;

/** Ellipses of equal loss. */
function contours({ condition, angle }) {
  const degrees = ((-angle * 180) / Math.PI).toFixed(3);
  return html`
    <g transform=${`translate(${across(0)} ${up(0)}) rotate(${degrees})`}>
      ${HALF_WIDTHS.map((half) => html`<ellipse class="bn-contour" rx=${half * UNIT} ry=${(half * Math.sqrt(condition) * UNIT).toFixed(2)} />`)}
    </g>
  `;
}

function Plane({ state, set, uid, at, run }) {
  const { rate, start, steps, preparation } = state;
  const [first, second] = [1, 2].map((j) => weightOf(preparation, j));
  const shown = drawable(run.path.slice(0, steps + 1));
  const [limitAt, rateAt] = [clamp(along(Math.log10(at.limit)), ...along.range), along(Math.log10(rate))];
  const ellipses = useMemo(() => contours(at), [at.condition, at.angle]);
  const handles = html`
    <${Handle} key="start" width=${WIDTH} height=${HEIGHT} at=${[across(start[0]), up(start[1])]}
      x=${{ value: start[0], scale: across, min: -REACH[0], max: REACH[0], step: 0.25 }}
      y=${{ value: start[1], scale: up, min: -REACH[1], max: REACH[1], step: 0.25 }}
      label=${`start of the descent: ${first} sideways, ${second} up and down`}
      text=${`${first} off by ${fixed(start[0])}, ${second} off by ${fixed(start[1])}`}
      move=${({ x, y }) => set({ start: [x ?? start[0], y ?? start[1]] })} />
    <${Handle} key="rate" width=${WIDTH} height=${HEIGHT} at=${[rateAt, TRACK]}
      x=${{ value: Math.log10(rate), scale: along, ...RATES }} label="learning rate"
      text=${`${significant(rate)}; the largest that converges is ${significant(at.limit)}`}
      move=${({ x }) => set({ rate: clamp(Number((10 ** x).toPrecision(3)), 0.001, 3) })} />
  `;
  return html`
    <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${handles}>
      <text class="bn-row" x="2" y="13">condition number ${significant(at.condition)}</text>
      <text class="bn-row bn-quiet" x="358" y="13" text-anchor="end">a step: ${at.round ? `error × ${factor(run.steep)}` : `steep × ${factor(run.steep)}, flat × ${factor(run.flat)}`}</text>
      <clipPath id=${`${uid}-plane`}><rect x=${across.range[0]} y=${TOP} width=${across.range[1] - across.range[0]} height=${BOTTOM - TOP} /></clipPath>
      ${preparation === "whiten" ? PLANE_AXES_WHITENED : PLANE_AXES}
      <g clip-path=${`url(#${uid}-plane)`}>
        ${ellipses}
        <path class="bn-best" d=${`M${across(0) - 6} ${up(0)}h12m-6 -6v12`} />
        <path class="bn-descent" d=${line(shown)} />
        <path class="bn-visited" d=${shown.slice(1).map(([cx, cy]) => `M${cx.toFixed(2)} ${cy.toFixed(2)}h0`).join("")} />
        <circle class="bn-in" cx=${across(start[0])} cy=${up(start[1])} r="6" />
      </g>
      <g class="bn-rates">
        <line class="bn-converges" x1=${along.range[0]} x2=${limitAt} y1=${TRACK} y2=${TRACK} />
        <line class="bn-diverges" x1=${limitAt} x2=${along.range[1]} y1=${TRACK} y2=${TRACK} />
        <line class="bn-limit" x1=${limitAt} x2=${limitAt} y1=${TRACK - 14} y2=${TRACK + 10} />
        <text class="bn-accent-text" x=${clamp(limitAt, 140, 296)} y=${TRACK - 19} text-anchor="middle">2/λmax = ${significant(at.limit)}</text>
        ${RATE_AXIS}
        <circle class="bn-in" cx=${rateAt} cy=${TRACK} r="7" />
      </g>
    <//>
  `;
}

const factor = (value) => (Math.abs(value) < 100 ? fixed(value) : fixed(value, 0));

// The features as they are given and as the model gets them; the loss below

const TALL = 362;
const SQUARE = 36; // the top of a square of features
const BOX = 128; // and its side
const CURVE = [218, 328]; // between these heights is the loss
const FLOOR = -6;
const CEILING = 2;
const stepsAcross = scale([0, STEPS], [46, 346], 6);
const lossUp = scale([FLOOR, CEILING], [CURVE[1], CURVE[0]], 4);
const LOSS_AXES = html`
  <${AxisY} scale=${lossUp} x=${stepsAcross.range[0]} right=${stepsAcross.range[1]} format=${(tick) => significant(10 ** tick)} />
  <text x="2" y=${CURVE[0] - 22}>loss, as a fraction of that at the start</text>
  <${AxisX} scale=${stepsAcross} y=${CURVE[1]} label="steps" />
`;
const GIVEN = 16; // a square of features as given reaches this far to each side, one of prepared features this:
const PREPARED = 2.4;

function Features({ rows, left, reach, words, unit, name = "feature" }) {
  const middle = SQUARE + BOX / 2;
  const place = (value) => (value / reach) * (BOX / 2);
  return html`
    <g class="bn-features">
      <text class="bn-row" x=${left} y="13">${words}</text>
      <rect x=${left} y=${SQUARE} width=${BOX} height=${BOX} />
      <path d=${`M${left} ${middle}h${BOX}M${left + BOX / 2} ${SQUARE}v${BOX}`} />
      ${rows.map(([x1, x2]) => html`<circle class=${unit} cx=${left + BOX / 2 + place(x1)} cy=${middle - place(x2)} r="5" />`)}
      <text class="bn-quiet" x=${left} y=${SQUARE - 5}>${name} 2</text>
      <text class="bn-quiet" x=${left + BOX} y=${SQUARE + BOX + 19} text-anchor="end">${name} 1, ± ${reach}</text>
    </g>
  `;
}

function Data({ state, set, uid, at, run }) {
  const { deviation, preparation, steps } = state;
  const raw = preparation === "none";
  const deviationUp = scale([0, GIVEN], [SQUARE + BOX / 2, SQUARE]);
  const [left, right] = [44, 222];
  const ruler = left - 16;
  const level = (value) => lossUp(clamp(Math.log10(Math.max(value, 1e-300)), FLOOR, CEILING + 1));
  const curve = run.left.map((value, k) => [stepsAcross(k), level(value)]);
  const handles = html`
    <${Handle} key="deviation" width=${WIDTH} height=${TALL} at=${[ruler, deviationUp(deviation)]}
      y=${{ value: deviation, scale: deviationUp, ...DEVIATIONS }} label="standard deviation of feature 2, as given"
      text=${`${fixed(deviation, 1)}; that of feature 1 is 2`} move=${({ y }) => set({ deviation: y })} />
    <${Handle} key="steps" width=${WIDTH} height=${TALL} at=${[stepsAcross(steps), clamp(curve[steps][1], CURVE[0], CURVE[1])]}
      x=${{ value: steps, scale: stepsAcross, min: 0, max: STEPS, step: 1 }} label="steps shown"
      text=${`${steps} steps: ${lossLeft(run.left[steps])}`} move=${({ x }) => set({ steps: x })} />
  `;
  return html`
    <${Drawing} width=${WIDTH} height=${TALL} uid=${uid} handles=${handles}>
      <clipPath id=${`${uid}-curve`}><rect x=${stepsAcross.range[0]} y=${CURVE[0] - 4} width="302" height=${CURVE[1] - CURVE[0] + 6} /></clipPath>
      <${Features} rows=${at.given} left=${left} reach=${GIVEN} words="features as given" unit="bn-in" />
      <path class="bn-arrow" d=${`M${left + BOX + 14} ${SQUARE + BOX / 2}h20m-6 -5l6 5l-6 5`} />
      <${Features} rows=${at.prepared} left=${right} reach=${raw ? GIVEN : PREPARED} words=${PREPARED_WORDS[preparation]} unit=${raw ? "bn-in" : "bn-out"} name=${nameOf(preparation)} />
      <line class="bn-band" x1=${ruler} x2=${ruler} y1=${deviationUp(-deviation)} y2=${deviationUp(deviation)} />
      <text class="bn-accent-text" x="2" y=${SQUARE + BOX + 16}>σ₂ = ${fixed(deviation, 1)}</text>
      ${LOSS_AXES}
      <g clip-path=${`url(#${uid}-curve)`}>
        <path class="bn-ahead" d=${line(curve)} />
        <path class="bn-descent" d=${line(curve.slice(0, steps + 1))} />
      </g>
      <circle class="bn-in" cx=${stepsAcross(steps)} cy=${clamp(curve[steps][1], CURVE[0], CURVE[1])} r="6" />
    <//>
  `;
}

const SPEED = 15; // steps in a second

function View({ state, set, uid, anew }) {
  const at = bowl(state);
  const run = descent(at, state);
  const [running, play, stop] = usePlaying({ value: state.steps, max: STEPS, speed: SPEED, set: (steps) => set({ steps }), anew });
  const press = () => {
    if (running) stop();
    else if (reducedMotion()) set({ steps: STEPS });
    else play(0);
  };
  return html`
    <div class="bn-beside bn-pair">
      <${Plane} state=${state} set=${set} uid=${uid} at=${at} run=${run} />
      <div class="bn-drawing">
        <${Data} state=${state} set=${set} uid=${uid} at=${at} run=${run} />
        <div class="bn-toolbar bn-controls">
          <button type="button" onClick=${press}>${running ? "Stop" : "Run"}</button>
          <button type="button" onClick=${() => set({ rate: clamp(Number(at.best.toPrecision(3)), 0.001, 3) })}>Best rate</button>
        </div>
      </div>
    </div>
    <${Choice} label="Features" value=${state.preparation} options=${PREPARATIONS} set=${(preparation) => set({ preparation })} uid=${uid} />
  `;
}

/** What a step does to the error, in words. */
function whatHappens({ round, steep, flat }) {
  const [error, sign] = round ? ["the error", "the error’s sign"] : ["the steep error", "the steep error’s sign"];
  const off = `${fixed(100 * (1 - Math.abs(flat)), 1)} % off the ${round ? "error" : "flat error"}`;
  if (Math.abs(steep + 1) < 1e-9) {
    // Just at the limit, but for rounding.
    return `it neither diverges nor arrives: a step only turns ${sign}${round ? "" : `, and takes ${off}`}`;
  }
  if (steep < -1) return `it diverges: a step multiplies ${error} by ${fixed(steep, steep > -1.01 ? 4 : 2)}`;
  if (steep >= -0.005) return `it does not overshoot, and a step takes ${off}`;
  return round ? `every step jumps over the bottom, and takes ${off}` : `it zigzags across the valley, and a step takes ${off}`;
}

/** What is left of the loss, in words; `left` is its share of that at the start. */
function lossLeft(left) {
  if (left < 1e-12) return "no loss is left";
  const share = significant(left, 2);
  if (share === "1") return `the loss is ${Math.abs(left - 1) < 1e-9 ? "" : "about "}as large as at the start`;
  return left < 1 ? `the loss is ${share} of the first` : `the loss is ${share} times the first`;
}

function describe(state) {
  const at = bowl(state);
  const { left, steep, flat } = descent(at, state);
  const features = {
    none: `Deviations 2 and ${significant(state.deviation)}`,
    standardize: "Standardized, whatever the scale was",
    whiten: "Whitened, a round bowl",
  }[state.preparation];
  return (
    `${features}: condition number ${significant(at.condition)}, rates below ${significant(at.limit)} converge. ` +
    `At ${significant(state.rate)} ${whatHappens({ round: at.round, steep, flat })}. After ${state.steps} steps ${lossLeft(left[state.steps])}.`
  );
}

export default explorable({ keys: ["x", "deviation", "preparation", "rate", "start", "steps"], View, describe });
