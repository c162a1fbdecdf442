// Answers one question on the page it stands on. The numbers that it compares with come from Python (page.py).
(() => {
  "use strict";

  // What was typed

  // More characters than any answer has. A pasted file would keep the expressions below busy for minutes.
  const LONGEST = 1000;

  // Arithmetic as people type it: "8*5*4", "−.5", "1/3", "5 × 10⁻³", "√(16 − 1)", "50 %".
  const SIGNS = [
    [/[−‐‑–—]/g, "-"], // minus signs that are not ASCII
    [/[⁺⁻]?[⁰¹²³⁴-⁹]+/g, (run) => `^(${run.normalize("NFKC").replace("−", "-")})`],
    [/(\d?)([¼½¾⅐-⅞])/g, (_, whole, part) => `${whole && `${whole}+`}(${part.normalize("NFKC")})`],
    [/[÷∕⁄]/g, "/"],
    [/[×·∙⋅]|\*(?!\*)|(?<=\d\s*)x(?=\s*[\d.])/gi, "*"],
    [/\*\*/g, "^"],
    [/\bsqrt\b/gi, "√"],
    [/[[\]{}]/g, " "],
    [/(?<=\d)\.(?=\s|$)/g, " "], // the end of a sentence
    [/[&|]|\band\b/g, ";"],
  ];
  const TOKEN = /\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)(?![\d.])|(\p{L}[\p{L}\p{M}/_]*)|([-+*/^√()%]|[;,]))/iuy;

  const tokens = (text) => {
    const found = [];
    TOKEN.lastIndex = 0;
    while (text.slice(TOKEN.lastIndex).trim()) {
      const from = TOKEN.lastIndex;
      const token = TOKEN.exec(text);
      if (!token) return null;
      const [whole, number, word, sign] = token;
      const apart = from > 0 && /^\s/.test(whole);
      found.push({ number, word, sign, apart, glued: /\S/.test(text[TOKEN.lastIndex] ?? " ") });
    }
    return found;
  };

  const wordsOf = (text) => text.match(/\p{L}[\p{L}\p{M}]*/gu) ?? [];
  const SAYING_NOTHING = ["about", "approximately", "approx", "around", "array", "ca", "circa", "roughly", "tensor"];
  const isSaid = (unit, words) => wordsOf(unit).every((word) => words.has(word.toLowerCase()));

  // The numbers of a text, one after another, each of them calculated; null if something in it is no arithmetic.
  // Words that the question says, as its units, say nothing new. `sums` is whether "2 - 1" is one number.
  const numbers = (text, words, sums) => {
    const read = tokens(text);
    const next = (...signs) => signs.includes(read[0]?.sign) && read.shift();
    // "2 -1" are two numbers, and where several are asked for "2 - 1" are, too.
    const isSign = ({ apart, glued }) => apart && (glued || !sums);

    // How many digits a number shows counts below: 66.1 / 100 shows as many as 66.1.
    const exact = (value) => Number(value.toPrecision(15));

    const power = () => {
      const first = read.shift();
      let value = NaN;
      if (first?.number) value = Number(first.number);
      else if (first?.sign === "√") value = Math.sqrt(power());
      else if (first?.sign === "(") {
        value = sum();
        if (!next(")")) return NaN;
      }
      if (next("^")) value **= signed(power);
      return next("%") ? exact(value / 100) : value;
    };
    const signed = (value) => (next("-") ? -value() : (next("+"), value()));
    const product = () => {
      let value = power();
      for (let by; (by = next("*", "/")); ) value = exact(by.sign === "*" ? value * signed(power) : value / signed(power));
      return value;
    };
    const sum = () => {
      let value = signed(product);
      while (["+", "-"].includes(read[0]?.sign) && !isSign(read[0])) value += read.shift().sign === "-" ? -product() : product();
      return value;
    };

    const found = [];
    while (read?.length) {
      if (next(";", ",")) continue;
      if (read[0].word) {
        if (!isSaid(read.shift().word, words)) return null;
        continue;
      }
      found.push(sum());
    }
    return read && found.every(Number.isFinite) ? found : null;
  };

  // A comma is a decimal comma or a separator, and brackets are those of arithmetic or of a list: whichever reading
  // gives as many numbers as the question wants.
  const parse = (text, count, words) => {
    const said = count === 1 ? text.split(/[=≈≃→~]/).pop() : text.replace(/[^\s;,]*\s*[=≈≃→~]/g, " ");
    const plain = SIGNS.reduce((before, [from, to]) => before.replace(from, to), said);
    const decimal = plain.replace(/,(?=\d)/g, ".");
    const complete = [decimal, plain]
      .flatMap((each) => [each, each.replace(/[()]/g, " ")])
      .map((each) => numbers(each, words, count === 1))
      .filter((found) => found?.length > 0);
    return complete.find((found) => found.length === count) ?? complete[0] ?? [];
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

  // Messages in the language of the question that is answered: as they stand here, unless it brings others.
  let translated = {};
  let plural = [];
  const filled = (message, values) => message.replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);
  const _ = (message, values = {}) => filled(translated[message] ?? message, values);
  const ngettext = (one, many, n, values = {}) =>
    filled(translated[one]?.[plural[n % plural.length]] ?? (n === 1 ? one : many), { n, ...values });

  const paragraph = (text) => `<p>${text}</p>`;
  const say = (heading, ...rest) => `<p><strong>${heading}</strong> ${rest.filter(Boolean).join(" ")}</p>`;

  const complaint = (seen, count) =>
    seen === 0
      ? paragraph(ngettext("Type a number, such as 0.5, 1/2 or 0,5.", "Type {n} numbers, such as 0.5, 1/2 or 0,5.", count))
      : paragraph(
          ngettext(
            "This question wants {n} number; you typed {seen}.",
            "This question wants {n} numbers; you typed {seen}.",
            count,
            { seen }
          )
        );

  // "0.2 GB" is no 0.2 where MB are asked for.
  const otherUnit = (given, words) => {
    const read = tokens(given) ?? [];
    const unit = read.some(({ number }) => number) && read.find(({ word }) => word && !isSaid(word, words))?.word;
    if (!unit) return unit;
    return paragraph(_("This question does not ask for “{unit}”. Type numbers alone, in the unit that it asks for.", { unit }));
  };

  // How the problem was read: without what the digits do not tell.
  const readWith = (open, choices) => {
    const chosen = open.map((_, i) => [...new Set(choices.map((each) => each[i]))]);
    const telling = chosen.filter((ways, i) => ways.length < open[i]);
    const readings = (telling.length > 0 ? telling : chosen).map((ways) => ways.join(_(" or "))).join(_(" and "));
    return readings && _("This was read with {readings}.", { readings });
  };

  const right = (question, heading, ...says) => ({ html: say(heading, ...says, question.because), state: "right" });

  const mistaken = (question, indices) => {
    const found = indices.map((i) => question.mistakes[i]);
    const mistakes = found.filter((one, i) => found.findIndex((other) => other.name === one.name) === i);
    const heading = _("Not yet: {mistakes}.", { mistakes: mistakes.map((mistake) => mistake.name).join(_(" or ")) });
    if (mistakes.length === 1) return { html: say(heading, mistakes[0].says), state: "wrong" };
    const each = mistakes.map((mistake, i) => paragraph(i > 0 ? _("Or: {says}", mistake) : mistake.says)).join("");
    return { html: say(heading, _("More than one mistake gives these numbers.")) + each, state: "wrong" };
  };

  const replyToChoice = (question, given) => {
    if (!given) return { html: paragraph(_("Choose one.")), state: "" };
    const mistake = question.choices[given];
    return mistake === null ? right(question, _("Right.")) : mistaken(question, [mistake]);
  };

  const replyToNumbers = (question, given, prompt) => {
    if (given.length > LONGEST) {
      const long = _("This is longer than {most} characters.", { most: LONGEST });
      return { html: paragraph(long) + complaint(0, question.count), state: "" };
    }
    const known = new Set([...wordsOf(prompt.toLowerCase()), ...SAYING_NOTHING]);
    const answer = parse(given, question.count, known);
    if (answer.length !== question.count) {
      const other = question.readings
        .flatMap((reading) => reading.other)
        .find(({ value, room }) => value.length === answer.length && distance(answer, value, room) <= 1);
      if (other) return mistaken(question, [other.mistake]);
      const html = (answer.length === 0 && otherUnit(given, known)) || complaint(answer.length, question.count);
      return { html, state: "" };
    }
    const best = isPatchwork(question, answer) ? [{}] : bestReadings(question, answer);
    const { way, cutShort, near } = best.reduce((first, each) => (each.off < first.off ? each : first));
    if (way) return right(question, way.heading, way.says, readWith(question.open, best.map((each) => each.choices)));
    if (cutShort) return { html: say(_("Not yet."), question.cutShort), state: "wrong" };
    if (near) return mistaken(question, nearest(best.flatMap((each) => each.near ?? []), question.rule));
    const places = slips(question, answer).map((i) => _("number {place}", { place: i + 1 })).join(", ");
    const look = places ? _("Most of it is right. Look again at {places}.", { places }) : question.otherwise;
    return { html: say(_("Not yet."), look), state: "wrong" };
  };

  const reply = (question, form) => {
    ({ words: translated = {}, plural = [] } = question);
    const given = new FormData(form).get("answer") ?? "";
    if (question.choices) return replyToChoice(question, given);
    return replyToNumbers(question, given, form.querySelector(".bn-prompt").textContent);
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
