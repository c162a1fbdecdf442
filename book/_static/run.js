// "Run it here": says what is going to happen, and opens JupyterLite only then. Without this script the button is a link.
"use strict";

const runDialog = document.getElementById("bn-run");
const runButton = document.querySelector(".btn-run-here");

if (runDialog && runButton) {
  runButton.removeAttribute("target"); // it opens nothing: the dialog does
  runButton.setAttribute("aria-haspopup", "dialog");
  if (location.protocol === "file:") {
    runDialog.querySelector(".bn-run-served").hidden = true;
    runDialog.querySelector(".bn-run-open").hidden = true;
    runDialog.querySelector(".bn-run-from-file").hidden = false;
  }
  runButton.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the reader wants the link
    event.preventDefault();
    runDialog.showModal();
  });
  // A script of the theme keeps this key from what it does by itself.
  runDialog.addEventListener("keydown", (event) => {
    if (event.key === "Escape") runDialog.close();
  });
  runDialog.querySelector(".bn-run-open").addEventListener("click", () => {
    localStorage.setItem("bn-run", "agreed"); // JupyterLite's own page asks for this: see book/_ext/bn_site/lite/shell.py
    runDialog.close();
  });
}
