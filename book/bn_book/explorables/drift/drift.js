// Drift: what the sigmoids of each layer get over training, without and with BN, leafed through along time.
import { html, useMemo } from "../preact.js";
import { AxisX, AxisY, Choice, Controls, Drawing, Player, Scrub, Toggle, explorable, fixed, line, scale, significant } from "../ui.js";

const WIDTH = 360;
const HEIGHT = 464;
const TOP = 41; // of the first layer's panel
const GAP = 22; // between panels, with room for a panel's name
const LAYERS_END = 330; // where the last layer's panel ends, however many there are
const LOSS = { top: LAYERS_END + 25, bottom: 426 };
const COLUMNS = [[34, 182], [206, 354]]; // from left to right, without and with BN
const SIDES = ["without BN", "with BN"];
const MEDIAN = 3; // of the seven percentiles
const FLAT = 4; // a sigmoid's slope is below 0.02 where its input is further from 0

/** The numbers as they were measured: they travel as whole numbers. Null where a run had diverged. */
const inputOf = (number) => (number === null ? null : number / 100);
const lossOf = (number) => (number === null ? null : number / 1000);

/** Everything of one learning rate: run.inputs[layer][percentile][moment], run.others[layer][unit][moment], run.loss[moment]. */
const runsAt = ({ recording, rate }) => recording.runs[recording.rates.indexOf(rate)];

/** Steps on an axis that is logarithmic but begins at 0. */
function clock(steps, [from, to]) {
  const last = steps[steps.length - 1];
  const s = (step) => from + (Math.log1p(step) / Math.log1p(last)) * (to - from);
  s.moment = (unit) => {
    const away = steps.map((step) => Math.abs(s(step) - unit));
    return away.indexOf(Math.min(...away));
  };
  s.invert = s.moment;
  s.range = [from, to];
  s.ticks = [0, 10, 100, 1000, 10000].filter((tick) => tick < last / 2).concat(last);
  return s;
}

/** The decades between the smallest and the largest loss. */
function decades(values, range) {
  const present = values.filter((value) => value !== null && value > 0).map(Math.log10);
  const low = Math.floor(Math.min(...present, 0));
  const high = Math.max(low + 1, Math.ceil(Math.max(...present, 0) * 5) / 5);
  const inner = scale([low, high], range);
  const s = (value) => inner(Math.log10(value));
  s.range = range;
  const every = Math.ceil((high - low) / 4);
  s.ticks = [];
  for (let power = low; power <= high; power += every) s.ticks.push(10 ** power);
  return s;
}

const before = (values) => (values.includes(null) ? values.slice(0, values.indexOf(null)) : values);

/** The outline between two curves [[x, y], ...]. */
const between = (lower, upper) => `${line(lower)}${line([...upper].reverse()).replace("M", "L")}Z`;

/** What does not change with the moment: scales, and what stands still on each side, which is then not compared either. */
function drawn(state, uid) {
  const { recording, layers } = state;
  const runs = runsAt(state);
  const inputs = runs.flatMap((run) => [...run.inputs, ...run.others].flat(2)).filter((value) => value !== null);
  const domain = [Math.min(...inputs) / 100, Math.max(...inputs) / 100];
  const height = (LAYERS_END - TOP - GAP * (layers.length - 1)) / layers.length;
  const panels = layers.map((layer, row) => {
    const top = TOP + row * (height + GAP);
    return { layer, top, bottom: top + height, scale: scale(domain, [top + height - 5, top + 5], layers.length > 1 ? 3 : 6) };
  });
  const times = COLUMNS.map((column) => clock(recording.steps, column));
  const losses = runs.map((run) => run.loss.map(lossOf));
  const lossScale = decades(losses.flat(), [LOSS.bottom, LOSS.top]);
  const curves = runs.map((run, side) => {
    const along = (values, s) => before(values).map((value, i) => [times[side](recording.steps[i]), s(value)]);
    return {
      layers: panels.map((panel) => {
        const [p5, p15, p30, p50, p70, p85, p95] = run.inputs[panel.layer - 1].map((values) => along(values.map(inputOf), panel.scale));
        return {
          bands: [between(p5, p95), between(p15, p85), between(p30, p70)],
          median: line(p50),
          others: run.others[panel.layer - 1].map((values) => line(along(values.map(inputOf), panel.scale))).join(""),
        };
      }),
      loss: line(along(losses[side], lossScale)),
    };
  });
  const still = COLUMNS.map(([left, right], side) => html`
    ${panels.map((panel) => html`
      <${Flat} panel=${panel} left=${left} right=${right} />
      <${AxisY} scale=${panel.scale} x=${left} right=${right} format=${side ? () => "" : undefined} />
    `)}
    <${AxisY} scale=${lossScale} x=${left} right=${right} format=${side ? () => "" : (value) => significant(value, 1)} />
    <${AxisX} scale=${times[side]} y=${LOSS.bottom + 4} format=${String} label=${side ? "training step" : undefined} />
    <g class="bn-to-come"><g id=${`${uid}-curves-${side}`}><${Curves} curve=${curves[side]} /></g></g>
  `);
  return { panels, times, losses, lossScale, still };
}

/** Drawn once and shown twice with <use>, where rules of a stylesheet that name what is around them do not reach. */
function Curves({ curve }) {
  const strong = "fill:none;stroke:currentcolor;stroke-width:1.75";
  return html`
    ${curve.layers.map(({ bands, others, median }) => html`
      <g style="fill:currentcolor;fill-opacity:0.2">${bands.map((band) => html`<path d=${band} />`)}</g>
      <path style="fill:none;stroke:var(--muted);stroke-width:0.75" d=${others} />
      <path style=${strong} d=${median} />
    `)}
    <path style=${strong} d=${curve.loss} />
  `;
}

/** A box plot of the typical sigmoid's inputs at the moment, on the line of time. */
function Now({ x, run, panels, moment }) {
  return panels.map((panel) => {
    const [p5, p15, , p50, , p85, p95] = run.inputs[panel.layer - 1].map((values) => inputOf(values[moment]));
    if (p50 === null) return null;
    return html`
      <line class="bn-whisker" x1=${x} x2=${x} y1=${panel.scale(p5)} y2=${panel.scale(p95)} />
      <line class="bn-box" x1=${x} x2=${x} y1=${panel.scale(p15)} y2=${panel.scale(p85)} />
      <circle class="bn-dot" cx=${x} cy=${panel.scale(p50)} r="4" />
    `;
  });
}

/** The layers with one more or one less; the last one stays. */
function toggled(layers, layer, on) {
  const others = layers.filter((other) => other !== layer);
  return on ? [...others, layer].sort() : others.length ? others : [layer];
}

const inWords = (loss) => (loss === null ? "diverged" : `loss ${significant(loss, 2)}`);

function View({ state, set, uid, anew }) {
  const { recording, moment, rate, layers } = state;
  const { panels, times, losses, lossScale, still } = useMemo(() => drawn(state, uid), [recording, rate, layers]);
  const runs = runsAt(state);
  const last = recording.steps.length - 1;
  const places = times.map((time) => time(recording.steps[moment]));
  const scrubs = COLUMNS.map(([left, right], side) => html`
    <${Scrub} key=${side} width=${WIDTH} height=${HEIGHT} box=${[left - 8, TOP, right + 4, LOSS.bottom + 16]} scale=${times[side]}
      value=${moment} set=${(to) => set({ moment: to })} />
  `);
  return html`
    <div class="bn-beside">
      <div class="bn-drift">
        <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${scrubs}>
          ${COLUMNS.map(([left, right], side) => html`
            <g class=${side ? "bn-has-bn" : "bn-has-none"}>
              <clipPath id=${`${uid}-past-${side}`}><rect x=${left - 4} y="0" width=${Math.max(0, places[side] - left + 4)} height=${HEIGHT} /></clipPath>
              <text class="bn-side-name" x=${left} y="13">${SIDES[side]}</text>
              <text class="bn-figure" x=${right} y="13" text-anchor="end">${inWords(losses[side][moment])}</text>
              ${still[side]}
              <g clip-path=${`url(#${uid}-past-${side})`}><use href=${`#${uid}-curves-${side}`} /></g>
              ${[...panels, LOSS].map(({ top, bottom }) => html`<line class="bn-time" x1=${places[side]} x2=${places[side]} y1=${top - 1} y2=${bottom + 1} />`)}
              <${Now} x=${places[side]} run=${runs[side]} panels=${panels} moment=${moment} />
              ${losses[side][moment] !== null && html`<circle class="bn-dot" cx=${places[side]} cy=${lossScale(losses[side][moment])} r="4" />`}
              ${panels.map((panel) => html`<text class="bn-panel-name" x=${left} y=${panel.top - 7}>layer ${panel.layer}</text>`)}
              <text class="bn-panel-name" x=${left} y=${LOSS.top - 10}>loss</text>
            </g>
          `)}
        <//>
        <${Player} label="training step" value=${moment} min=${0} max=${last} seconds=${9} anew=${anew}
          format=${(value) => String(recording.steps[value])} set=${(to) => set({ moment: to })} />
      </div>
      <div class="bn-drift-choices">
        <${Choice} label="learning rate" value=${rate} uid=${uid} options=${recording.rates.map((value) => [value, String(value)])}
          set=${(to) => set({ rate: to })} />
        <${Controls} label="layers">
          ${[1, 2, 3].map((layer) => html`
            <${Toggle} key=${layer} label=${layer} value=${layers.includes(layer)} set=${(on) => set({ layers: toggled(layers, layer, on) })} />
          `)}
        <//>
        <p class="bn-legend">
          In each layer: what enters one typical sigmoid, over ${recording.images} images. Line: the median. Bands: the
          middle 40, 70 and 90 %. Thin: the medians of four other sigmoids. Grey: where a sigmoid is nearly flat.
        </p>
      </div>
    </div>
  `;
}

/** Where the sigmoid passes nearly nothing back. */
function Flat({ panel, left, right }) {
  const [low, high] = panel.scale.domain;
  return html`
    ${high > FLAT && html`<rect class="bn-flat" x=${left} width=${right - left} y=${panel.top} height=${panel.scale(FLAT) - panel.top} />`}
    ${low < -FLAT && html`<rect class="bn-flat" x=${left} width=${right - left} y=${panel.scale(-FLAT)} height=${panel.bottom - panel.scale(-FLAT)} />`}
  `;
}

function describe(state) {
  const { recording, moment, rate, layers } = state;
  const deepest = layers[layers.length - 1];
  const tell = (run, side) => {
    const name = side ? "With BN" : "Without BN";
    const [p15, p50, p85] = [1, MEDIAN, 5].map((percentile) => run.inputs[deepest - 1][percentile].map(inputOf));
    if (run.loss[moment] === null || p50[moment] === null) return `${name}: diverged, the loss is no longer a finite number.`;
    return (
      `${name}: loss ${significant(lossOf(run.loss[moment]), 2)}; in layer ${deepest} the median is ` +
      `${fixed(Math.abs(p50[moment] - p50[0]))} from where it began, the middle 70 % are ${fixed(p85[moment] - p15[moment])} wide.`
    );
  };
  return `Step ${recording.steps[moment]} at learning rate ${rate}. ${runsAt(state).map(tell).join(" ")}`;
}

export default explorable({ keys: ["recording", "moment", "rate", "layers"], View, describe });
