// "Run it here": says what is going to happen, and opens JupyterLite only then. Without this script the button is a link.
"use strict";

const LINE = 20; // Mbit/s, of the line for which the time is told

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
  // How much this notebook makes the browser fetch, as the build found out. Without an answer nothing is said of it.
  const tellSize = async () => {
    const size = runDialog.querySelector(".bn-run-size");
    const path = new URL(runDialog.querySelector(".bn-run-open").href).searchParams.get("path");
    const { here, there, first } = (await (await fetch(size.dataset.sizes)).json())[path];
    const megabytes = (bytes) => `${Math.ceil(bytes / 1e6)} MB`;
    const message = there
      ? _("The first time that is about {all}: {there} from {host}, {here} from this site.")
      : _("The first time that is about {all}.");
    const { host } = size.dataset;
    const all = megabytes(here + there);
    const wait = _(
      "The first result needs {first} of it: {seconds} seconds on a line of {speed} Mbit/s, and some until Python runs.",
    );
    const seconds = Math.ceil((8 * first) / (1e6 * LINE));
    size.textContent = [
      filled(message, { all, there: megabytes(there), here: megabytes(here), host }),
      filled(wait, { first: megabytes(first), seconds, speed: LINE }),
    ].join(" ");
  };
  const tellFirst = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the reader wants the link
    event.preventDefault();
    runDialog.showModal();
    if (location.protocol !== "file:") tellSize().catch(() => {});
  };
  // A laboratory (bn_book/laboratory.py) has a link that does what the button does.
  for (const link of [runButton, ...document.querySelectorAll(".bn-run-link")]) link.addEventListener("click", tellFirst);
  // A script of the theme keeps this key from what it does by itself.
  runDialog.addEventListener("keydown", (event) => {
    if (event.key === "Escape") runDialog.close();
  });
  runDialog.querySelector(".bn-run-open").addEventListener("click", () => {
    localStorage.setItem("bn-run", "agreed"); // JupyterLite's own page asks for this: see book/_ext/bn_site/lite/shell.py
    runDialog.close();
  });
}
