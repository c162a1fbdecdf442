// What the reader has read and answered, kept on this device and nowhere else.
//
// A chapter is read when the end of each of its sections has been on the screen for a second: scrolling past is not
// reading, and one may come back for the rest. A question is answered when its answer was right (bn_exercises' page.js
// says so with an event). contents.js says how many of each there are. Without storage all this lasts as long as the page.
(() => {
  "use strict";

  const KEY = "bn-progress";
  const VERSION = 1;
  const READING_TIME = 1000; // milliseconds

  // What is kept

  const nothing = () => ({ version: VERSION, read: [], seen: {}, answered: [] });

  const areWords = (value) => Array.isArray(value) && value.every((each) => typeof each === "string");

  const isProgress = (value) =>
    value?.version === VERSION &&
    areWords(value.read) &&
    areWords(value.answered) &&
    typeof value.seen === "object" &&
    value.seen !== null &&
    Object.values(value.seen).every(areWords);

  // A chapter's page may have had another name when it was read.
  const renamed = (value) => {
    const now = (chapter) => window.bnContents.formerly[chapter] ?? chapter;
    const seen = Object.entries(value.seen).map(([chapter, sections]) => [now(chapter), sections]);
    return { ...value, read: value.read.map(now), seen: Object.fromEntries(seen) };
  };

  // Storage may be forbidden, full, or hold what somebody else wrote.
  const load = () => {
    try {
      const value = JSON.parse(localStorage.getItem(KEY));
      return isProgress(value) ? renamed(value) : null;
    } catch {
      return null;
    }
  };

  const save = (value) => {
    try {
      if (isEmpty(value)) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, JSON.stringify(value));
    } catch {
      // It lasts as long as the page does.
    }
  };

  const isEmpty = ({ read, seen, answered }) => read.length + answered.length + Object.keys(seen).length === 0;

  let progress = load() ?? nothing();
  let cleared = null; // what "Undo" brings back

  // Another page of the book may have been read since.
  const change = (changed) => {
    progress = changed(load() ?? progress);
    cleared = null;
    save(progress);
    show();
  };

  const withWord = (words, word) => (words.includes(word) ? words : [...words, word]);

  // Where this is

  const { chapters, questions, language } = window.bnContents;
  const root = new URL(document.documentElement.dataset.content_root, location.href);
  const docOf = (address) => {
    const url = new URL(address, location.href);
    if (url.origin !== root.origin || !url.pathname.startsWith(root.pathname)) return null;
    return url.pathname.slice(root.pathname.length).replace(/\.html$/, "");
  };
  const here = docOf(location.href);

  // What is shown

  const counted = () => ({
    read: chapters.filter((chapter) => progress.read.includes(chapter)).length,
    answered: questions.filter((question) => progress.answered.includes(question)).length,
  });

  const summary = () => {
    const { read, answered } = counted();
    const all = { chapters: chapters.length, questions: questions.length };
    return filled(_("{read} of {chapters} chapters, {answered} of {questions} questions"), { read, answered, ...all });
  };

  const hidden = (className, text) => {
    const span = document.createElement("span");
    span.className = `bn-unseen ${className}`;
    span.lang = language;
    span.textContent = text;
    return span;
  };

  // A mark that is seen is a class; a mark that is heard is a word.
  const mark = (element, place, on, className, word) => {
    element.classList.toggle(className, on);
    const heard = place.querySelector(`.${className}-word`);
    if (on && !heard) place.append(hidden(`${className}-word`, word));
    if (!on) heard?.remove();
  };

  const showSummary = (line) => {
    const { read, answered } = counted();
    line.hidden = read + answered === 0 && !cleared;
    line.querySelector(".bn-progress-text").textContent = cleared ? _("Progress cleared.") : summary();
    const button = line.querySelector("button");
    button.textContent = cleared ? _("Undo") : _("Clear");
    button.setAttribute("aria-label", cleared ? _("Undo: bring progress back") : _("Clear progress"));
  };

  const show = () => {
    for (const link of document.querySelectorAll("nav.bd-links a[href], .bn-map a[href]")) {
      const doc = docOf(link.href);
      if (chapters.includes(doc)) mark(link.closest("li"), link, progress.read.includes(doc), "bn-read", _(" (read)"));
    }
    for (const box of document.querySelectorAll(".bn-question[data-name]")) {
      const place = box.querySelector(".bn-kicker");
      if (place) mark(box, place, progress.answered.includes(box.dataset.name), "bn-answered", _(" (answered)"));
    }
    document.querySelectorAll(".bn-progress").forEach(showSummary);
  };

  const clearOrUndo = () => {
    const back = cleared;
    cleared = back ? null : progress;
    progress = back ?? nothing();
    save(progress);
    show();
    say(back ? summary() : _("Progress cleared."));
  };

  // One line in the side bar and, where the page keeps room for it, one on the cover.
  const addSummary = (place) => {
    const line = document.createElement("div");
    line.className = "bn-progress";
    line.lang = language;
    line.title = _(
      "Kept in this browser only. A chapter counts as read when the end of each of its sections was on the screen for a second."
    );
    const text = document.createElement("span");
    text.className = "bn-progress-text";
    const button = document.createElement("button");
    button.type = "button";
    button.addEventListener("click", clearOrUndo);
    line.append(text, button);
    place.append(line);
  };

  // Said aloud when it happens, and not when a page opens.
  const status = hidden("bn-progress-status", "");
  status.setAttribute("role", "status");
  const say = (words) => {
    status.textContent = words;
  };

  // What counts

  const sections = () => [...document.querySelectorAll(".bd-article > section > section[id]")];

  const isEndOnScreen = (section) => {
    const { bottom } = section.getBoundingClientRect();
    return document.visibilityState === "visible" && bottom > 0 && bottom <= innerHeight;
  };

  const see = (section) =>
    change((before) => {
      const seen = withWord(before.seen[here] ?? [], section.id);
      const { [here]: _, ...others } = before.seen;
      if (sections().every(({ id }) => seen.includes(id))) {
        return { ...before, read: withWord(before.read, here), seen: others };
      }
      return { ...before, seen: { ...others, [here]: seen } };
    });

  const watchReading = () => {
    const timers = new Map();
    const look = () => {
      for (const section of sections()) {
        const waits = timers.has(section);
        const wanted =
          !progress.read.includes(here) && !progress.seen[here]?.includes(section.id) && isEndOnScreen(section);
        if (wanted && !waits) timers.set(section, setTimeout(done, READING_TIME, section));
        if (!wanted && waits) {
          clearTimeout(timers.get(section));
          timers.delete(section);
        }
      }
    };
    const done = (section) => {
      timers.delete(section);
      see(section);
      if (progress.read.includes(here)) say(filled(_("Chapter read. {summary}."), { summary: summary() }));
    };
    for (const event of ["scroll", "resize"]) addEventListener(event, look, { passive: true });
    document.addEventListener("visibilitychange", look);
    look();
  };

  const start = () => {
    document.body.append(status);
    const places = document.querySelectorAll("#pst-primary-sidebar, .bn-progress-place");
    places.forEach(addSummary);
    show();
    document.addEventListener("bn-answered", ({ detail: { name, right } }) => {
      if (right) change((before) => ({ ...before, answered: withWord(before.answered, name) }));
    });
    // Another tab, or this page brought back from the browser's memory.
    const refresh = () => {
      progress = load() ?? nothing();
      show();
    };
    addEventListener("storage", (event) => (event.key === KEY || event.key === null) && refresh());
    addEventListener("pageshow", (event) => event.persisted && refresh());
    if (chapters.includes(here)) watchReading();
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
