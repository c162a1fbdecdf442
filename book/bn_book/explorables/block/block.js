// The block: turn it, touch it, and choose which axes the mean is taken over. It falls into the pieces that share one.
import { html, useMemo, useRef, useState } from "../preact.js";
import { moments, normalizeBlock } from "../bn.js";
import { AxisX, Choice, Drawing, Slider, clamp, explorable, fixed, reducedMotion, scale, useFrames } from "../ui.js";

const WIDTH = 360;
const BLOCK_HEIGHT = 252; // the part of the drawing in which the block turns
const HEIGHT = 322;
const UNIT = 33; // the side of a cell
const FLAT = 0.5; // a cell's height in sides
const APART = 0.5; // the gap between pieces, and how far the chosen one is raised
const SECONDS = 0.4; // in which the pieces come apart
const EPS = 1e-5;
const LIMIT = 10; // x is between -LIMIT and LIMIT

const NAMES = { batch: "Batch", layer: "Layer", instance: "Instance", group: "Group" };
const OVER = { batch: "N, H, W", layer: "C, H, W", instance: "H, W", group: "C/G, H, W" };
const SAME = { 1: ", which is Layer Normalization", 2: "", 4: ", which is Instance Normalization" };

const radians = (degrees) => (degrees * Math.PI) / 180;
const shown = {
  in: { axis: scale([-LIMIT, LIMIT], [20, WIDTH - 20]), name: "in: x", kind: "bn-block-in" },
  out: { axis: scale([-3, 3], [20, WIDTH - 20], 6), name: "out: x̂", kind: "bn-block-out" },
};

/** The gap before each index along an axis: some where a piece begins. */
const gapsOf = (owners) => owners.map((own, i) => (i > 0 && own !== owners[i - 1] ? APART : 0));

/** Where each index begins along its axis, the middle at 0; and how long it all is. */
function places(gaps) {
  const begins = gaps.map((_, i) => i + gaps.slice(0, i + 1).reduce((all, gap) => all + gap, 0));
  const length = begins[begins.length - 1] + 1;
  return { length, at: begins.map((begin) => begin - length / 2) };
}

/** Numbers on their way to where they belong, at once where motion is reduced. */
function useOnTheWay(target) {
  const [now, setNow] = useState(target);
  const moving = now.some((value, i) => value !== target[i]);
  useFrames(moving, (seconds) => {
    const step = (APART * seconds) / SECONDS;
    setNow(now.map((value, i) => clamp(target[i], value - step, value + step)));
  });
  return moving && reducedMotion() ? target : now;
}

/**
 * What the block looks like from here: its faces, from the farthest to the nearest, with the words beside it and the
 * middle of the chosen cell's top.
 */
function shapeOf(owner, gaps, positions, { sample, channel, turn, tilt }) {
  const lit = owner[sample][channel];
  const [sinTurn, cosTurn] = [Math.sin(radians(turn)), Math.cos(radians(turn))];
  const [sinTilt, cosTilt] = [Math.sin(radians(tilt)), Math.cos(radians(tilt))];
  const project = (x, y, z) => [
    WIDTH / 2 + UNIT * (x * cosTurn - y * sinTurn),
    BLOCK_HEIGHT / 2 + UNIT * ((x * sinTurn + y * cosTurn) * sinTilt - z * cosTilt),
  ];
  const samples = places(gaps.slice(0, owner.length));
  const channels = places(gaps.slice(owner.length));
  const half = (positions * FLAT) / 2;
  // The side of the block that is nearer: +1 where the last index is, else -1.
  const nearN = sinTurn > 0 ? 1 : -1;
  const nearC = cosTurn > 0 ? 1 : -1;
  const farToNear = (count, near) => Array.from({ length: count }, (_, i) => (near > 0 ? i : count - 1 - i));
  const faces = [];
  for (const n of farToNear(owner.length, nearN)) {
    for (const c of farToNear(owner[0].length, nearC)) {
      const own = owner[n][c];
      const lift = own === lit ? APART : 0;
      const [x0, y0] = [samples.at[n], channels.at[c]];
      const [x, y] = [nearN > 0 ? x0 + 1 : x0, nearC > 0 ? y0 + 1 : y0];
      // A face between two cells of one piece cannot be seen.
      const sideN = owner[n + nearN]?.[c] !== own;
      const sideC = owner[n][c + nearC] !== own;
      for (let p = positions - 1; p >= 0; p -= 1) {
        const top = half - p * FLAT + lift;
        const low = top - FLAT;
        const add = (side, ...corners) => faces.push({ key: `${n}${c}${p}${side}`, n, c, p, side, points: corners.map((at) => project(...at).map((unit) => unit.toFixed(1))).join(" ") });
        if (sideN) add("n", [x, y0, low], [x, y0 + 1, low], [x, y0 + 1, top], [x, y0, top]);
        if (sideC) add("c", [x0, y, low], [x0 + 1, y, low], [x0 + 1, y, top], [x0, y, top]);
        if (p === 0) add("p", [x0, y0, top], [x0 + 1, y0, top], [x0 + 1, y0 + 1, top], [x0, y0 + 1, top]);
      }
    }
  }
  // Words along the nearest edges on the ground. They are moved off an edge at a right angle to it as it is seen: along
  // the ground they would stay under the block when it is seen from the side.
  const [edgeN, edgeC] = [(nearN * samples.length) / 2, (nearC * channels.length) / 2];
  const along = (index, name, begins, [dx, dy], out, place) => {
    const length = Math.hypot(dx, dy); // of a cell's side as it is seen, in sides
    const [outX, outY] = [(out * -dy) / length, (out * dx) / length];
    const off = (at, room, width) => {
      const far = room + (Math.abs(outX) * width + Math.abs(outY) * 8) / 2;
      return [at[0] + far * outX, at[1] + far * outY];
    };
    const numbered = UNIT * Math.abs(dx) > 9 || UNIT * Math.abs(dy) > 9; // else one number would lie on the next
    return [
      ...(numbered ? begins.map((begin, i) => ({ key: `${index}${i}`, words: String(i + 1), at: off(place(begin + 0.5), 5, 7) })) : []),
      { key: index, words: name, at: off(place(0), numbered ? 17 : 6, 6.4 * name.length) },
    ].map((label) => ({ ...label, anchor: "middle" }));
  };
  const labels = [
    ...along("N", "samples", samples.at, [cosTurn, sinTurn * sinTilt], nearC, (x) => project(x, edgeC, -half)),
    ...along("C", "channels", channels.at, [-sinTurn, cosTurn * sinTilt], -nearN, (y) => project(edgeN, y, -half)),
  ];
  const corners = [-1, 1].flatMap((a) => [-1, 1].map((b) => project((a * samples.length) / 2, (b * channels.length) / 2, 0)));
  const [left, middle] = corners.reduce((best, corner) => (corner[0] < best[0] ? corner : best));
  labels.push({ key: "P", words: "H × W", at: [left - 8, middle], anchor: "end" });
  const chosen = project(samples.at[sample] + 0.5, channels.at[channel] + 0.5, half + APART);
  return { faces, labels, chosen };
}

/** Takes drags and arrow keys that turn the block, and a tap or click that chooses a cell. */
function Turntable({ state, set, first }) {
  const held = useRef(null);
  const { turn, tilt } = state;
  const turned = (by, tip) =>
    set({ turn: Math.round(((((turn + by + 180) % 360) + 360) % 360) - 180), tilt: clamp(Math.round(tilt + tip), 10, 45) });
  const grab = (event) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    held.current = { x: event.clientX, y: event.clientY, turn, tilt, moved: false };
  };
  const drag = (event) => {
    const from = held.current;
    if (!from) return;
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    from.moved ||= Math.hypot(dx, dy) > 5;
    if (from.moved) turned(from.turn - turn - 0.6 * dx, from.tilt - tilt + 0.4 * dy);
  };
  const drop = (event) => {
    const from = held.current;
    held.current = null;
    if (!from || from.moved) return;
    const cell = document.elementsFromPoint(event.clientX, event.clientY).find((element) => element.dataset.map)?.dataset.map;
    if (cell) set({ sample: Number(cell[0]), channel: Number(cell[1]) });
  };
  const press = (event) => {
    const step = {
      ArrowRight: [-10, 0],
      ArrowLeft: [10, 0],
      ArrowUp: [0, -5],
      ArrowDown: [0, 5],
      PageUp: [45, 0],
      PageDown: [-45, 0],
      Home: [-180 - turn, 0],
      End: [179 - turn, 0],
    }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    turned(...step);
  };
  const named = first
    ? {
        role: "slider",
        tabindex: 0,
        "aria-label": "turn the block",
        "aria-valuemin": -180,
        "aria-valuemax": 179, // 180 is -180
        "aria-valuenow": turn,
        "aria-valuetext": `turned by ${turn} degrees, seen from ${tilt} degrees above`,
      }
    : { "aria-hidden": "true" };
  return html`
    <span class="bn-turntable bn-controls" style=${`height:${((BLOCK_HEIGHT / HEIGHT) * 100).toFixed(2)}%`} ...${named}
      onPointerDown=${grab} onPointerMove=${drag} onPointerUp=${drop} onPointerCancel=${() => (held.current = null)}
      onKeyDown=${press}></span>
  `;
}

/** The block with these values, and below it the values of the chosen piece on a line. */
function Half({ which, values, owner, lit, shape, state, set, uid }) {
  const { axis, name, kind } = shown[which];
  const { faces, labels, chosen } = shape;
  // What does not turn is not drawn again while the block does.
  const ruler = useMemo(() => html`<${Ruler} which=${which} />`, [which]);
  const dots = useMemo(() => html`<${Dots} which=${which} piece=${valuesOf(values, owner, lit)} />`, [values, owner, lit]);
  const share = (value) => `--share:${(100 * clamp((value - axis.domain[0]) / (axis.domain[1] - axis.domain[0]), 0, 1)).toFixed(1)}%`;
  return html`
    <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${html`<${Turntable} state=${state} set=${set} first=${which === "in"} />`}>
      <g class=${kind}>
        ${labels.map(({ key, words, at, anchor }) => html`
          <text key=${key} class=${key.length > 1 ? "bn-index" : ""} x=${at[0].toFixed(1)} y=${(at[1] + 4).toFixed(1)} text-anchor=${anchor}>${words}</text>
        `)}
        ${faces.map(({ key, n, c, p, side, points }) => html`
          <polygon key=${key} data-map=${`${n}${c}`} class=${`bn-face bn-face-${side}${owner[n][c] === lit ? " bn-lit" : ""}`} style=${share(values[n][c][p])} points=${points} />
        `)}
        <circle class="bn-chosen" cx=${chosen[0].toFixed(1)} cy=${chosen[1].toFixed(1)} r="4.5" />
        <text class="bn-row" x="4" y="14">${name}</text>
        ${ruler}
        ${dots}
      </g>
    <//>
  `;
}

const GROUND = HEIGHT - 22; // the height of the line of values

function Ruler({ which }) {
  return html`
    ${Array.from({ length: 20 }, (_, i) => html`
      <rect class="bn-face-scale" style=${`--share:${i * 5 + 2.5}%`} x=${20 + i * 16} y=${GROUND - 8} width="16.4" height="8" />
    `)}
    <${AxisX} scale=${shown[which].axis} y=${GROUND} />
  `;
}

function Dots({ which, piece }) {
  const { mean, variance } = moments(piece);
  const { axis } = shown[which];
  const inside = (value) => axis(clamp(value, ...axis.domain)).toFixed(1);
  return html`
    ${piece.map((value) => html`<circle class=${which === "in" ? "bn-in" : "bn-out"} cx=${inside(value)} cy=${GROUND - 15} r="4.5" />`)}
    <line class="bn-band" x1=${inside(mean - Math.sqrt(variance))} x2=${inside(mean + Math.sqrt(variance))} y1=${GROUND - 26} y2=${GROUND - 26} />
    <line class="bn-mean" x1=${inside(mean)} x2=${inside(mean)} y1=${GROUND - 32} y2=${GROUND - 20} />
    <text class="bn-accent-text" x=${inside(mean)} y=${GROUND - 36} text-anchor="middle">μ</text>
  `;
}

const valuesOf = (values, owner, number) => values.flatMap((maps, n) => maps.flatMap((map, c) => (owner[n][c] === number ? map : [])));

/** What the chosen piece is, in words. */
function pieceInWords({ normalizer, groups, sample, channel, x }) {
  const size = x[0].length / groups;
  const start = Math.floor(channel / size) * size;
  const ofGroup = size === 1 ? `channel ${start + 1}` : `channels ${start + 1} ${size === 2 ? "and" : "to"} ${start + size}`;
  return {
    batch: `channel ${channel + 1}`,
    layer: `sample ${sample + 1}`,
    instance: `channel ${channel + 1} of sample ${sample + 1}`,
    group: `${ofGroup} of sample ${sample + 1}`,
  }[normalizer];
}

function View({ state, set, uid }) {
  const { x, normalizer, groups, sample, channel } = state;
  const { owner, pieces, y } = useMemo(() => normalizeBlock(x, normalizer, groups, EPS), [x, normalizer, groups]);
  const gaps = useOnTheWay([...gapsOf(owner.map((row) => row[0])), ...gapsOf(owner[0])]);
  const lit = owner[sample][channel];
  const half = { owner, lit, shape: shapeOf(owner, gaps, x[0][0].length, state), state, set, uid };
  const numbers = useMemo(
    () => html`<${Numbers} x=${x} normalizer=${normalizer} groups=${groups} before=${pieces[lit]} after=${moments(valuesOf(y, owner, lit))} />`,
    [x, normalizer, groups, lit],
  );
  return html`
    <div class="bn-block-choices">
      <${Choice} label="Normalize" value=${normalizer} options=${Object.entries(NAMES)} uid=${uid} set=${(kind) => set({ normalizer: kind })} />
      <div class=${normalizer === "group" ? "" : "bn-unused"}>
        <${Choice} label="Groups" value=${groups} options=${[1, 2, 4].map((count) => [count, String(count)])} uid=${uid} set=${(count) => set({ groups: count })} />
      </div>
    </div>
    <div class="bn-beside bn-pair">
      <${Half} which="in" values=${x} ...${half} />
      <${Half} which="out" values=${y} ...${half} />
    </div>
    <div class="bn-sliders">
      <${Slider} label="sample" value=${sample} min=${0} max=${x.length - 1} step=${1} format=${(v) => String(v + 1)} set=${(v) => set({ sample: v })} />
      <${Slider} label="channel" value=${channel} min=${0} max=${x[0].length - 1} step=${1} format=${(v) => String(v + 1)} set=${(v) => set({ channel: v })} />
    </div>
    ${numbers}
  `;
}

function Numbers({ x, normalizer, groups, before, after }) {
  const options = Object.keys(NAMES).map((kind) => {
    const found = normalizeBlock(x, kind, groups, EPS).pieces;
    return { kind, pieces: found.length, values: found[0].count };
  });
  return html`
    <div class="bn-beside bn-worked bn-block-numbers">
      <table>
        <thead><tr><th scope="col">Normalize</th><th scope="col">mean over</th><th scope="col">pieces</th><th scope="col">values in each</th></tr></thead>
        <tbody>
          ${options.map((option) => html`
            <tr class=${option.kind === normalizer ? "bn-current" : ""}>
              <th scope="row">${option.kind === normalizer ? "▸ " : ""}${NAMES[option.kind]}</th>
              <td>${OVER[option.kind]}</td><td>${option.pieces}</td><td>${option.values}</td>
            </tr>
          `)}
        </tbody>
      </table>
      <table>
        <thead><tr><th scope="col">raised piece</th><th scope="col">mean</th><th scope="col">variance</th></tr></thead>
        <tbody>
          <tr><th scope="row">in</th><td>${fixed(before.mean)}</td><td>${fixed(before.variance)}</td></tr>
          <tr><th scope="row">out</th><td>${fixed(after.mean)}</td><td>${fixed(after.variance)}</td></tr>
        </tbody>
      </table>
    </div>
  `;
}

function describe(state) {
  const { x, normalizer, groups, sample, channel } = state;
  const { owner, pieces, y } = normalizeBlock(x, normalizer, groups, EPS);
  const lit = owner[sample][channel];
  const after = moments(valuesOf(y, owner, lit));
  const into = normalizer === "group" ? ` with ${groups} ${groups === 1 ? "group" : "groups"}${SAME[groups]}` : "";
  return (
    `${NAMES[normalizer]} Normalization${into}: ${pieces.length} pieces of ${pieces[lit].count} values. The raised one, ` +
    `${pieceInWords(state)}, has mean ${fixed(pieces[lit].mean)} and variance ${fixed(pieces[lit].variance)}; ` +
    `normalized, ${fixed(after.mean)} and ${fixed(after.variance)}.`
  );
}

export default explorable({ keys: ["x", "normalizer", "groups", "sample", "channel", "turn", "tilt"], View, describe });
