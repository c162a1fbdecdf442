// Turning: a weight vector in front of BN, its steps in the plane, and over time its length and how far a step turns it.
import { html, useMemo } from "../preact.js";
import { angleBetween, balanceOfUnit, descentOfUnit, mean } from "../bn.js";
import { AxisX, AxisY, Drawing, Player, Slider, clamp, explorable, fixed, line, roundLimit, scale, significant } from "../ui.js";

const WIDTH = 360;
const STEPS = 200;
const DIRECTION = [-0.6, 0.8]; // of the start: the best one is opposite enough that there is something to turn
const DEGREES = 180 / Math.PI;
const LAST = 50; // steps that an angle is averaged over

/** The descent, and over time the length and the angle of each step, in degrees; where they stay, if decay lets them. */
function turned({ x, targets, batches, rate, decay, length }) {
  const taken = batches.map((rows) => ({ rows: rows.map((i) => x[i]), targets: rows.map((i) => targets[i]) }));
  const { visited, gradients } = descentOfUnit(DIRECTION.map((part) => part * length), taken, rate, decay);
  const lengths = visited.map(([w1, w2]) => Math.hypot(w1, w2));
  const angles = gradients.map((_, k) => DEGREES * angleBetween(visited[k], visited[k + 1]));
  const square = mean(gradients.map(([g1, g2], k) => (Math.hypot(g1, g2) * lengths[k]) ** 2));
  const balance = decay > 0 ? balanceOfUnit(rate, decay, square) : null;
  return { visited, gradients, lengths, angles, balance };
}

/** The root of the mean square of the last angles before `steps`. */
const lately = (angles, steps) => Math.sqrt(mean(angles.slice(Math.max(0, steps - LAST), steps).map((angle) => angle ** 2)));

// The plane of the two weights

const SQUARE = { left: 40, top: 34, side: 288 };
const TALL = 364;

/** From the place of one vector's tip to another, with a head. */
function Arrow({ from, to, kind }) {
  const long = Math.hypot(to[0] - from[0], to[1] - from[1]);
  if (long < 1) return null;
  const [ux, uy] = [(to[0] - from[0]) / long, (to[1] - from[1]) / long];
  const head = Math.min(8, long);
  const base = [to[0] - head * ux, to[1] - head * uy];
  const side = head * 0.5;
  return html`
    <g class=${kind}>
      <path d=${line([from, base])} />
      <path class="bn-head" d=${`${line([to, [base[0] - side * uy, base[1] + side * ux], [base[0] + side * uy, base[1] - side * ux]])}Z`} />
    </g>
  `;
}

function Plane({ state, uid, run }) {
  const { rate, decay, steps } = state;
  const reach = roundLimit(Math.max(...run.lengths, run.balance?.length ?? 0));
  const { left, top, side } = SQUARE;
  const across = scale([-reach, reach], [left, left + side], 4);
  const up = scale([-reach, reach], [top + side, top], 4);
  const at = ([w1, w2]) => [across(w1), up(w2)];
  const axes = useMemo(() => html`<${AxisY} scale=${up} x=${left} label="weight 2" /><${AxisX} scale=${across} y=${top + side} label="weight 1" />`, [reach]);
  const w = run.visited[steps];
  const g = run.gradients[Math.min(steps, STEPS - 1)];
  const stepped = w.map((part, j) => part - rate * g[j]);
  const decayed = stepped.map((part, j) => part - rate * decay * w[j]);
  return html`
    <${Drawing} width=${WIDTH} height=${TALL} uid=${uid}>
      <clipPath id=${`${uid}-plane`}><rect x=${left} y=${top} width=${side} height=${side} /></clipPath>
      ${axes}
      <g clip-path=${`url(#${uid}-plane)`}>
        ${run.balance && html`<circle class="bn-balance" cx=${across(0)} cy=${up(0)} r=${across(run.balance.length) - across(0)} />`}
        <path class="bn-tips" d=${line(run.visited.slice(0, steps + 1).map(at))} />
        <${Arrow} from=${[across(0), up(0)]} to=${at(w)} kind="bn-weight" />
        ${steps < STEPS && html`
          <${Arrow} from=${at(w)} to=${at(stepped)} kind="bn-turn" />
          <${Arrow} from=${at(stepped)} to=${at(decayed)} kind="bn-decay" />
        `}
      </g>
      <text class="bn-row" x=${left + side} y="13" text-anchor="end">length ${significant(run.lengths[steps], 3)}</text>
    <//>
  `;
}

// Over time: the length, and the angle of each step

const LEFT = 46;
const RIGHT = 350;
const ROOMS = { length: [34, 156], angle: [196, 318] }; // from top to bottom
const time = scale([0, STEPS], [LEFT, RIGHT], 4);
const decades = (powers, [top, bottom]) => {
  const inner = scale(powers, [bottom, top]);
  const s = (value) => clamp(inner(Math.log10(Math.max(value, 1e-9))), top, bottom);
  s.range = [bottom, top];
  s.ticks = [];
  for (let power = Math.ceil(powers[0]); power <= powers[1]; power += 1) s.ticks.push(10 ** power);
  return s;
};
const lengthUp = decades([-1.1, 2], ROOMS.length);
const angleUp = decades([-2, 2.1], ROOMS.angle);
const AXES = html`
  <${AxisY} scale=${lengthUp} x=${LEFT} right=${RIGHT} format=${(tick) => significant(tick)} label="length" />
  <${AxisY} scale=${angleUp} x=${LEFT} right=${RIGHT} format=${(tick) => `${significant(tick)}°`} label="angle of a step" />
  <${AxisX} scale=${time} y=${ROOMS.angle[1]} label="steps" />
`;

function Curves({ uid, run, steps }) {
  const curve = (values, s, first) => line(values.map((value, i) => [time(i + first), s(value)]));
  const lines = [[run.lengths, lengthUp, 0, "length"], [run.angles, angleUp, 1, "angle"]];
  return html`
    <${Drawing} width=${WIDTH} height=${TALL} uid=${uid}>
      ${AXES}
      ${lines.map(([values, s, first, name]) => html`
        ${run.balance && html`<line class="bn-balance" x1=${LEFT} x2=${RIGHT} y1=${s(run.balance[name] * (name === "angle" ? DEGREES : 1))} y2=${s(run.balance[name] * (name === "angle" ? DEGREES : 1))} />`}
        <path class="bn-yet" d=${curve(values, s, first)} />
        <path class="bn-tips" d=${curve(values.slice(0, steps + 1 - first), s, first)} />
        ${steps >= first && html`<circle class="bn-here" cx=${time(steps)} cy=${s(values[steps - first])} r="4.5" />`}
      `)}
    <//>
  `;
}

function View({ state, set, uid, anew }) {
  const { x, targets, batches, rate, decay, length, steps } = state;
  const run = useMemo(() => turned(state), [x, targets, batches, rate, decay, length]);
  return html`
    <div class="bn-beside bn-pair">
      <${Plane} state=${state} uid=${uid} run=${run} />
      <${Curves} uid=${uid} run=${run} steps=${steps} />
    </div>
    <${Player} label="steps" value=${steps} min=${0} max=${STEPS} seconds=${10} format=${String} anew=${anew} set=${(to) => set({ steps: to })} />
    <div class="bn-sliders">
      <${Slider} label="learning rate" value=${rate} min=${0.01} max=${3} step=${0.02} log=${true} format=${(value) => significant(value, 2)}
        set=${(to) => set({ rate: clamp(Number(to.toPrecision(2)), 0.01, 3) })} />
      <${Slider} label="weight decay" value=${decay} min=${0} max=${0.2} step=${0.005} format=${(value) => fixed(value, 3)} set=${(to) => set({ decay: to })} />
      <${Slider} label="first length" value=${length} min=${0.1} max=${10} step=${0.05} log=${true} format=${(value) => significant(value, 2)}
        set=${(to) => set({ length: clamp(Number(to.toPrecision(2)), 0.1, 10) })} />
    </div>
    <p class="bn-legend">
      <span class="bn-turn">Arrow at the tip: the step of the gradient.</span>${" "}<span class="bn-decay">Second arrow: what decay takes back.</span>${" "}
      Dashed: balance. Angles of several steps are the root of their mean square. The mini-batches are the same whatever you set.
    </p>
  `;
}

const degrees = (value) => `${significant(value, 2)}°`;

function describe(state) {
  const { rate, decay, length, steps } = state;
  const { lengths, angles, balance } = turned(state);
  const settings = `Rate ${significant(rate, 2)}, decay ${fixed(decay, 3)}, ${steps} steps`;
  const goal = balance
    ? `In balance a step turns it by ${degrees(DEGREES * balance.angle)}.`
    : "Without decay nothing makes it shorter.";
  if (steps === 0) return `${settings}: the vector is ${significant(length, 2)} long. The first step turns it by ${degrees(angles[0])}. ${goal}`;
  const count = Math.min(steps, LAST);
  const turns = count === 1 ? `The step turned it by ${degrees(angles[0])}` : `The last ${count} steps turned it by ${degrees(lately(angles, steps))} each`;
  return `${settings}: the vector is ${significant(lengths[steps], 3)} long, and was ${significant(length, 2)}. ${turns}. ${goal}`;
}

export default explorable({ keys: ["x", "targets", "batches", "rate", "decay", "length", "steps"], View, describe });
