// Two digits: a square of gammas and betas between those of two classes, its corners, and the digit that the point draws.
import { html, useMemo } from "../preact.js";
import { dense, drawnDigit, onTheWay } from "../bn.js";
import { Drawing, Handle, Slider, explorable, fixed, scale } from "../ui.js";

const WIDTH = 360;
const HEIGHT = 316;
const SQUARE = { left: 76, top: 34, side: 208 };
const THUMB = 48;
const across = scale([0, 1], [SQUARE.left, SQUARE.left + SQUARE.side]);
const up = scale([0, 1], [SQUARE.top + SQUARE.side, SQUARE.top]);
const CLASSES = [...Array(10).keys()];

const parts = (values, by) => values.map((value) => (Array.isArray(value) ? parts(value, by) : value / by));

/** The generator as it is computed with: it travels as whole numbers. */
function unpacked({ hidden, output, hands, reader }) {
  const hundredths = (record) => Object.fromEntries(Object.entries(record).map(([name, values]) => [name, parts(values, 100)]));
  return { hidden: hidden.map(hundredths), output: hundredths(output), hands: parts(hands, 100), reader: parts(reader, 1000) };
}

/** The pixels at a place of the square. */
function pixelsAt(generator, { start, end, hand }, gamma, beta) {
  const maps = generator.hidden.map((layer) => ({
    gamma: onTheWay(layer.gamma[start], layer.gamma[end], gamma),
    beta: onTheWay(layer.beta[start], layer.beta[end], beta),
  }));
  return drawnDigit(generator, generator.hands[hand - 1], maps);
}

/** What the linear reader gives each class. */
const scoresOf = ({ reader }, pixels) => dense(pixels, reader.slice(0, -1), reader[reader.length - 1]);

/** The classes, the most likely first. */
const ranked = (scores) => [...CLASSES].sort((a, b) => scores[b] - scores[a]);

/** A digit as squares of ink. */
function Digit({ pixels, x, y, size }) {
  const unit = size / 8;
  return html`
    <g class="bn-digit">
      ${pixels.map((ink, i) => ink > 0.02 && html`
        <rect x=${(x + (i % 8) * unit).toFixed(2)} y=${(y + Math.floor(i / 8) * unit).toFixed(2)} width=${unit} height=${unit} fill-opacity=${ink.toFixed(2)} />
      `)}
      <rect class="bn-edge" x=${x} y=${y} width=${size} height=${size} />
    </g>
  `;
}

/** The square, with what its corners draw. */
function Plane({ state, set, uid, generator }) {
  const { start, end, hand, gamma, beta } = state;
  const { left, top, side } = SQUARE;
  const corners = useMemo(
    () => [0, 1].flatMap((g) => [0, 1].map((b) => ({ g, b, pixels: pixelsAt(generator, { start, end, hand }, g, b) }))),
    [generator, start, end, hand],
  );
  const here = [across(gamma), up(beta)];
  const handle = html`
    <${Handle} width=${WIDTH} height=${HEIGHT} at=${here} label="γ and β" text=${`γ ${percent(gamma)}, β ${percent(beta)}`}
      x=${{ value: gamma, scale: across, min: 0, max: 1, step: 0.02 }} y=${{ value: beta, scale: up, min: 0, max: 1, step: 0.02 }}
      move=${(to) => set({ ...(to.x !== undefined && { gamma: to.x }), ...(to.y !== undefined && { beta: to.y }) })} />
  `;
  return html`
    <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${handle}>
      <rect class="bn-plane" x=${left} y=${top} width=${side} height=${side} />
      <path class="bn-grid-lines" d=${`M${left} ${here[1].toFixed(1)}H${left + side}M${here[0].toFixed(1)} ${top}V${top + side}`} />
      ${corners.map(({ g, b, pixels }) => {
        const x = g ? left + side + 14 : left - THUMB - 14;
        const y = b ? top : top + side - THUMB;
        const words = `γ ${g ? end : start}, β ${b ? end : start}`;
        return html`
          <${Digit} pixels=${pixels} x=${x} y=${y} size=${THUMB} />
          <text class="bn-corner" x=${x + THUMB / 2} y=${b ? y - 8 : y + THUMB + 17} text-anchor="middle">${words}</text>
        `;
      })}
      <text class="bn-axis-label bn-quiet" x=${left + side / 2} y=${top + side + 17} text-anchor="middle">γ towards ${end} →</text>
      <text class="bn-axis-label bn-quiet" x=${left + side / 2} y=${top - 8} text-anchor="middle">↑ β towards ${end}</text>
      <circle class="bn-here-now" cx=${here[0]} cy=${here[1]} r="5" />
    <//>
  `;
}

const SIZE = 208;
const BARS = { left: 76, top: 252, bottom: 292 };

/** The digit, and what the reader makes of it. */
function Drawn({ uid, pixels, scores }) {
  const step = SIZE / 10;
  const best = ranked(scores)[0];
  return html`
    <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid}>
      <${Digit} pixels=${pixels} x=${SQUARE.left} y=${SQUARE.top} size=${SIZE} />
      ${CLASSES.map((c) => {
        const tall = Math.min(1, Math.max(0, scores[c])) * (BARS.bottom - BARS.top);
        const x = BARS.left + c * step;
        return html`
          <rect class=${c === best ? "bn-read bn-best" : "bn-read"} x=${x + 3} y=${(BARS.bottom - tall).toFixed(2)} width=${step - 6} height=${tall.toFixed(2)} />
          <text class="bn-corner" x=${x + step / 2} y=${BARS.bottom + 17} text-anchor="middle">${c}</text>
        `;
      })}
      <text class="bn-corner" x=${SQUARE.left} y=${SQUARE.top - 8}>drawn</text>
      <text class="bn-corner" x=${SQUARE.left + SIZE} y=${SQUARE.top - 8} text-anchor="end">the reader sees ${best}</text>
    <//>
  `;
}

const percent = (share) => `${fixed(100 * share, 0)} %`;

function View({ state, set, uid }) {
  const { start, end, gamma, beta, hand } = state;
  const generator = useMemo(() => unpacked(state.generator), [state.generator]);
  const pixels = pixelsAt(generator, state, gamma, beta);
  return html`
    <div class="bn-beside bn-pair">
      <${Plane} state=${state} set=${set} uid=${uid} generator=${generator} />
      <${Drawn} uid=${uid} pixels=${pixels} scores=${scoresOf(generator, pixels)} />
    </div>
    <div class="bn-sliders">
      <${Slider} label="way of γ" value=${gamma} min=${0} max=${1} step=${0.02} format=${percent} set=${(to) => set({ gamma: to })} />
      <${Slider} label="way of β" value=${beta} min=${0} max=${1} step=${0.02} format=${percent} set=${(to) => set({ beta: to })} />
      <${Slider} label="from class" value=${start} min=${0} max=${9} step=${1} format=${String} set=${(to) => set({ start: to })} />
      <${Slider} label="to class" value=${end} min=${0} max=${9} step=${1} format=${String} set=${(to) => set({ end: to })} />
      <${Slider} label="noise" value=${hand} min=${1} max=${generator.hands.length} step=${1} format=${String} set=${(to) => set({ hand: to })} />
    </div>
  `;
}

function describe(state) {
  const { start, end, gamma, beta } = state;
  const generator = unpacked(state.generator);
  const scores = scoresOf(generator, pixelsAt(generator, state, gamma, beta));
  const [first, second] = ranked(scores);
  return (
    `γ is ${percent(gamma)} of the way from ${start} to ${end}, β ${percent(beta)}. ` +
    `The linear reader sees a ${first} (${fixed(scores[first])}), and next a ${second} (${fixed(scores[second])}).`
  );
}

export default explorable({ keys: ["generator", "start", "end", "gamma", "beta", "hand"], View, describe });
