// The parts of a page that need a script but belong to no figure.
"use strict";

// What this book's scripts say is looked up with Sphinx's `_`, and contents.js brings what it says in another language.
const filled = (message, values) => message.replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);

// Who has no mouse must be able to scroll what is wider than its box. The others need not stop at it.
const SCROLLED = ".bn-formula, pre, .cell_output > .output, .pst-scrollable-table-container";
const wideFormula = () => ({ role: "group", "aria-label": _("Formula, wider than the screen") });
const boxes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const formula = target.matches(".bn-formula"); // it scrolls sideways only
    const cut = target.scrollWidth > target.clientWidth || (!formula && target.scrollHeight > target.clientHeight);
    for (const [name, value] of Object.entries({ tabindex: "0", ...(formula && wideFormula()) })) {
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

addEventListener("load", () => document.querySelectorAll(SCROLLED).forEach((box) => boxes.observe(box)));
