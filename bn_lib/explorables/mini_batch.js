// The mini-batch: drag its points, and see mean, variance, x_hat and y follow.
import { html } from "./preact.js";
import { batchNorm } from "./bn.js";
import { AxisX, Drawing, Handle, Slider, explorable, fixed, scale, significant } from "./ui.js";

const WIDTH = 360;
const HEIGHT = 230;
const IN = 58; // the height of the line of x
const OUT = 176; // and of the line of y
const LIMIT = 10; // x is between -LIMIT and LIMIT
const along = scale([-LIMIT, LIMIT], [18, WIDTH - 18]);
const across = scale([-5, 5], [18, WIDTH - 18]);
const inside = (value) => Math.max(-5.4, Math.min(5.4, value));

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
  return html`
    <div class="bn-beside">
      <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${handles}>
        <text class="bn-row" x="18" y="16">in: x</text>
        <text class="bn-row" x="18" y=${OUT - 32}>out: y</text>
        <line class="bn-band" x1=${along(bn.mean - deviation)} x2=${along(bn.mean + deviation)} y1="32" y2="32" />
        <line class="bn-mean" x1=${along(bn.mean)} x2=${along(bn.mean)} y1="26" y2="38" />
        <text class="bn-accent-text" x=${along(bn.mean)} y="21" text-anchor="middle">μ</text>
        ${x.map((value, i) => html`<line class="bn-thread" x1=${along(value)} y1=${IN + 10} x2=${across(inside(bn.y[i]))} y2=${OUT - 8} />`)}
        <${AxisX} scale=${along} y=${IN + 10} />
        <${AxisX} scale=${across} y=${OUT + 8} />
        ${x.map((value) => html`<circle class="bn-in" cx=${along(value)} cy=${IN} r="7" />`)}
        ${bn.y.map((value) => html`<circle class="bn-out" cx=${across(inside(value))} cy=${OUT} r="6.5" />`)}
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

function surprise({ x }, next) {
  const center = 12 * (next() - 0.5);
  const spread = 0.3 + 3.5 * next();
  const snap = (value, step) => Number((Math.round(value / step) * step).toPrecision(6));
  return {
    x: x.map(() => Math.max(-LIMIT, Math.min(LIMIT, snap(center + spread * 2 * (next() - 0.5), 0.1)))),
    gamma: snap(0.5 + 2 * next(), 0.05),
    beta: snap(4 * (next() - 0.5), 0.05),
  };
}

export default explorable({ keys: ["x", "gamma", "beta", "eps"], View, describe, surprise });
