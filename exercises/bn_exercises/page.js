// Answers one question on the page it stands on. What counts as which answer is computed in Python (page.py).
(() => {
  "use strict";

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

  const within = (numbers, ranges) => ranges.every(([low, high], i) => low <= numbers[i] && numbers[i] <= high);

  const complaint = (seen, count) =>
    seen === 0
      ? `Type ${count === 1 ? "a number" : `${count} numbers`}, such as 0.5, 1/2 or 0,5.`
      : `This question wants ${count} number${count === 1 ? "" : "s"}; you typed ${seen}.`;

  const reply = (question, form) => {
    const given = new FormData(form).get("answer") ?? "";
    if (question.choice && !given) return { html: "<p>Choose one.</p>", state: "" };
    let matching;
    if (question.choice) {
      matching = question.answers.filter((answer) => answer.choice === given);
    } else {
      const numbers = parse(given, question.count);
      if (numbers.length !== question.count)
        return { html: `<p>${complaint(numbers.length, question.count)}</p>`, state: "" };
      matching = question.answers.filter((answer) => within(numbers, answer.ranges));
    }
    const right = matching.find((answer) => answer.right);
    if (right) return { html: right.says, state: "right" };
    // Two mistakes can give the same numbers: then both are named.
    return { html: matching.map((answer) => answer.says).join("") || question.otherwise, state: "wrong" };
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
