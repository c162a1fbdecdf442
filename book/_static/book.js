// What html-manager needs to know, and what it leaves out for those who read with a screen reader.
"use strict";

// require.js reads its configuration from here: modules, and the fonts beside them, are in our vendor folder.
window.require = { baseUrl: document.documentElement.dataset.content_root + "_static/vendor/" };

// html-manager calls this (vendor.py sees to it) to typeset a label, perhaps before MathJax has loaded.
window.typesetWidget = async (element) => {
  const script = document.querySelector('script[src*="mathjax"]');
  if (!script || element.children.length) return; // a page without mathematics, or a label that is more than text
  if (!window.MathJax?.startup) await new Promise((loaded) => script.addEventListener("load", loaded));
  await window.MathJax.startup.promise;
  element.textContent = element.textContent.replace(/\$([^$]+)\$/g, "\\($1\\)"); // the page's MathJax leaves dollars alone
  await window.MathJax.typesetPromise([element]);
};

// A slider's handle has no name, and says the number of the frame where the page shows its value. Both are on the page
// already; this ties them to the handle.
function nameSlider(slider) {
  const handle = slider.querySelector(".noUi-handle");
  const readout = slider.querySelector(".widget-readout");
  if (!handle || handle.hasAttribute("aria-label")) return;
  handle.setAttribute("aria-label", slider.querySelector(".widget-label")?.textContent || "value");
  if (!readout) return;
  readout.contentEditable = "false"; // there is no kernel to send typed text to
  const say = () => {
    // The slider writes its own text after each move, so look for a difference rather than for a change.
    if (handle.getAttribute("aria-valuetext") !== readout.textContent) {
      handle.setAttribute("aria-valuetext", readout.textContent);
    }
  };
  say();
  new MutationObserver(say).observe(slider, { childList: true, characterData: true, attributes: true, subtree: true });
}

new MutationObserver(() => document.querySelectorAll(".widget-slider").forEach(nameSlider)).observe(
  document.documentElement,
  { childList: true, subtree: true },
);
