// The mini-batch: drag its points one by one, or all of them by their mean and deviation, and see x_hat and y follow.
import { html } from "../preact.js";
import { batchNorm } from "../bn.js";
import { AxisX, Drawing, Handle, Slider, clamp, explorable, fixed, scale, significant } from "../ui.js";

const WIDTH = 360;
const HEIGHT = 244;
const SPREAD = 42; // the height of the line of mean and deviation
const IN = 76; // that of the line of x
const OUT = 190; // and of the line of y
const LIMIT = 10; // x is between -LIMIT and LIMIT
const along = scale([-LIMIT, LIMIT], [18, WIDTH - 18]);
const REACH = 5; // y beyond it is drawn at the end of its axis, hollow
const across = scale([-REACH, REACH], [18, WIDTH - 18]);
const atTheEnd = (value) => across(clamp(value, -REACH - 0.2, REACH + 0.2));
const beyond = (value) => Math.abs(value) > REACH + 0.2;
const NARROWEST = 0.2; // the least deviation: at 0 the pattern would be lost
const inReach = (value) => clamp(Number(value.toFixed(6)), -LIMIT, LIMIT);

/** All values, moved so that their mean is `to`. */
const movedTo = (x, mean, to) => x.map((value) => inReach(value + to - mean));

/** All values, stretched about their mean by `factor`. */
const stretched = (x, mean, factor) => x.map((value) => inReach(mean + factor * (value - mean)));

/** The largest factor by which `stretched` keeps all values on the axis. */
const mostStretch = (x, mean) =>
  Math.min(...x.map((value) => (Math.sign(value - mean) * LIMIT - mean) / (value - mean)).filter(Number.isFinite));

const onAxis = (value) => Math.abs(value) <= LIMIT;

/** Mean and deviation above the values; an arrow where the band goes on beyond the axis. */
function Spread({ mean, deviation }) {
  const ends = [mean - deviation, mean + deviation];
  const [left, right] = ends.map((end) => along(clamp(end, -LIMIT, LIMIT)));
  return html`
    <text class="bn-accent-text" x=${along(mean)} y=${SPREAD - 13} text-anchor="middle">μ</text>
    <line class="bn-band" x1=${left} x2=${right} y1=${SPREAD} y2=${SPREAD} />
    ${ends[0] < -LIMIT && html`<path class="bn-goes-on" d=${`M${left} ${SPREAD - 5}l-8 5l8 5z`} />`}
    ${ends[1] > LIMIT && html`<path class="bn-goes-on" d=${`M${right} ${SPREAD - 5}l8 5l-8 5z`} />`}
    ${ends.map((end) => onAxis(end) && deviation > 0 && html`
      <path class="bn-grip" d=${`M${along(end)} ${SPREAD - 6}v12`} />
    `)}
    <circle class="bn-grip bn-mean" cx=${along(mean)} cy=${SPREAD} r="6" />
  `;
}

function View({ state, set, uid }) {
  const { x, gamma, beta, eps } = state;
  const bn = batchNorm(x, gamma, beta, eps);
  const deviation = Math.sqrt(bn.variance);
  const handles = x.map((value, i) => html`
    <${Handle} key=${i} width=${WIDTH} height=${HEIGHT} at=${[along(value), IN]}
      x=${{ value, scale: along, min: -LIMIT, max: LIMIT, step: 0.1 }}
      label=${`value ${i + 1} of the batch`} text=${`x ${fixed(value, 1)}, normalized ${fixed(bn.xHat[i])}`}
      move=${(to) => set({ x: x.map((old, j) => (j === i ? to.x : old)) })} />
  `);
  const grip = (name, value, min, max, text, move) => html`
    <${Handle} key=${name} width=${WIDTH} height=${HEIGHT} at=${[along(value), SPREAD]}
      x=${{ value, scale: along, min, max, step: 0.1 }} label=${name} text=${text} move=${(to) => set({ x: move(to.x) })} />
  `;
  handles.push(
    grip(
      "the mean of the batch, with all its values", bn.mean,
      bn.mean - LIMIT - Math.min(...x), bn.mean + LIMIT - Math.max(...x),
      `mean ${fixed(bn.mean)}`, (to) => movedTo(x, bn.mean, to),
    ),
  );
  if (deviation > 0) {
    const widest = Math.max(NARROWEST, deviation * mostStretch(x, bn.mean));
    for (const [side, name] of [[-1, "left"], [1, "right"]]) {
      const end = bn.mean + side * deviation;
      const limits = [bn.mean + side * NARROWEST, bn.mean + side * widest].sort((a, b) => a - b);
      if (onAxis(end)) {
        handles.push(
          grip(
            `the ${name} end of the deviation, with all values`, end, ...limits, `deviation ${fixed(deviation)}`,
            (to) => stretched(x, bn.mean, (side * (to - bn.mean)) / deviation),
          ),
        );
      }
    }
  }
  return html`
    <div class="bn-beside">
      <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${handles}>
        <text class="bn-row" x="18" y="10">in: x</text>
        <${Spread} mean=${bn.mean} deviation=${deviation} />
        ${x.map((value, i) => html`<line class="bn-thread" x1=${along(value)} y1=${IN + 10} x2=${atTheEnd(bn.y[i])} y2=${OUT - 8} />`)}
        <text class="bn-row" x="18" y=${OUT - 32}>out: y</text>
        <${AxisX} scale=${along} y=${IN + 10} />
        <${AxisX} scale=${across} y=${OUT + 8} label=${bn.y.some(beyond) && "hollow: beyond the axis"} />
        ${x.map((value) => html`<circle class="bn-in" cx=${along(value)} cy=${IN} r="7" />`)}
        ${bn.y.map((value) => html`<circle class=${beyond(value) ? "bn-out bn-beyond" : "bn-out"} cx=${atTheEnd(value)} cy=${OUT} r="6.5" />`)}
      <//>
      <div class="bn-worked">
        <p>μ = ${fixed(bn.mean)}<br />σ² = ${fixed(bn.variance)}<br />√(σ² + ε) = ${fixed(Math.sqrt(bn.variance + eps))}</p>
        <table>
          <thead><tr><th scope="col">x</th><th scope="col">x − μ</th><th scope="col">x̂</th><th scope="col">y</th></tr></thead>
          <tbody>
            ${x.map((value, i) => html`
              <tr><td>${fixed(value, 1)}</td><td>${fixed(value - bn.mean)}</td><td>${fixed(bn.xHat[i])}</td><td>${fixed(bn.y[i])}</td></tr>
            `)}
          </tbody>
        </table>
      </div>
    </div>
    <div class="bn-sliders">
      <${Slider} label="γ, the scale" value=${gamma} min=${-3} max=${3} step=${0.05} set=${(v) => set({ gamma: v })} />
      <${Slider} label="β, the shift" value=${beta} min=${-3} max=${3} step=${0.05} set=${(v) => set({ beta: v })} />
      <${Slider} label="ε" value=${eps} min=${1e-5} max=${10} step=${0.05} log=${true} format=${significant} set=${(v) => set({ eps: v })} />
    </div>
  `;
}

function describe({ x, gamma, beta, eps }) {
  const bn = batchNorm(x, gamma, beta, eps);
  return (
    `${x.length} values with mean ${fixed(bn.mean)} and standard deviation ${fixed(Math.sqrt(bn.variance))} ` +
    `become ${bn.y.map((value) => fixed(value)).join(", ")}.`
  );
}

export default explorable({ keys: ["x", "gamma", "beta", "eps"], View, describe });
