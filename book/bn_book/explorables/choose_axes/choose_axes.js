// Choose axes: a block of maps laid out flat. Switch the axes of the mean on and off; the values that share it are framed.
import { html, useMemo, useRef } from "../preact.js";
import { leavesNoTrace, moments, normalizeOver } from "../bn.js";
import { Choice, Controls, Drawing, Slider, Toggle, clamp, explorable, fixed } from "../ui.js";

const WIDTH = 360;
const HEIGHT = 250;
const CELL = 23;
const LEFT = 34; // of the first map
const TOP = 46;
const STEP = [82, 66]; // from a map to the next: across channels, down samples
const RANGE = { in: 7.5, out: 2 }; // the values of the darkest and the palest shade, either side of 0
const TITLES = { in: "in: x", out: "out: x̂" };
const AXES = [["N", "samples"], ["C", "channels"], ["H", "rows"], ["W", "columns"]];
const PARTS = ["everything", "one sample", "one channel", "one map", "one position"];

/** What this choice of axes is called, or null. */
function nameOf({ axes, groups, center }, channels) {
  const alone = axes.includes("C") && groups === channels; // each channel by itself: as without C
  const over = alone ? axes.replace("C", "") : axes;
  const grouped = over.includes("C") && groups > 1;
  if (over === "") return center ? "each value by itself, of which nothing is left" : "each value by itself, of which its sign is left";
  if (!center) return { C: grouped ? null : "RMSNorm of each position", CHW: grouped ? null : "RMSNorm" }[over] ?? null;
  return {
    N: "Batch Normalization of a dense layer, each position a feature",
    NHW: "Batch Normalization",
    CHW: grouped ? "Group Normalization" : "Layer Normalization",
    HW: "Instance Normalization",
    C: grouped ? null : "Layer Normalization of each position, as in transformers",
  }[over] ?? null;
}

const corner = (n, c, h, w) => [LEFT + c * STEP[0] + w * CELL, TOP + n * STEP[1] + h * CELL];

/** Touching a value chooses it; the keyboard has the sliders. */
function Touch({ set }) {
  const down = useRef(null);
  const choose = (event) => {
    const from = down.current;
    down.current = null;
    if (!from || Math.hypot(event.clientX - from[0], event.clientY - from[1]) > 8) return; // a page that is scrolled
    const cell = document.elementsFromPoint(event.clientX, event.clientY).find((element) => element.dataset.cell)?.dataset.cell;
    if (!cell) return;
    const [sample, channel, row, column] = [...cell].map(Number);
    set({ sample, channel, row, column });
  };
  return html`
    <span class="bn-touch bn-controls" aria-hidden="true" onPointerDown=${(event) => (down.current = [event.clientX, event.clientY])} onPointerUp=${choose}></span>
  `;
}

function Half({ which, values, owner, lit, chosen, set, uid }) {
  const share = (value) => `--share:${(50 + 50 * clamp(value / RANGE[which], -1, 1)).toFixed(1)}%`;
  const [x, y] = corner(...chosen);
  return html`
    <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${html`<${Touch} set=${set} />`}>
      <g class=${`bn-axes-${which}`}>
        <text class="bn-row" x="4" y="14">${TITLES[which]}</text>
        ${values[0].map((_, c) => html`<text class="bn-quiet" x=${corner(0, c, 0, 1)[0] + CELL / 2} y=${TOP - 10} text-anchor="middle">${c + 1}</text>`)}
        <text class="bn-quiet" x=${WIDTH - 8} y="14" text-anchor="end">channels</text>
        ${values.map((_, n) => html`<text class="bn-quiet" x=${LEFT - 10} y=${corner(n, 0, 1, 0)[1] + 4} text-anchor="end">${n + 1}</text>`)}
        <text class="bn-quiet" x="4" y=${HEIGHT - 6}>samples</text>
        ${values.map((maps, n) => maps.map((rows, c) => rows.map((row, h) => row.map((value, w) => {
          const [left, top] = corner(n, c, h, w);
          return html`<rect data-cell=${`${n}${c}${h}${w}`} class=${`bn-value-cell${owner[n][c][h][w] === lit ? " bn-lit" : ""}`}
            style=${share(value)} x=${left + 1} y=${top + 1} width=${CELL - 2} height=${CELL - 2} />`;
        }))))}
        <circle class="bn-chosen" cx=${x + CELL / 2} cy=${y + CELL / 2} r="4.5" />
      </g>
    <//>
  `;
}

/** All that follows from a choice. */
function found({ x, axes, groups, center, sample, channel, row, column }) {
  const { owner, y } = normalizeOver(x, axes, groups, center);
  const lit = owner[sample][channel][row][column];
  const of = (values) => values.flatMap((maps, n) => maps.flatMap((rows, c) => rows.flatMap((line, h) => line.filter((_, w) => owner[n][c][h][w] === lit))));
  const count = new Set(owner.flat(3)).size;
  return { owner, y, lit, count, before: of(x), after: of(y) };
}

const gone = ({ x, axes, groups, center }, change) => PARTS.filter((part) => leavesNoTrace(x, axes, groups, center, part, change));

function View({ state, set, uid }) {
  const { x, axes, groups, center, sample, channel, row, column } = state;
  const { owner, y, lit, before, after } = useMemo(() => found(state), [axes, groups, center, sample, channel, row, column]);
  const shifts = useMemo(() => gone(state, "+"), [axes, groups, center]);
  const factors = useMemo(() => gone(state, "×"), [axes, groups, center]);
  const half = { owner, lit, chosen: [sample, channel, row, column], set, uid };
  const toggled = (axis, on) => AXES.map(([name]) => name).filter((name) => (name === axis ? on : axes.includes(name))).join("");
  const slider = (label, value, max, key) => html`
    <${Slider} label=${label} value=${value} min=${0} max=${max} step=${1} format=${(v) => String(v + 1)} set=${(v) => set({ [key]: v })} />
  `;
  return html`
    <${Controls} label="Mean over">
      ${AXES.map(([axis, words]) => html`<${Toggle} key=${axis} label=${words} value=${axes.includes(axis)} set=${(on) => set({ axes: toggled(axis, on) })} />`)}
      <${Toggle} label="subtract it" value=${center} set=${(on) => set({ center: on })} />
    <//>
    <div class=${axes.includes("C") ? "" : "bn-unused"}>
      <${Choice} label="Groups" value=${groups} options=${[1, 2, 4].map((count) => [count, String(count)])} uid=${uid} set=${(count) => set({ groups: count })} />
    </div>
    <div class="bn-beside bn-pair">
      <${Half} which="in" values=${x} ...${half} />
      <${Half} which="out" values=${y} ...${half} />
    </div>
    <div class="bn-sliders">
      ${slider("sample", sample, x.length - 1, "sample")}
      ${slider("channel", channel, x[0].length - 1, "channel")}
      ${slider("row", row, x[0][0].length - 1, "row")}
      ${slider("column", column, x[0][0][0].length - 1, "column")}
    </div>
    <div class="bn-beside bn-worked bn-axes-numbers">
      <table>
        <thead><tr><th scope="col">what is changed</th><th scope="col">shift lost</th><th scope="col">factor lost</th></tr></thead>
        <tbody>
          ${PARTS.map((part) => html`
            <tr><th scope="row">${part}</th>${[shifts, factors].map((parts) => html`<td class=${parts.includes(part) ? "bn-yes" : ""}>${parts.includes(part) ? "yes" : "no"}</td>`)}</tr>
          `)}
        </tbody>
      </table>
      <table>
        <thead><tr><th scope="col">framed values</th><th scope="col">mean</th><th scope="col">variance</th></tr></thead>
        <tbody>
          ${[["in", before], ["out", after]].map(([name, values]) => html`
            <tr><th scope="row">${name}</th><td>${fixed(moments(values).mean)}</td><td>${fixed(moments(values).variance)}</td></tr>
          `)}
        </tbody>
      </table>
    </div>
  `;
}

function describe(state) {
  const { count, before } = found(state);
  const { axes, groups, center, x } = state;
  const name = nameOf(state, x[0].length);
  const { mean, variance } = moments(before);
  const [shifts, factors] = ["+", "×"].map((change) => gone(state, change).join(", "));
  let lost = `A shift leaves no trace on ${shifts}, a factor none on ${factors}.`;
  if (shifts === factors) lost = `Neither a shift nor a factor leaves a trace on ${factors}.`;
  if (!shifts) lost = `A shift leaves a trace wherever it is, a factor none on ${factors}.`;
  const channels = groups > 1 ? `channels in ${groups} groups` : "channels";
  const over = AXES.filter(([axis]) => axes.includes(axis)).map(([axis, words]) => (axis === "C" ? channels : words));
  return (
    `Mean over ${over.join(", ") || "no axis"}${center ? "" : ", not subtracted"}: ${name ?? "no name in common use"}. ${count} ${count === 1 ? "piece" : "pieces"} of ` +
    `${before.length} ${before.length === 1 ? "value" : "values"}; the framed one has mean ${fixed(mean)} and variance ${fixed(variance)}. ${lost}`
  );
}

export default explorable({ keys: ["x", "axes", "groups", "center", "sample", "channel", "row", "column"], View, describe });
