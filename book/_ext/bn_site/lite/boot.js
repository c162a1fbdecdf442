// Says so where Python does not start, instead of a `[*]` that stays: who does not answer, why, and what one can do.
// It runs before JupyterLite's own scripts, and sees the kernel's worker made.
"use strict";

(() => {
  // What is said: as it stands here, unless shell.py put it in another language before this script.
  const { language = "en", words = {} } = window.bnSaid ?? {};
  const _ = (message, values = {}) =>
    (words[message] ?? message).replace(/\{(\w+)\}/g, (hole, name) => values[name] ?? hole);

  const PATIENCE = 20_000; // ms without an answer
  const LONG = 60_000; // ms in which Python starts on most machines; where its own files are damaged it never answers
  const site = new URL("../", location.href);
  let booting = false; // whether JupyterLite is there, and the rest is the kernel's affair
  let running = false; // whether Python is
  let late = []; // timers

  // Why an address does not answer; nothing where it does.
  const silence = async (address) => {
    try {
      const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      return answer.ok ? "" : _("It answered {status} to {address}.", { status: answer.status, address });
    } catch (error) {
      if (!navigator.onLine) return _("This device is offline.");
      const seconds = PATIENCE / 1000;
      if (error.name === "TimeoutError") return _("It has not answered in {seconds} seconds.", { seconds });
      return _("It cannot be reached: the network, a filter or an extension of this browser may be in the way.");
    }
  };

  // The first host that is needed and does not answer.
  const missing = async () => {
    const settings = new URL("jupyter-lite.json", site);
    let why = await silence(settings);
    if (why) return { host: site.host, why };
    const { litePluginSettings } = (await (await fetch(settings)).json())["jupyter-config-data"];
    const pyodide = new URL(Object.values(litePluginSettings).find((each) => each.pyodideUrl).pyodideUrl, site);
    why = await silence(pyodide);
    return why ? { host: pyodide.host, why } : null;
  };

  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  const hide = () => document.getElementById("bn-boot")?.remove();

  const show = (why, host) => {
    hide();
    const what = booting ? _("Python did not start.") : _("This page did not start.");
    const reason = host ? [_("It comes from "), element("strong", { textContent: host }), `. ${why}`] : [why];
    const notebook = new URLSearchParams(location.search).get("path");
    const retry = element("button", { type: "button", textContent: _("Try again") });
    retry.addEventListener("click", () => location.reload());
    const close = element("button", { type: "button", textContent: _("Close") });
    close.addEventListener("click", hide);
    const choices = [retry, close];
    if (notebook && host !== site.host) {
      const href = new URL(`files/${encodeURIComponent(notebook)}`, site).href;
      choices.splice(1, 0, element("a", { href, download: notebook, textContent: _("Download the notebook") }));
    }
    document.body.append(
      element(
        "div",
        { id: "bn-boot", role: "alert", lang: language },
        element("p", {}, element("strong", { textContent: what }), " ", ...reason),
        element("p", {}, _("Until it does, no cell can run. What you wrote before is kept in this browser.")),
        element("p", {}, ...choices),
      ),
    );
  };

  const explain = async (said) => {
    const silent = await missing();
    if (running) return;
    if (silent) show(silent.why, silent.host);
    else if (said) show(said.trim().split("\n").at(-1)); // of a traceback, what was raised
  };

  const watch = (worker) => {
    booting = true;
    running = false;
    late.forEach(clearTimeout); // of the kernel before a restart
    const seconds = LONG / 1000;
    const stillWaiting = _("It has not answered in {seconds} seconds. On a slow connection it may still come.", { seconds });
    late = [setTimeout(explain, PATIENCE), setTimeout(explain, LONG, stillWaiting)];
    const answered = ({ data }) => {
      // Comlink's answer to the first call, `initialize`: a value, or what was thrown.
      if (!data?.id || !data.type) return;
      worker.removeEventListener("message", answered);
      late.forEach(clearTimeout);
      running = data.name !== "throw";
      if (running) hide();
      else explain(data.value?.value?.message ?? _("It does not say why."));
    };
    worker.addEventListener("message", answered);
    worker.addEventListener("error", (event) => explain(event.message ?? _("Its script did not load.")));
  };

  window.Worker = class extends window.Worker {
    constructor(address, options) {
      super(address, options);
      if (String(address).includes("pyodide-kernel-extension")) watch(this);
    }
  };

  // Before there is a kernel: a script of JupyterLite that did not come.
  window.addEventListener(
    "error",
    (event) => {
      const { src: script } = event.target;
      if (!booting && event.target instanceof HTMLScriptElement) explain(_("{script} did not load.", { script }));
    },
    true,
  );
  window.addEventListener("unhandledrejection", ({ reason }) => {
    if (!booting) explain(String(reason?.message ?? reason));
  });
})();
