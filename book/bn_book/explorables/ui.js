// What the explorables share: a frame around the figure, plots, handles, sliders. What a figure says is in its own file.
//
// An explorable is a function of its state. The state lives in the widget's model, where Python, or the page, can read
// and set it; `explorable` draws the view again whenever it changes.
import { html, render, hydrate, useEffect, useRef, useState } from "./preact.js";

/**
 * Make an anywidget front-end module of a view.
 *
 * @param keys  the names of what the view reads from the model
 * @param View  draws the state: View({ state, set, uid }) with set({ gamma: 2 }) to change it
 */
export function widget(keys, View) {
  const read = (model) => Object.fromEntries(keys.map((key) => [key, model.get(key)]));

  function Root({ model }) {
    const [state, setState] = useState(() => read(model));
    const saving = useRef(0);
    useEffect(() => {
      const again = () => setState(read(model));
      keys.forEach((key) => model.on(`change:${key}`, again));
      again();
      return () => keys.forEach((key) => model.off(`change:${key}`, again));
    }, [model]);
    const set = (patch) => {
      Object.entries(patch).forEach(([key, value]) => model.set(key, value));
      cancelAnimationFrame(saving.current); // a drag sends its last state in a frame, not all of them
      saving.current = requestAnimationFrame(() => model.save_changes());
    };
    return html`<${View} state=${state} set=${set} uid=${model.get("uid")} />`;
  }

  return {
    /** Draw into `el`, over the still picture if it is there. */
    render({ model, el }) {
      const root = html`<${Root} model=${model} />`;
      el.classList.add("bn-explorable");
      el.setAttribute("role", "group");
      el.setAttribute("aria-labelledby", `${model.get("uid")}-title`);
      if (el.childElementCount) hydrate(root, el);
      else render(root, el);
      return () => render(null, el);
    },
    /** What `render` draws first, for a page that has not run any script yet. */
    first: (model) => html`<${Root} model=${model} />`,
  };
}

/**
 * A widget with a title, a reset, a surprise, and words that say what it shows now.
 *
 * @param keys      the names of the state that the view reads
 * @param View      draws the state: View({ state, set, uid, anew }), where `anew` is another number after each reset and
 *                  each surprise: what plays stops then
 * @param describe  tells in words what the figure shows now: describe(state)
 * @param surprise  returns another state, one that the reader would not find: surprise(state, next), where next() is
 *                  random in [0, 1); without it there is no such button
 */
export function explorable({ keys, View, describe, surprise }) {
  function Framed({ state, set, uid }) {
    const [anew, count] = useState(0);
    const now = describe(state);
    const begin = (patch) => {
      count(anew + 1);
      set(patch);
    };
    return html`
      <p class="bn-title" id=${`${uid}-title`}>${state.title}</p>
      <${View} state=${state} set=${set} uid=${uid} anew=${anew} />
      <div class="bn-toolbar bn-controls">
        <button type="button" onClick=${() => begin(state.initial)}>Reset</button>
        ${surprise && html`<button type="button" onClick=${() => begin(surprise(state, Math.random))}>Surprise me</button>`}
      </div>
      <p class="bn-now" id=${`${uid}-now`}>${now}</p>
      <${Spoken} words=${now} />
      <p class="bn-message">${state.message}</p>
    `;
  }
  return widget([...keys, "title", "message", "initial"], Framed);
}

/** The words, said by a screen reader when they have stopped changing. */
function Spoken({ words }) {
  const [said, say] = useState("");
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    const later = setTimeout(() => say(words), 700);
    return () => clearTimeout(later);
  }, [words]);
  return html`<p class="bn-spoken" role="status">${said || null}</p>`;
}

// Numbers as they are written in the book

/** A number with `digits` decimals and a true minus sign. */
export function fixed(value, digits = 2) {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

/** A number with `digits` significant digits, in powers of ten where it is very small or large. */
export function significant(value, digits = 3) {
  if (value === 0) return "0";
  if (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5) return String(Number(value.toPrecision(digits))).replace("-", "−");
  const [mantissa, exponent] = value.toExponential(Math.max(digits - 1, 0)).split("e");
  const power = Number(exponent)
    .toString()
    .replace(/./g, (sign) => ({ "-": "⁻" })[sign] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign]);
  const factor = String(Number(mantissa)).replace("-", "−");
  return `${factor === "1" ? "" : `${factor} × `}10${power}`;
}

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// Plots: an SVG in its own units, with handles of HTML on top (they keep their size when the drawing shrinks)

/** A linear map from numbers to units of the drawing: s(value), s.invert(unit), s.ticks. */
export function scale([low, high], [from, to], count = 5) {
  const s = (value) => from + ((value - low) / (high - low)) * (to - from);
  s.invert = (unit) => low + ((unit - from) / (to - from)) * (high - low);
  s.domain = [low, high];
  s.range = [from, to];
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw * 0.999);
  s.ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) s.ticks.push(k * step);
  s.digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return s;
}

/** The next of 1, 2, 5, 10, 20, ... that is not below `value`: a limit for an axis that seldom changes. */
export function roundLimit(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => Number((factor * power).toPrecision(6))).find((limit) => limit >= value * (1 - 1e-9));
}

/** A drawing of `width` x `height` units with `handles` on top. `uid` and the words of `now` name it. */
export function Drawing({ width, height, uid, handles, children }) {
  return html`
    <div class="bn-drawing" style=${`max-width:${width * 1.5}px`}>
      <svg viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height} role="img" aria-labelledby=${`${uid}-now`}>${children}</svg>
      ${handles}
    </div>
  `;
}

/** An axis below the drawing at height `y`, with ticks, grid lines up to `top` if given, and a label. */
export function AxisX({ scale, y, top, label, format }) {
  const write = format ?? ((value) => fixed(value, scale.digits));
  const [from, to] = scale.range;
  return html`
    <g class="bn-axis">
      ${top !== undefined && scale.ticks.map((tick) => html`<line class="bn-grid" x1=${scale(tick)} x2=${scale(tick)} y1=${top} y2=${y} />`)}
      <line x1=${from} x2=${to} y1=${y} y2=${y} />
      ${scale.ticks.map((tick) => html`
        <line x1=${scale(tick)} x2=${scale(tick)} y1=${y} y2=${y + 4} />
        <text x=${scale(tick)} y=${y + 16} text-anchor="middle">${write(tick)}</text>
      `)}
      ${label && html`<text class="bn-axis-label" x=${to} y=${y + 31} text-anchor="end">${label}</text>`}
    </g>
  `;
}

/** An axis at the left of the drawing at `x`, with ticks, grid lines up to `right` if given, and a label above it. */
export function AxisY({ scale, x, right, label, format }) {
  const write = format ?? ((value) => fixed(value, scale.digits));
  const [from, to] = scale.range;
  return html`
    <g class="bn-axis">
      ${right !== undefined && scale.ticks.map((tick) => html`<line class="bn-grid" x1=${x} x2=${right} y1=${scale(tick)} y2=${scale(tick)} />`)}
      <line x1=${x} x2=${x} y1=${from} y2=${to} />
      ${scale.ticks.map((tick) => html`
        <line x1=${x - 4} x2=${x} y1=${scale(tick)} y2=${scale(tick)} />
        <text x=${x - 7} y=${scale(tick) + 4} text-anchor="end">${write(tick)}</text>
      `)}
      ${label && html`<text class="bn-axis-label" x="2" y=${Math.min(from, to) - 8}>${label}</text>`}
    </g>
  `;
}

/** An SVG path through points [[x, y], ...]. */
export const line = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");

/**
 * A point that can be dragged, or moved with the arrow keys, ten steps at a time with Shift or with PageUp and PageDown,
 * which go up and down where it moves both ways; Home and End go all the way.
 *
 * `at` is its place in units of the drawing, whose size is [width, height]. It moves along x, along y, or both:
 * `x` and `y` are { value, scale, min, max, step }, and move({ x, y }) gets the new values.
 */
export function Handle({ width, height, at, x, y, label, text, move, kind = "" }) {
  const held = useRef(null);
  const main = x ?? y;
  const snap = (axis, value) => {
    const steps = Math.round((value - axis.min) / axis.step);
    return clamp(Number((axis.min + steps * axis.step).toPrecision(12)), axis.min, axis.max);
  };
  const go = (dx, dy) => {
    const next = {};
    if (x) next.x = snap(x, x.value + dx * x.step);
    if (y) next.y = snap(y, y.value + dy * y.step);
    move(next);
  };
  const grab = (event) => {
    const nearest = nearestHandle(event);
    if (nearest !== event.currentTarget) {
      nearest.dispatchEvent(new PointerEvent("pointerdown", event));
      return;
    }
    nearest.setPointerCapture(event.pointerId);
    nearest.focus({ preventScroll: true });
    const box = nearest.parentElement.getBoundingClientRect();
    held.current = {
      // Held where it was gripped, so that it does not jump under the finger.
      dx: at[0] - ((event.clientX - box.left) / box.width) * width,
      dy: at[1] - ((event.clientY - box.top) / box.height) * height,
      before: { ...(x && { x: x.value }), ...(y && { y: y.value }) },
      drags: dragOrScroll(event, x && y ? "both" : x ? "x" : "y"),
    };
  };
  const drag = (event) => {
    if (!held.current?.drags(event)) return;
    held.current.moved = true;
    const box = event.currentTarget.parentElement.getBoundingClientRect();
    const next = {};
    if (x) next.x = snap(x, x.scale.invert(((event.clientX - box.left) / box.width) * width + held.current.dx));
    if (y) next.y = snap(y, y.scale.invert(((event.clientY - box.top) / box.height) * height + held.current.dy));
    move(next);
  };
  const drop = (event) => {
    const { moved, before } = held.current ?? {};
    held.current = null;
    if (moved && event.type === "pointercancel") move(before);
  };
  const press = (event) => {
    const far = event.shiftKey ? 10 : 1;
    const steps = {
      ArrowRight: x ? [far, 0] : [0, far],
      ArrowLeft: x ? [-far, 0] : [0, -far],
      ArrowUp: y ? [0, far] : [far, 0],
      ArrowDown: y ? [0, -far] : [-far, 0],
      PageUp: y ? [0, 10] : [10, 0],
      PageDown: y ? [0, -10] : [-10, 0],
      Home: [-Infinity, 0],
      End: [Infinity, 0],
    }[event.key];
    if (!steps) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Home" || event.key === "End") {
      move({ [x ? "x" : "y"]: event.key === "Home" ? main.min : main.max });
    } else go(...steps);
  };
  return html`
    <span
      class=${`bn-handle bn-controls ${x && y ? "bn-both" : x ? "bn-along-x" : "bn-along-y"} ${kind}`}
      style=${`left:${((at[0] / width) * 100).toFixed(3)}%;top:${((at[1] / height) * 100).toFixed(3)}%`}
      role="slider" tabindex="0" aria-label=${label} aria-orientation=${x ? "horizontal" : "vertical"}
      aria-valuemin=${main.min} aria-valuemax=${main.max} aria-valuenow=${main.value} aria-valuetext=${text}
      onMouseDown=${(event) => event.preventDefault() /* it would move the focus to the handle on top */}
      onPointerDown=${grab} onPointerMove=${drag}
      onPointerUp=${drop} onPointerCancel=${drop}
      onKeyDown=${press}
    ></span>
  `;
}

/**
 * Whether the pointer that came down drags along `way`, "x", "y" or "both": a function of its further events. A finger
 * that goes the other way may be about to scroll the page, and the browser says so (pointercancel) only after the first
 * of its moves. So a finger drags from the first move on that goes along `way`; a mouse always does.
 */
function dragOrScroll(down, way) {
  let drags = way === "both" || down.pointerType === "mouse";
  return (event) => {
    const [sideways, upright] = [Math.abs(event.clientX - down.clientX), Math.abs(event.clientY - down.clientY)];
    drags ||= way === "x" ? sideways > upright : upright > sideways;
    return drags;
  };
}

/** Handles are a finger wide and may lie over each other: of those at the pointer, the one whose middle is nearest. */
function nearestHandle(event) {
  const away = (handle) => {
    const box = handle.getBoundingClientRect();
    return Math.hypot(event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2);
  };
  const handles = [...event.currentTarget.parentElement.querySelectorAll(":scope > .bn-handle")];
  return handles.reduce((best, handle) => (away(handle) < away(best) - 0.5 ? handle : best), event.currentTarget);
}

/** A part of the drawing that is pressed to switch it on or off. `box` is its place in units: [left, top, width, height]. */
export function Press({ width, height, box, label, on, set }) {
  const percent = (value, whole) => `${((value / whole) * 100).toFixed(3)}%`;
  const [left, top, wide, tall] = box;
  return html`
    <button type="button" class="bn-press bn-controls" role="switch" aria-checked=${String(on)} aria-label=${label}
      style=${`left:${percent(left, width)};top:${percent(top, height)};width:${percent(wide, width)};height:${percent(tall, height)}`}
      onClick=${() => set(!on)}></button>
  `;
}

// Controls

/** A slider with its name and its value in words. `log` moves it in powers of ten: min, max and value stay plain numbers. */
export function Slider({ label, value, min, max, step, set, format = fixed, log = false }) {
  const inner = log ? Math.log10 : (v) => v;
  const outer = log ? (v) => Number((10 ** v).toPrecision(6)) : (v) => v;
  return html`
    <label class="bn-slider bn-controls">
      <span class="bn-name">${label}</span>
      <input type="range" min=${inner(min)} max=${inner(max)} step=${step} value=${inner(value)}
        aria-valuetext=${format(value)} onInput=${(event) => set(outer(Number(event.currentTarget.value)))} />
      <span class="bn-value" aria-hidden="true">${format(value)}</span>
    </label>
  `;
}

/** Controls under one name. */
export function Controls({ label, children }) {
  return html`<fieldset class="bn-choice-of bn-controls"><legend>${label}</legend>${children}</fieldset>`;
}

/** One of several: options are [[value, words], ...]. */
export function Choice({ label, value, options, set, uid }) {
  return html`
    <${Controls} label=${label}>
      ${options.map(([option, words]) => html`
        <label key=${option}>
          <input type="radio" name=${`${uid}-${label}`} value=${option} checked=${option === value} onChange=${() => set(option)} />
          <span>${words}</span>
        </label>
      `)}
    <//>
  `;
}

/** On or off. */
export function Toggle({ label, value, set, kind = "" }) {
  return html`
    <label class=${`bn-toggle bn-controls ${kind}`}>
      <input type="checkbox" checked=${value} onChange=${(event) => set(event.currentTarget.checked)} />
      <span>${label}</span>
    </label>
  `;
}

export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Call step(seconds since the last frame) in every frame while `running`. The browser rests when nobody looks. */
export function useFrames(running, step) {
  const latest = useRef(step);
  latest.current = step;
  useEffect(() => {
    if (!running) return;
    let before = performance.now();
    let frame = requestAnimationFrame(function next(time) {
      latest.current(clamp((time - before) / 1000, 0, 0.1)); // a frame's time may lie before its request
      before = time;
      frame = requestAnimationFrame(next);
    });
    return () => cancelAnimationFrame(frame);
  }, [running]);
}

/**
 * Playing a whole number up to `max`, `speed` a second: [whether it plays, play(from), stop()]. A change of `value` by
 * anyone else stops it, and so does another `anew` (see `explorable`).
 */
export function usePlaying({ value, max, speed, set, anew }) {
  const [playing, turn] = useState(false);
  const clock = useRef(0);
  const begun = useRef(anew);
  const stop = () => turn(false);
  useFrames(playing, (passed) => {
    if (value !== Math.floor(clock.current) || anew !== begun.current) {
      stop(); // what is there now is not what was played
      return;
    }
    clock.current = Math.min(max, clock.current + passed * speed);
    const now = Math.floor(clock.current);
    if (now !== value) set(now);
    if (now === max) stop();
  });
  const play = (from) => {
    clock.current = from;
    begun.current = anew;
    if (from !== value) set(from);
    turn(true);
  };
  return [playing, play, stop];
}

/**
 * A slider through time with a button that moves it: from min to max in `seconds`, whole number by whole number.
 * Where motion is not wanted, the button goes a tenth of the way at once instead.
 */
export function Player({ label, value, min, max, seconds, format, set, anew }) {
  const [still, keepStill] = useState(false);
  const [playing, play, stop] = usePlaying({ value, max, speed: (max - min) / seconds, set, anew });
  useEffect(() => keepStill(reducedMotion()), []);
  const press = () => {
    const from = value >= max ? min : value;
    if (still) set(Math.min(max, from + Math.ceil((max - min) / 10)));
    else if (playing) stop();
    else play(from);
  };
  return html`
    <div class="bn-player bn-controls">
      <button type="button" onClick=${press}>${still ? "Step" : playing ? "Pause" : "Play"}</button>
      <${Slider} label=${label} value=${value} min=${min} max=${max} step=${1} format=${format}
        set=${(to) => { stop(); set(to); }} />
    </div>
  `;
}

/**
 * A part of a drawing where a press or a drag along x sets a value: set(value), through `scale`. It is for the pointer
 * only, so give the same value a Slider or a Handle for the keyboard. `box` is [left, top, right, bottom] in units.
 */
export function Scrub({ width, height, box, scale, value, set }) {
  const [left, top, right, bottom] = box;
  const held = useRef(null);
  const percent = (part, whole) => `${((part / whole) * 100).toFixed(3)}%`;
  const to = (event) => {
    const area = event.currentTarget.getBoundingClientRect();
    held.current.moved = true;
    set(scale.invert(left + clamp((event.clientX - area.left) / area.width, 0, 1) * (right - left)));
  };
  const grab = (event) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    held.current = { before: value, drags: dragOrScroll(event, "x"), down: event };
    if (event.pointerType === "mouse") to(event); // a finger may be about to scroll the page
  };
  const drag = (event) => {
    if (held.current?.drags(event)) to(event);
  };
  const drop = (event) => {
    if (!held.current) return;
    const { before, moved, drags, down } = held.current;
    const tapped = Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < 10;
    if (event.type === "pointerup" && (tapped || drags(event))) to(event);
    if (event.type === "pointercancel" && moved) set(before);
    held.current = null;
  };
  return html`
    <div class="bn-scrub bn-controls"
      style=${`left:${percent(left, width)};top:${percent(top, height)};width:${percent(right - left, width)};height:${percent(bottom - top, height)}`}
      onPointerDown=${grab} onPointerMove=${drag} onPointerUp=${drop} onPointerCancel=${drop}
    ></div>
  `;
}
