// One scan: a head through a window, the histograms of its intensities and z-scores, and the scores of two networks.
import { html, useMemo } from "../preact.js";
import { lesionScore, moments, scaleAndShift, scanned } from "../bn.js";
import { AxisX, Drawing, Handle, Slider, Toggle, clamp, explorable, fixed, scale } from "../ui.js";

const WIDTH = 360;
const HEIGHT = 352;
const SIDE = 16; // pixels
const NOISE = 0.05;
const IMAGE = { left: 36, top: 30, size: 288 };
const GRAYS = 16; // steps that are told apart
const BINS = 48;
const NAMES = { none: "intensities", "z-score": "z-scores" };
const X = [16, 344];
const raw = { top: 26, bottom: 96, scale: scale([-2, 4], X) };
const standard = { top: 152, bottom: 212, scale: scale([-3, 6], X) };
const SCORES = { left: 100, rows: [282, 308], scale: scale([-10, 10], [100, 344]), bottom: 322 };
const STEP = 0.1; // of the window's edges

const thousandths = (value) => (Array.isArray(value) ? value.map(thousandths) : value / 1000);

/** The numbers as they are computed with: they travel as whole numbers. */
function unpacked({ networks, thresholds, heads, grain }) {
  const parts = ([name, { weights, biases, output }]) => [
    name,
    { weights: thousandths(weights), biases: thousandths(biases), output: thousandths(output), threshold: thresholds[name] / 1000 },
  ];
  return { networks: Object.fromEntries(Object.entries(networks).map(parts)), heads: thousandths(heads), grain: thousandths(grain) };
}

const rowsOf = (pixels) => [...Array(SIDE).keys()].map((row) => pixels.slice(SIDE * row, SIDE * (row + 1)));

/** The scan, its z-scores, and what each network says. */
function taken({ networks, heads, grain }, { gain, offset, gamma, lesion }) {
  const pixels = scanned(heads[lesion ? 1 : 0], grain, { gain, offset, gamma, noise: NOISE });
  const zScores = scaleAndShift(pixels, moments(pixels), 1, 0, 0).xHat;
  const said = Object.entries(networks).map(([name, network]) => {
    const score = lesionScore(network, rowsOf(name === "none" ? pixels : zScores));
    return { name, score, threshold: network.threshold, reported: score > network.threshold };
  });
  return { pixels, zScores, said };
}

/** The pixels as squares of ink, one path for each step of gray. */
function Picture({ pixels, low, high }) {
  const unit = IMAGE.size / SIDE;
  const paths = Array.from({ length: GRAYS + 1 }, () => "");
  pixels.forEach((value, i) => {
    const gray = Math.round(GRAYS * clamp((value - low) / (high - low), 0, 1));
    paths[gray] += `M${IMAGE.left + (i % SIDE) * unit} ${IMAGE.top + Math.floor(i / SIDE) * unit}h${unit}v${unit}h${-unit}z`;
  });
  return html`
    <g class="bn-pixels">
      ${paths.map((path, gray) => gray > 0 && path && html`<path d=${path} fill-opacity=${(gray / GRAYS).toFixed(3)} />`)}
      <rect x=${IMAGE.left} y=${IMAGE.top} width=${IMAGE.size} height=${IMAGE.size} />
    </g>
  `;
}

/** How many values are in each bin, as bars; those beyond the axis are in the bins at its ends. */
function Bars({ values, panel }) {
  const [low, high] = panel.scale.domain;
  const counts = Array(BINS).fill(0);
  for (const value of values) counts[clamp(Math.floor((BINS * (value - low)) / (high - low)), 0, BINS - 1)] += 1;
  const wide = (X[1] - X[0]) / BINS;
  const tall = (count) => Math.min(1, Math.sqrt(count / 130)) * (panel.bottom - panel.top); // air would hide the rest
  return counts.map((count, k) => count > 0 && html`
    <rect class="bn-bars" x=${(X[0] + k * wide + 0.5).toFixed(2)} y=${(panel.bottom - tall(count)).toFixed(2)} width=${(wide - 1).toFixed(2)} height=${tall(count).toFixed(2)} />
  `);
}

/** The two histograms, the window's edges, and the scores. */
function Numbers({ state, set, uid, pixels, zScores, said }) {
  const { low, high } = state;
  const middle = (raw.top + raw.bottom) / 2;
  const edge = (name, value, min, max) => html`
    <${Handle} key=${name} width=${WIDTH} height=${HEIGHT} at=${[raw.scale(value), middle]} label=${`${name} edge of the window`} text=${fixed(value, 1)}
      x=${{ value, scale: raw.scale, min, max, step: STEP }} move=${({ x }) => set({ [name === "lower" ? "low" : "high"]: x })} />
  `;
  const tenths = (value) => Number(value.toFixed(1));
  const handles = [edge("lower", low, -2, tenths(high - STEP)), edge("upper", high, tenths(low + STEP), 4)];
  return html`
    <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${handles}>
      <text x=${X[0]} y="14">intensities, and the window</text>
      <rect class="bn-window" x=${raw.scale(low)} y=${raw.top - 4} width=${raw.scale(high) - raw.scale(low)} height=${raw.bottom - raw.top + 4} />
      <${Bars} values=${pixels} panel=${raw} />
      ${[low, high].map((value) => html`<line class="bn-edge-line" x1=${raw.scale(value)} x2=${raw.scale(value)} y1=${raw.top - 4} y2=${raw.bottom} />`)}
      <${AxisX} scale=${raw.scale} y=${raw.bottom} />
      <text x=${X[0]} y="142">z-scores</text>
      <${Bars} values=${zScores} panel=${standard} />
      <${AxisX} scale=${standard.scale} y=${standard.bottom} />
      <text x=${X[0]} y="260">score of a network that gets …</text>
      ${said.map(({ name, score, threshold, reported }, k) => {
        const y = SCORES.rows[k];
        const at = SCORES.scale(clamp(threshold, -10, 10));
        return html`
          <text class="bn-quiet" x=${X[0]} y=${y + 4}>${NAMES[name]}</text>
          <line class="bn-thread" x1=${SCORES.left} x2=${X[1]} y1=${y} y2=${y} />
          <line class="bn-threshold" x1=${at} x2=${at} y1=${y - 10} y2=${y + 10} />
          <circle class=${reported ? "bn-said bn-reported" : "bn-said"} cx=${SCORES.scale(clamp(score, -10, 10)).toFixed(2)} cy=${y} r="6" />
        `;
      })}
      <${AxisX} scale=${SCORES.scale} y=${SCORES.bottom} />
    <//>
  `;
}

function View({ state, set, uid }) {
  const { gain, offset, gamma, lesion, low, high } = state;
  const recorded = useMemo(() => unpacked(state.recorded), [state.recorded]);
  const { pixels, zScores, said } = useMemo(() => taken(recorded, { gain, offset, gamma, lesion }), [recorded, gain, offset, gamma, lesion]);
  return html`
    <div class="bn-beside bn-pair">
      <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid}>
        <text x=${IMAGE.left} y="18">what you see</text>
        <${Picture} pixels=${pixels} low=${low} high=${high} />
      <//>
      <${Numbers} state=${state} set=${set} uid=${uid} pixels=${pixels} zScores=${zScores} said=${said} />
    </div>
    <div class="bn-sliders">
      <${Slider} label="gain" value=${gain} min=${0.3} max=${3} step=${0.05} set=${(to) => set({ gain: to })} />
      <${Slider} label="offset" value=${offset} min=${-1} max=${1} step=${0.05} set=${(to) => set({ offset: to })} />
      <${Slider} label="gamma" value=${gamma} min=${0.5} max=${2} step=${0.05} set=${(to) => set({ gamma: to })} />
    </div>
    <div class="bn-toolbar bn-controls">
      <${Toggle} label="a lesion" value=${lesion} set=${(to) => set({ lesion: to })} />
    </div>
  `;
}

const verdict = ({ score, threshold, reported }) =>
  `${fixed(score, 1)}, ${reported ? "above" : "below"} its threshold of ${fixed(threshold, 1)}`;

function describe(state) {
  const { gain, offset, gamma, lesion, low, high } = state;
  const { pixels, said } = taken(unpacked(state.recorded), state);
  const { mean, variance } = moments(pixels);
  return (
    `A head ${lesion ? "with" : "without"} a lesion at gain ${fixed(gain)}, offset ${fixed(offset)}, gamma ${fixed(gamma)}: ` +
    `mean ${fixed(mean)}, standard deviation ${fixed(Math.sqrt(variance))}. The window is ${fixed(low, 1)} to ${fixed(high, 1)}. ` +
    `Score from intensities: ${verdict(said[0])}; from z-scores: ${verdict(said[1])}.`
  );
}

export default explorable({ keys: ["recorded", "gain", "offset", "gamma", "lesion", "low", "high"], View, describe });
