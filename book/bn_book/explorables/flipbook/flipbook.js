// A figure drawn beforehand in several frames: the slider shows one of them.
import { html } from "../preact.js";
import { widget } from "../ui.js";

function Flipbook({ state, set, uid }) {
  const { frames, labels, label, caption, index } = state;
  const shown = Math.min(Math.max(index, 0), frames.length - 1);
  return html`
    <label class="bn-slider bn-controls">
      <span class="bn-name" id=${`${uid}-title`}>${label}</span>
      <input type="range" min="0" max=${frames.length - 1} step="1" value=${shown}
        aria-valuetext=${labels[shown]} onInput=${(event) => set({ index: Number(event.currentTarget.value) })} />
      <span class="bn-value" aria-hidden="true">${labels[shown]}</span>
    </label>
    <div class="bn-frame" dangerouslySetInnerHTML=${{ __html: frames[shown] }}></div>
    ${caption && html`<p class="bn-message">${caption}</p>`}
  `;
}

export default widget(["frames", "labels", "label", "caption", "index"], Flipbook);
