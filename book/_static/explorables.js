// Wakes up the explorables of a page, which has no kernel: each keeps its state here, in the reader's browser.
//
// The page holds what an explorable shows first, and its state as JSON after it. Its script is loaded when it comes near
// the screen. It is a classic script, because a module does not load from a file.
"use strict";

window.bnExplorables = (() => {
  const folder = new URL("explorables/", document.currentScript.src);
  const modules = new Map(); // name -> the promise of a module
  const arrived = new Map(); // name -> what fulfils it

  /** What a widget's script expects of a model: get, set, on, off. There is nobody to save changes for. */
  function modelOf(state) {
    const listeners = new Map();
    return {
      get: (name) => state[name],
      set: (name, value) => {
        if (state[name] === value) return;
        state[name] = value;
        (listeners.get(`change:${name}`) ?? []).forEach((call) => call());
      },
      on: (event, call) => listeners.set(event, [...(listeners.get(event) ?? []), call]),
      off: (event, call) => listeners.set(event, (listeners.get(event) ?? []).filter((other) => other !== call)),
      save_changes: () => {},
    };
  }

  function load(name, version) {
    if (!modules.has(name)) {
      modules.set(
        name,
        new Promise((resolve, reject) => {
          arrived.set(name, resolve);
          const script = document.createElement("script");
          script.src = new URL(`${name}.js?v=${version}`, folder);
          script.onerror = () => reject(new Error(`${script.src} did not load`));
          document.head.append(script);
        }),
      );
    }
    return modules.get(name);
  }

  async function wake(element) {
    const model = modelOf(JSON.parse(element.nextElementSibling.textContent));
    const module = await load(element.dataset.explorable, element.dataset.version);
    module.render({ model, el: element });
    element.bnModel = model; // for tests, and for the curious
    element.dataset.awake = "";
  }

  const near = new IntersectionObserver(
    (entries) =>
      entries
        .filter((entry) => entry.isIntersecting)
        .forEach((entry) => {
          near.unobserve(entry.target);
          wake(entry.target);
        }),
    { rootMargin: "600px 0px" },
  );

  const watch = () => document.querySelectorAll("[data-explorable]").forEach((element) => near.observe(element));
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", watch);
  else watch();

  // While a handle is held, the page is told (book.css leaves out what nobody sees). Any end of a touch counts: the class
  // would do no harm, but must not stay.
  const held = new Set(); // pointers
  const tell = () => {
    const { body, documentElement: root } = document;
    // A browser that holds on to what is left out would scroll: while anything is, it holds on to nothing.
    if (held.size) body.style.overflowAnchor = "none";
    body.getBoundingClientRect();
    root.classList.toggle("bn-drag", held.size > 0);
    body.getBoundingClientRect();
    if (!held.size) body.style.overflowAnchor = "";
  };
  const handles = ":is(.bn-handle, .bn-turntable, .bn-scrub, .bn-explorable input[type=range])";
  addEventListener(
    "pointerdown",
    (event) => {
      if (!event.target.closest?.(handles)) return;
      held.add(event.pointerId);
      tell();
    },
    true,
  );
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    addEventListener(end, (event) => held.delete(event.pointerId) && tell(), true);
  }

  return { define: (name, module) => arrived.get(name)(module) };
})();
