// The parts of a page that need a script but belong to no figure.
"use strict";

// Who has no mouse must be able to scroll a formula that is wider than its box. The others need not stop at it.
const boxes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
addEventListener("DOMContentLoaded", () => document.querySelectorAll(".bn-formula").forEach((box) => boxes.observe(box)));
