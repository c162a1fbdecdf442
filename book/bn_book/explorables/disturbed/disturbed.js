// Disturbed: one of six recorded runs, how stable what enters a sigmoid is and how fast it learns; and the verdicts.
import { html, useMemo } from "../preact.js";
import { AxisX, AxisY, Choice, Controls, Drawing, Player, Scrub, Toggle, explorable, fixed, line, scale, significant } from "../ui.js";

const WIDTH = 360;
const HEIGHT = 268;
const TOP = 34;
const BOTTOM = 226;
const SIDES = [36, 350]; // from left to right, in each drawing
const NAMES = { plain: "nothing", "standardized once": "once, at the start", BN: "every mini-batch" };
const VERDICTS = [["stability", "stable inputs"], ["something else", "something else"], ["cannot tell", "these six cannot tell"]];
const ANSWERS = {
  stability: "Among runs left alone it looks so. Then compare BN disturbed with the two others left alone.",
  "something else": "It holds for disturbances of this size. The chapter makes them larger.",
  "cannot tell": "They can tell one thing: what is fast without stable inputs does not need them.",
};

const inputOf = (number) => number / 100;
const shareOf = (number) => number / 1000;
const chosen = ({ recording, normalized, disturbed }) =>
  recording.runs.find((run) => run.normalized === normalized && run.disturbed === disturbed);

/** The steps after which 90 % are right: the last look of a run that got there. */
const needed = (run) => (run.right[run.right.length - 1] >= 900 ? run.looks[run.looks.length - 1] : null);

/** Steps on an axis that is logarithmic but begins at 0. */
function clock(last, [from, to]) {
  const s = (step) => from + (Math.log1p(step) / Math.log1p(last)) * (to - from);
  s.range = [from, to];
  s.ticks = [0, 10, 100, 1000].filter((tick) => tick <= last);
  return s;
}

/** What is the same for all six runs, and the curves of each. */
function drawn({ recording }) {
  const { steps, runs } = recording;
  const all = runs.flatMap((run) => run.inputs.flat()).map(inputOf);
  const time = scale([0, steps[steps.length - 1]], SIDES, 4);
  const up = scale([Math.min(...all), Math.max(...all)], [BOTTOM - 4, TOP + 4], 6);
  const long = clock(Math.max(...runs.flatMap((run) => run.looks)), SIDES);
  const share = scale([0, 1], [BOTTOM, TOP], 5);
  return {
    time, up, long, share,
    curves: runs.map((run) => line(run.right.map((right, i) => [long(run.looks[i]), share(shareOf(right))]))),
    axes: [
      html`<${AxisY} scale=${up} x=${SIDES[0]} right=${SIDES[1]} /><${AxisX} scale=${time} y=${BOTTOM} label="training step" />`,
      html`<${AxisY} scale=${share} x=${SIDES[0]} right=${SIDES[1]} format=${(value) => `${Math.round(100 * value)}`} /><${AxisX} scale=${long} y=${BOTTOM} format=${String} label="training step" />`,
    ],
  };
}

function Inputs({ state, set, uid, at }) {
  const { recording, moment } = state;
  const { steps } = recording;
  const [low, middle, high] = chosen(state).inputs.map((values) => values.map((value, i) => [at.time(steps[i]), at.up(inputOf(value))]));
  const band = (to) => `${line(low.slice(0, to))}${line(high.slice(0, to).reverse()).replace("M", "L")}Z`;
  const nearest = { invert: (unit) => Math.max(0, Math.min(steps.length - 1, Math.round(at.time.invert(unit) / (steps[1] - steps[0])))) };
  const scrub = html`
    <${Scrub} width=${WIDTH} height=${HEIGHT} box=${[SIDES[0] - 8, TOP, SIDES[1] + 8, BOTTOM + 16]} scale=${nearest}
      value=${moment} set=${(to) => set({ moment: to })} />
  `;
  return html`
    <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid} handles=${scrub}>
      <text class="bn-side-name" x="2" y="13">stability: the input of a typical sigmoid</text>
      ${at.axes[0]}
      <path class="bn-spread bn-to-come" d=${band(steps.length)} />
      <path class="bn-curve bn-to-come" d=${line(middle)} />
      <path class="bn-spread" d=${band(moment + 1)} />
      <path class="bn-curve" d=${line(middle.slice(0, moment + 1))} />
      <line class="bn-time" x1=${middle[moment][0]} x2=${middle[moment][0]} y1=${TOP} y2=${BOTTOM} />
      <line class="bn-box" x1=${middle[moment][0]} x2=${middle[moment][0]} y1=${low[moment][1]} y2=${high[moment][1]} />
      <circle class="bn-dot" cx=${middle[moment][0]} cy=${middle[moment][1]} r="4" />
    <//>
  `;
}

function Speed({ state, uid, at }) {
  const run = chosen(state);
  const own = state.recording.runs.indexOf(run);
  const arrived = needed(run);
  return html`
    <${Drawing} width=${WIDTH} height=${HEIGHT} uid=${uid}>
      <text class="bn-side-name" x="2" y="13">speed: % of the test digits right</text>
      ${at.axes[1]}
      ${at.curves.map((curve, i) => i !== own && html`<path class="bn-other" d=${curve} />`)}
      <path class="bn-curve" d=${at.curves[own]} />
      <line class="bn-goal" x1=${SIDES[0]} x2=${SIDES[1]} y1=${at.share(0.9)} y2=${at.share(0.9)} />
      ${arrived !== null && html`<circle class="bn-dot" cx=${at.long(arrived)} cy=${at.share(shareOf(run.right[run.right.length - 1]))} r="4" />`}
    <//>
  `;
}

const stepsInWords = (run) => (needed(run) === null ? "not reached" : String(needed(run)));

function Table({ runs, own }) {
  return html`
    <table class="bn-worked">
      <thead><tr><th>normalized</th><th>path</th><th>in widths</th><th>steps to 90 %</th></tr></thead>
      <tbody>
        ${runs.map((run, i) => html`
          <tr class=${i === own ? "bn-own" : ""}>
            <th scope="row">${NAMES[run.normalized]}${run.disturbed ? ", disturbed" : ""}</th>
            <td>${significant(run.path, 3)}</td><td>${significant(run.widths, 3)}</td><td>${stepsInWords(run)}</td>
          </tr>
        `)}
      </tbody>
    </table>
  `;
}

function View({ state, set, uid, anew }) {
  const { recording, moment, normalized, disturbed, verdict } = state;
  const at = useMemo(() => drawn(state), [recording]);
  const run = chosen(state);
  return html`
    <div class=${`bn-disturbed ${normalized === "BN" ? "bn-has-bn" : "bn-has-none"}`}>
      <${Choice} label="normalized" value=${normalized} uid=${uid} options=${Object.entries(NAMES)} set=${(to) => set({ normalized: to })} />
      <${Controls} label="disturbed">
        <${Toggle} label="at every step" value=${disturbed} set=${(on) => set({ disturbed: on })} />
      <//>
      <div class="bn-beside bn-pair">
        <${Inputs} state=${state} set=${set} uid=${uid} at=${at} />
        <${Speed} state=${state} uid=${uid} at=${at} />
      </div>
      <${Player} label="training step" value=${moment} min=${0} max=${recording.steps.length - 1} seconds=${6} anew=${anew}
        format=${(value) => String(recording.steps[value])} set=${(to) => set({ moment: to })} />
      <${Choice} label="BN is fast by" value=${verdict} uid=${uid} options=${VERDICTS} set=${(to) => set({ verdict: to })} />
      ${verdict !== "" && html`
        <p class="bn-answer">${ANSWERS[verdict]} ${book(recording.runs)}</p>
        <${Table} runs=${recording.runs} own=${recording.runs.indexOf(run)} />
      `}
    </div>
  `;
}

/** The book's verdict, from the numbers. */
function book(runs) {
  const of = (normalized, disturbed) => runs.find((run) => run.normalized === normalized && run.disturbed === disturbed);
  const [plain, once, noisy] = [of("plain", false), of("standardized once", false), of("BN", true)];
  return (
    `The book's verdict: disturbed, BN moves ${significant(noisy.path / plain.path, 2)} times as far as the network in which ` +
    `nothing is normalized, in units of the input; in widths, that one moves ${significant(plain.widths / noisy.widths, 2)} times as far as BN. ` +
    `BN moves further than the network standardized once by both, and needs ${stepsInWords(noisy)} steps where that needs ` +
    `${stepsInWords(once)}. So inputs that are stable from step to step are not what makes BN fast here.`
  );
}

function describe(state) {
  const { recording, moment, disturbed, normalized } = state;
  const run = chosen(state);
  const [low, middle, high] = run.inputs.map((values) => inputOf(values[moment]));
  return (
    `Normalized: ${NAMES[normalized]}; ${disturbed ? "disturbed" : "left alone"}. Step ${recording.steps[moment]}: the median of ` +
    `the input is ${fixed(middle)}, the middle 70 % are ${fixed(high - low)} wide. 90 % of the test digits: ` +
    `${needed(run) === null ? "not reached" : `after ${needed(run)} steps`}.`
  );
}

export default explorable({ keys: ["recording", "moment", "normalized", "disturbed", "verdict"], View, describe });
