// Three paths back: dy arrives, three paths carry it to x, and each can be switched off.
import { html, useMemo } from "../preact.js";
import { alongPaths, batchNormBackward, gradientByDifferences, moments, scaleAndShift } from "../bn.js";
import { AxisX, AxisY, Drawing, Handle, Press, Slider, clamp, explorable, fixed, roundLimit, scale, significant } from "../ui.js";

const WIDTH = 360;
const REACH = { x: { min: 0, max: 2, step: 0.02 }, y: { min: -1, max: 1, step: 0.02 } };
const PATHS = ["direct", "mean", "variance"];
const NAMES = { direct: "direct path", mean: "path through the mean", variance: "path through the variance" };
const VISIBLE = 0.005; // what two decimals show
const UNSEEN = 1e-3; // of the largest: no reader sees it in the drawing, whatever γ is

/** An upright line, as part of a path. */
const upright = (x, from, to) => `M${x.toFixed(2)} ${from.toFixed(2)}V${to.toFixed(2)}`;

/** Everything that is drawn and said. */
function worked({ x, dy, gamma, eps, ...on }) {
  const statistics = moments(x);
  const { xHat } = scaleAndShift(x, statistics, 1, 0, eps);
  const back = batchNormBackward(dy, x, gamma, eps);
  const taken = PATHS.filter((path) => on[path]);
  const dx = alongPaths(back.paths, taken);
  const difference = gradientByDifferences(dy, x, gamma, eps);
  const total = (values) => values.reduce((sofar, value) => sofar + value, 0);
  const product = (values) => total(values.map((value, i) => value * xHat[i]));
  const wrong = (got, right) => Math.abs(got - right) >= VISIBLE;
  const m = x.length;
  return {
    ...statistics,
    xHat,
    paths: back.paths,
    taken,
    dx,
    truth: difference,
    factor: gamma / Math.sqrt(statistics.variance + eps),
    level: back.dbeta / m, // the mean of dy
    slope: back.dgamma / m, // and of dy times x_hat
    sums: [
      { name: "Σ dx", words: "the sum of dx", value: total(dx), right: total(back.dx), broken: wrong(total(dx), total(back.dx)) },
      { name: "Σ dx · x̂", words: "the sum of dx · x̂", value: product(dx), right: product(back.dx), broken: wrong(product(dx), product(back.dx)) },
    ],
    error: Math.max(...dx.map((value, i) => Math.abs(value - difference[i]))),
  };
}

// Above, what arrives: dy over x, and the line that the statistics take away. Below, the graph.

const PLANE = 224; // the lower edge of the plane
const HEIGHT = 421;
const across = scale([REACH.x.min, REACH.x.max], [46, WIDTH - 18], 4);
const up = scale([REACH.y.min, REACH.y.max], [PLANE, 44], 4);
const LANES = { direct: 296, mean: 346, variance: 396 }; // so far apart that each can be tapped on a phone
const NODES = { direct: "x − μ", mean: "μ", variance: "σ²" };
const [LEFT, MIDDLE, RIGHT] = [42, 144, 246]; // where the lanes reach x, where their node is, and where they leave x_hat

// What never changes is made once, and not compared again at every step of a drag.
const PLANE_AXES = html`
  <${AxisY} scale=${up} x=${across(REACH.x.min) - 8} right=${across(REACH.x.max)} />
  <text class="bn-title-of-plane" x="2" y="13">dy, the gradient that arrives</text>
  <${AxisX} scale=${across} y=${PLANE + 8} label="x" />
`;

function Arriving({ state, set, uid, now }) {
  const { x, dy, direct, mean: throughMean, variance: throughVariance } = state;
  const takes = (at) =>
    (throughMean ? now.level : 0) + (throughVariance ? (now.slope * (at - now.mean)) / Math.sqrt(now.variance + state.eps) : 0);
  const [first, last] = across.domain;
  const graph = useMemo(() => html`<${Graph} state=${state} />`, [direct, throughMean, throughVariance]);
  const move = (i) => (to) =>
    set({ x: x.map((old, j) => (j === i ? to.x ?? old : old)), dy: dy.map((old, j) => (j === i ? to.y ?? old : old)) });
  const handles = [
    ...x.map((value, i) => html`
      <${Handle} key=${i} width=${WIDTH} height=${HEIGHT} at=${[across(value), up(dy[i])]}
        x=${{ value, scale: across, ...REACH.x }} y=${{ value: dy[i], scale: up, ...REACH.y }}
        label=${`sample ${i + 1}: x sideways, dy up and down`}
        text=${`x ${fixed(value)}, dy ${fixed(dy[i])}, dx ${fixed(now.dx[i])}`} move=${move(i)} />
    `),
    ...PATHS.map((path) => html`
      <${Press} key=${path} width=${WIDTH} height=${HEIGHT} box=${[LEFT - 4, LANES[path] - 25, RIGHT - LEFT + 8, 50]}
        label=${`${path}: the ${NAMES[path]}`} on=${state[path]} set=${(on) => set({ [path]: on })} />
    `),
  ];
  return html`
    <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${handles}>
      <clipPath id=${`${uid}-plane`}><rect x=${across(first)} y="18" width=${across(last) - across(first)} height=${PLANE - 10} /></clipPath>
      ${PLANE_AXES}
      <g clip-path=${`url(#${uid}-plane)`}>
        <line class="bn-taken" x1=${across(first)} y1=${up(takes(first))} x2=${across(last)} y2=${up(takes(last))} />
        <path class="bn-left-over" d=${x.map((value, i) => upright(across(value), up(takes(value)), up(direct ? dy[i] : 0))).join("")} />
      </g>
      ${x.map((value, i) => html`
        <circle class="bn-in" cx=${across(value)} cy=${up(dy[i])} r="9" />
        <text class="bn-number" x=${across(value)} y=${up(dy[i]) + 4} text-anchor="middle">${i + 1}</text>
      `)}
      ${graph}
    <//>
  `;
}

function Graph({ state }) {
  const center = LANES.mean;
  return html`
    <g class="bn-graph">
      <text class="bn-row" x="8" y=${center - 5}>dx</text>
      <text class="bn-row bn-quiet" x="14" y=${center + 14}>x</text>
      <text class="bn-row" x=${RIGHT + 8} y=${center + 5}>x̂</text>
      <text class="bn-row" x="336" y=${center - 5}>dy</text>
      <text class="bn-row bn-quiet" x="342" y=${center + 14}>y</text>
      <line x1="284" x2="330" y1=${center} y2=${center} />
      <path class="bn-head" d=${`M276 ${center}l10 -5v10z`} />
      <text class="bn-row bn-quiet" x="306" y=${center - 9} text-anchor="middle">· γ</text>
      <line class="bn-nothing" x1=${MIDDLE} x2=${MIDDLE} y1=${LANES.mean + 15} y2=${LANES.variance - 15} />
      ${PATHS.map((path) => {
        const y = LANES[path];
        const bend = y === center ? "" : `C${RIGHT - 26} ${center} ${RIGHT - 12} ${y} ${RIGHT - 40} ${y}`;
        const back = y === center ? `L${LEFT + 8} ${y}` : `L${LEFT + 40} ${y}C${LEFT + 12} ${y} ${LEFT + 26} ${center} ${LEFT + 8} ${center}`;
        return html`
          <g class=${`bn-${path}-path ${state[path] ? "" : "bn-off"}`}>
            <path d=${`M${RIGHT} ${center}${bend}${back}`} />
            <rect x=${MIDDLE - 56} y=${y - 15} width="112" height="30" rx="15" />
            <text class="bn-row" x=${MIDDLE} y=${y + 4} text-anchor="middle">${path}: ${state[path] ? NODES[path] : "off"}</text>
          </g>
        `;
      })}
      <path class="bn-head" d=${`M${LEFT - 8} ${center}l10 -5v10z`} />
    </g>
  `;
}

// What leaves: for each sample a staircase of what the three paths bring; its last step is dx.

const TALL = 286;
const BAR = 13;
const place = (i) => 68 + i * 63;

function Leaving({ uid, now, on }) {
  const subsets = [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]];
  const reached = subsets.flatMap((subset) => alongPaths(now.paths, subset.map((k) => PATHS[k])));
  const limit = roundLimit(Math.max(1e-3, ...reached.map(Math.abs))); // the same whatever is switched off
  const height = useMemo(() => scale([-limit, limit], [236, 46], 4), [limit]);
  const axis = useMemo(() => html`<${AxisY} scale=${height} x=${36} right=${WIDTH - 4} />`, [height]);
  const fixtures = useMemo(() => html`
    <pattern id=${`${uid}-mean`} width="4" height="4" patternUnits="userSpaceOnUse">
      <path class="bn-mean-hatch" d="M0 2H4" />
    </pattern>
    <pattern id=${`${uid}-variance`} width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
      <path class="bn-variance-hatch" d="M0 2.5H5" />
    </pattern>
    <g class="bn-key">
      <rect class="bn-direct-bar" x="4" y="268" width="12" height="12" /><text x="20" y="278">direct</text>
      <rect class="bn-mean-bar" x="70" y="268" width="12" height="12" fill=${`url(#${uid}-mean)`} /><text x="86" y="278">mean</text>
      <rect class="bn-variance-bar" x="132" y="268" width="12" height="12" fill=${`url(#${uid}-variance)`} /><text x="148" y="278">variance</text>
      <line class="bn-step" x1="210" x2="226" y1="274" y2="274" /><text x="230" y="278">dx</text>
      <path class="bn-truth" d="M264 268l6 6l-6 6l-6 -6z" /><text x="275" y="278">true dx</text>
    </g>
  `, [uid]);
  // One shape for the bars of a path, one for all steps: a drag changes seven shapes, not sixty.
  const stairs = now.dx.map((_, i) => {
    let end = 0;
    return PATHS.map((path, k) => {
      const start = end;
      if (on[path]) end += now.paths[path][i];
      return { left: place(i) - 24 + k * (BAR + 1), start: height(start), end: height(end), last: k === 2 };
    });
  });
  const bar = ({ left, start, end }) => (start === end ? "" : `${upright(left, start, end)}h${BAR}V${start.toFixed(2)}z`);
  const step = ({ left, end, last }) => `M${left} ${end.toFixed(2)}h${BAR + (last ? 16 : 1)}`;
  const diamond = (value, i) => `M${place(i) + 25} ${(height(clamp(value, -limit, limit)) - 6).toFixed(2)}l6 6l-6 6l-6 -6z`;
  const sign = (value) => (value < 0 ? "+" : "−");
  const term = (path) => (on[path] ? `bn-${path}-term` : "bn-gone");
  return html`
    <${Drawing} width=${WIDTH} height=${TALL} uid=${uid}>
      ${fixtures}
      <g class="bn-equation">
        <text x="36" y="18">dx = ${fixed(now.factor)} · (<tspan class=${term("direct")}>dy</tspan> <tspan class=${term("mean")}>${sign(now.level)} ${fixed(Math.abs(now.level))}</tspan> <tspan class=${term("variance")}>${sign(now.slope)} ${fixed(Math.abs(now.slope))} x̂</tspan>)</text>
      </g>
      ${axis}
      <line class="bn-zero" x1="36" x2=${WIDTH - 4} y1=${height(0)} y2=${height(0)} />
      ${PATHS.map((path, k) => html`
        <path class=${`bn-${path}-bar`} d=${stairs.map((stair) => bar(stair[k])).join("")}
          fill=${path === "direct" ? undefined : `url(#${uid}-${path})`} />
      `)}
      <path class="bn-step" d=${stairs.flat().map(step).join("")} />
      <path class="bn-gap" d=${now.dx.map((value, i) => upright(place(i) + 25, height(value), height(now.truth[i]))).join("")} />
      <path class="bn-truth" d=${now.truth.map(diamond).join("")} />
      ${now.dx.map((_, i) => html`<text class="bn-row bn-quiet" x=${place(i)} y="252" text-anchor="middle">${i + 1}</text>`)}
    <//>
  `;
}

function Sums({ now }) {
  const rows = [
    ...now.sums.map(({ name, value, right, broken }) => [name, value, !broken, broken ? "should be 0" : Math.abs(right) < VISIBLE ? "as it must be" : "0 but for ε"]),
    ["largest error", now.error, now.error < VISIBLE, now.error < VISIBLE ? "dx is right" : "dx is wrong"],
  ];
  return html`
    <table class="bn-sums">
      <tbody>
        ${rows.map(([name, value, right, words]) => html`
          <tr class=${right ? "" : "bn-broken"}><th scope="row">${name}</th><td>${fixed(value)}</td><td>${right ? "✓" : "✗"} ${words}</td></tr>
        `)}
      </tbody>
    </table>
  `;
}

function View({ state, set, uid }) {
  const now = worked(state);
  const all = (value) => state.x.map((_, i) => value(i));
  return html`
    <div class="bn-beside bn-pair">
      <div class="bn-drawing">
        <${Arriving} state=${state} set=${set} uid=${uid} now=${now} />
        <${Slider} label="γ, the scale" value=${state.gamma} min=${-4} max=${4} step=${0.05} set=${(v) => set({ gamma: v })} />
      </div>
      <div class="bn-drawing">
        <${Leaving} uid=${uid} now=${now} on=${state} />
        <${Sums} now=${now} />
        <div class="bn-toolbar bn-controls">
          <button type="button" onClick=${() => set({ dy: all(() => 1) })}>dy all 1</button>
          <button type="button" onClick=${() => set({ dy: all((i) => clamp(now.xHat[i] / 2, -1, 1)) })}>dy = x̂/2</button>
          <button type="button" onClick=${() => set({ dy: all((i) => (i === 0 ? 1 : 0)) })}>a single 1</button>
        </div>
      </div>
    </div>
  `;
}

const largest = (values) => Math.max(...values.map(Math.abs));

/** Whether the points (x, dy) lie on a straight line. How large dx is does not tell: a small γ makes every dx small. */
function straight({ x, dy }) {
  const [{ mean: middle, variance }, { mean: level }] = [moments(x), moments(dy)];
  const covariance = dy.reduce((total, value, i) => total + (x[i] - middle) * (value - level), 0) / x.length;
  const slope = variance > 0 ? covariance / variance : 0;
  return largest(dy.map((value, i) => value - level - slope * (x[i] - middle))) <= UNSEEN * largest(dy);
}

function describe(state) {
  const now = worked(state);
  const off = PATHS.filter((path) => !state[path]);
  const list = now.dx.map((value) => fixed(value)).join(", ");
  const without = off.length === 3 ? "Without any path" : `Without the ${off.map((path) => NAMES[path]).join(" and the ")}`;
  if (Math.abs(state.gamma) < 1e-9) {
    if (!off.length) return "All three paths: dx is 0, because γ is 0 and no x acts on any y.";
    return `${without} dx is 0, and that is right: γ is 0 and no x acts on any y. A check with γ = 0 sees no mistake.`;
  }
  if (!off.length) {
    const rest = now.sums[1].right;
    const throughEps = Math.abs(rest) < VISIBLE ? "" : ` but for ${fixed(rest)}, which ε lets through`;
    const small = largest(now.dx) < VISIBLE;
    if (small && straight(state)) return "All three paths: dx is 0 everywhere. dy lies on a straight line over x, and the mean and the variance take all of it.";
    const size = small ? `small, at most ${significant(largest(now.dx), 2)}` : list;
    return `All three paths: dx is ${size}. The sum of dx is 0, and so is that of dx · x̂${throughEps}.`;
  }
  if (now.error < VISIBLE) {
    const seen = (values) => largest(values) > UNSEEN * Math.abs(now.factor) * largest(state.dy);
    if (seen([now.error])) return `${without} dx is right to two decimals: what is missing is at most ${significant(now.error, 2)}. A check to two decimals sees no mistake.`;
    const cancel = off.some((path) => seen(now.paths[path]));
    const missing = off.length === 1 ? "path brings" : cancel ? "paths together bring" : "paths bring";
    return `${without} dx is ${list}, and that is right: for this dy the missing ${missing} nothing. A check with such a dy sees no mistake.`;
  }
  const broken = now.sums.filter((kept) => kept.broken).map(({ words, value }) => `${words} is ${fixed(value)}`);
  const signs = ["both sums are 0 all the same", `${broken[0]} and should be 0`, `${broken.join(" and ")}; both should be 0`];
  return `${without} ${signs[broken.length]}. dx is wrong by up to ${fixed(now.error)}.`;
}

export default explorable({ keys: ["x", "dy", "gamma", "eps", ...PATHS], View, describe });
