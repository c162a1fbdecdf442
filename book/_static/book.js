// The parts of a page that need a script but belong to no figure.
"use strict";

// Who has no mouse must be able to scroll a formula that is wider than its box. The others need not stop at it. To ask
// for its width lays it out, so a formula is asked when it comes near the screen.
const boxes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const wide = target.scrollWidth > target.clientWidth;
    const stop = { tabindex: "0", role: "group", "aria-label": "Formula, wider than the screen" };
    for (const [name, value] of Object.entries(stop)) {
      if (wide) target.setAttribute(name, value);
      else target.removeAttribute(name);
    }
  }
});
const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      boxes.observe(target);
    }
  },
  { rootMargin: "600px 0px" },
);
addEventListener("DOMContentLoaded", () => document.querySelectorAll(".bn-formula").forEach((box) => near.observe(box)));
