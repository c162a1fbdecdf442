// The parts of a page that need a script but belong to no figure.
"use strict";

// Who has no mouse must be able to scroll what is wider than its box. The others need not stop at it.
const SCROLLED = ".bn-formula, pre, .cell_output > .output, .pst-scrollable-table-container";
const FORMULA = { role: "group", "aria-label": "Formula, wider than the screen" };
const boxes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const formula = target.matches(".bn-formula"); // it scrolls sideways only
    const cut = target.scrollWidth > target.clientWidth || (!formula && target.scrollHeight > target.clientHeight);
    for (const [name, value] of Object.entries({ tabindex: "0", ...(formula && FORMULA) })) {
      if (cut) target.setAttribute(name, value);
      else target.removeAttribute(name);
    }
  }
});

// The theme takes the keyboard's place off a button that was pressed, for its tooltip's sake, so that a list which is
// closed has nowhere to give it back to. Who closes it with a key gets it back; a finger would only get the tooltip.
const OPENERS = {
  "pst-primary-sidebar-modal": ".primary-toggle",
  "pst-secondary-sidebar-modal": ".secondary-toggle",
  "pst-search-dialog": ".search-button",
};

function giveBack(dialog, opener) {
  dialog?.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    const toOpener = () => {
      if (document.activeElement === document.body) document.querySelector(opener)?.focus();
    };
    dialog.addEventListener("close", toOpener, { once: true });
  });
}

// Who chooses a section in the list wants to see it, and the list lies over it.
function closeOnChoice(dialog) {
  dialog?.addEventListener("click", ({ target }) => {
    if (target.closest('a[href^="#"]')) dialog.close();
  });
}

addEventListener("DOMContentLoaded", () => {
  for (const [dialog, opener] of Object.entries(OPENERS)) giveBack(document.getElementById(dialog), opener);
  closeOnChoice(document.getElementById("pst-secondary-sidebar-modal"));
});

// What is below the first screen was left out while the page came (later.py). Now it is placed, a few milliseconds at a
// time: a finger never waits, and what a reader scrolls past has its true height.
addEventListener("load", () => {
  const page = document.documentElement;
  const later = page.classList.contains("bn-coming") ? [...document.querySelectorAll(".bn-later")] : [];
  // Safari has only the second. A browser that is never idle goes on all the same.
  const whenIdle = (go) => (window.requestIdleCallback ? requestIdleCallback(go, { timeout: 1000 }) : setTimeout(go));
  const place = () => {
    const end = performance.now() + 5;
    while (later.length && performance.now() < end) {
      const block = later.shift();
      block.classList.remove("bn-later");
      block.getBoundingClientRect();
    }
    if (later.length) {
      whenIdle(place);
      return;
    }
    page.classList.remove("bn-coming");
    document.querySelectorAll(SCROLLED).forEach((box) => boxes.observe(box)); // to ask for a width lays all of it out
  };
  whenIdle(place);
});
