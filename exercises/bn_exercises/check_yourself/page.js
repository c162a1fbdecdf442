// Answers one question on the page it stands on. The numbers that it compares with come from Python (page.py).
(() => {
  "use strict";

  // What was typed

  // More characters than any answer has. A pasted file would keep the expressions below busy for minutes.
  const LONGEST = 1000;

  const NUMBER = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\/((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?))?$/i;

  // "0.5", "1/2", "−.5", "1e-3": a number, or null.
  const number = (text) => {
    const parts = NUMBER.exec(text);
    if (!parts) return null;
    const value = Number(parts[1]) / (parts[2] === undefined ? 1 : Number(parts[2]));
    return Number.isFinite(value) ? value : null;
  };

  // A comma is a decimal comma or a separator: whichever reading gives as many numbers as the question wants.
  const readings = (text) => {
    const plain = text
      .replace(/[−‐‑–—]/g, "-") // minus signs that are not ASCII
      .replace(/[[\](){}]/g, " ")
      .replace(/\s*\/\s*/g, "/")
      .replace(/(^|[\s;,])([+-])\s+(?=[\d.])/g, "$1$2")
      .trim();
    const split = (separator, commas) =>
      plain.split(separator).filter(Boolean).map((part) => number(part.replace(commas, ".")));
    return [split(/[\s;]+|,\s+/, /,(?=\d)/), split(/[\s;,]+/, /$^/)];
  };

  const parse = (text, count) => {
    const complete = readings(text).filter((numbers) => numbers.length > 0 && !numbers.includes(null));
    return complete.find((numbers) => numbers.length === count) ?? complete[0] ?? [];
  };

  // What it counts as: tolerance.py and judging.py, for one part of a problem. A test compares the two.

  const ZERO = 1e-12;

  const distance = (answer, value, room) =>
    Math.max(...value.map((v, i) => Math.max(Math.abs(v - answer[i]) - ZERO, 0) / room[i]));

  const digitsShown = (number) => number.toExponential().split("e")[0].replace(/\D/g, "").length;

  // As many digits as a number shows, and so many at least.
  const lastPlace = (number, least) =>
    10 ** (Number(number.toExponential().split("e")[1]) - Math.max(digitsShown(number), least) + 1);

  const isRounded = (answer, value, least) =>
    answer.every((a, i) => Math.abs(a - value[i]) <= 0.5000001 * lastPlace(a, least) + ZERO);

  const isCutShort = (answer, value, rivals, rule) =>
    answer.every((a, i) => Math.abs(a) > ZERO || Math.abs(value[i]) <= ZERO) &&
    isRounded(answer, value, 1) &&
    !rivals.some((rival) => isRounded(answer, rival, rule.digits));

  const overruled = (answer, way, off, rivals, rule) =>
    off > rule.equal &&
    rivals.some((rival) => distance(answer, rival, way.room) < rule.nearer * off) &&
    !isRounded(answer, way.value, rule.digits);

  // An answer under one reading of the problem.
  const judge = (answer, reading, rivals, rule) => {
    for (const [i, way] of reading.ways.entries()) {
      const off = distance(answer, way.value, way.room);
      if (off <= 1 && !overruled(answer, way, off, rivals, rule))
        return { merit: 2, off: off + (i > 0), way, choices: reading.choices };
    }
    if (isCutShort(answer, reading.ways[0].value, rivals, rule)) return { merit: 1, off: 0, cutShort: true };
    const near = reading.wrong
      .map(({ mistake, value, room }) => ({
        mistake,
        off: distance(answer, value, room),
        rounded: isRounded(answer, value, rule.digits),
      }))
      .filter((wrong) => wrong.off <= 1);
    return near.length > 0 ? { merit: 1, off: Math.min(...near.map((wrong) => wrong.off)), near } : { merit: 0, off: 0 };
  };

  // Of the mistakes that give about these numbers the nearest, and those that the digits do not tell from it.
  const nearest = (near, rule) => {
    const inOrder = [...near].sort((a, b) => a.off - b.off);
    const kept = inOrder.filter((wrong) => wrong.off <= Math.max(rule.tie, 2 * inOrder[0].off) || wrong.rounded);
    return kept.map((wrong) => wrong.mistake);
  };

  // Under all readings: those that suit the answer best, in the problem's order.
  const bestReadings = (question, answer) => {
    const judged = question.readings.map((reading) => {
      const others = question.readings.filter((other) => other !== reading);
      const rivals = [...others.map((other) => other.ways[0]), ...others.flatMap((other) => other.wrong), ...reading.wrong];
      return judge(answer, reading, rivals.map((rival) => rival.value), question.rule);
    });
    const merit = Math.max(...judged.map((each) => each.merit));
    return judged.filter((each) => each.merit === merit);
  };

  // Whether the numbers that show so many digits that it is no chance follow readings, and not all the same one.
  const isPatchwork = ({ readings, rule }, answer) => {
    const telling = [...answer.keys()].filter((i) => digitsShown(answer[i]) >= rule.telling);
    const follows = telling.map((i) =>
      readings.map(({ ways }) => isRounded([answer[i]], [ways[0].value[i]], rule.digits))
    );
    return follows.every((each) => each.includes(true)) && !readings.some((_, r) => follows.every((each) => each[r]));
  };

  // The places of a few numbers that are off among many that are right.
  const slips = (question, answer) => {
    const { value, room } = question.readings[0].ways[0];
    const off = [...value.keys()].filter((i) => Math.abs(value[i] - answer[i]) > room[i]);
    return value.length > 2 && off.length <= Math.min(question.rule.slips, Math.floor((value.length - 1) / 2)) ? off : [];
  };

  // What is said

  const say = (heading, ...rest) => `<p><strong>${heading}</strong> ${rest.filter(Boolean).join(" ")}</p>`;

  const complaint = (seen, count) =>
    seen === 0
      ? `<p>Type ${count === 1 ? "a number" : `${count} numbers`}, such as 0.5, 1/2 or 0,5.</p>`
      : `<p>This question wants ${count} number${count === 1 ? "" : "s"}; you typed ${seen}.</p>`;

  // How the problem was read: without what the digits do not tell.
  const readWith = (open, choices) => {
    const chosen = open.map((_, i) => [...new Set(choices.map((each) => each[i]))]);
    const telling = chosen.filter((ways, i) => ways.length < open[i]);
    const words = (telling.length > 0 ? telling : chosen).map((ways) => ways.join(" or ")).join(" and ");
    return words && `This was read with ${words}.`;
  };

  const right = (question, heading, ...says) => ({ html: say(heading, ...says, question.because), state: "right" });

  const mistaken = (question, indices) => {
    const found = indices.map((i) => question.mistakes[i]);
    const mistakes = found.filter((one, i) => found.findIndex((other) => other.name === one.name) === i);
    const heading = `Not yet: ${mistakes.map((mistake) => mistake.name).join(" or ")}.`;
    if (mistakes.length === 1) return { html: say(heading, mistakes[0].says), state: "wrong" };
    const each = mistakes.map((mistake, i) => `<p>${i > 0 ? "Or: " : ""}${mistake.says}</p>`).join("");
    return { html: say(heading, "More than one mistake gives these numbers.") + each, state: "wrong" };
  };

  const replyToChoice = (question, given) => {
    if (!given) return { html: "<p>Choose one.</p>", state: "" };
    const mistake = question.choices[given];
    return mistake === null ? right(question, "Right.") : mistaken(question, [mistake]);
  };

  const replyToNumbers = (question, given) => {
    if (given.length > LONGEST) {
      return { html: `<p>This is longer than ${LONGEST} characters.</p>${complaint(0, question.count)}`, state: "" };
    }
    const answer = parse(given, question.count);
    if (answer.length !== question.count) {
      const other = question.readings
        .flatMap((reading) => reading.other)
        .find(({ value, room }) => value.length === answer.length && distance(answer, value, room) <= 1);
      return other ? mistaken(question, [other.mistake]) : { html: complaint(answer.length, question.count), state: "" };
    }
    const best = isPatchwork(question, answer) ? [{}] : bestReadings(question, answer);
    const { way, cutShort, near } = best.reduce((first, each) => (each.off < first.off ? each : first));
    if (way) return right(question, way.heading, way.says, readWith(question.open, best.map((each) => each.choices)));
    if (cutShort) return { html: say("Not yet.", question.cutShort), state: "wrong" };
    if (near) return mistaken(question, nearest(best.flatMap((each) => each.near ?? []), question.rule));
    const places = slips(question, answer).map((i) => `number ${i + 1}`).join(", ");
    const look = places ? `Most of it is right. Look again at ${places}.` : question.otherwise;
    return { html: say("Not yet.", look), state: "wrong" };
  };

  const reply = (question, form) => {
    const given = new FormData(form).get("answer") ?? "";
    return question.choices ? replyToChoice(question, given) : replyToNumbers(question, given);
  };

  for (const form of document.querySelectorAll(".bn-question form:not([data-ready])")) {
    form.dataset.ready = "true";
    const question = JSON.parse(form.dataset.question);
    const verdict = form.parentElement.querySelector(".bn-verdict");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { html, state } = reply(question, form);
      verdict.innerHTML = html;
      verdict.dataset.state = state;
      // For whoever keeps count of what was answered: the book's progress.js does.
      const detail = { name: form.parentElement.dataset.name, right: state === "right" };
      form.parentElement.dispatchEvent(new CustomEvent("bn-answered", { bubbles: true, detail }));
    });
    // JupyterLab keeps Enter from submitting a form in an output, so it is done here.
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.target.matches("input")) return;
      event.preventDefault();
      event.stopPropagation();
      form.requestSubmit();
    });
    // A verdict that is no longer about what stands in the field would mislead.
    form.addEventListener("input", () => {
      verdict.textContent = "";
      verdict.dataset.state = "";
    });
  }
})();
