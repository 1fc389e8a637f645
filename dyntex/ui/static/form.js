// What to make of a clip: length, loop, tile, size, method; what it will take; the command line.
import { copyButton, field, h, select } from "./dom.js";
import { planner } from "./plan.js";

const QUALITY = { draft: "Draft, 1 minute", standard: "Standard, 5 minutes", high: "High, 30 minutes" };
const SIZES = [64, 96, 128, 192, 256, 384, 512, 768, 1024];

export function synthesisForm(clip, known, onstart) {
  const facts = clip.facts;
  const still = facts.n_frames === 1;
  const fps = facts.fps || 25;
  const advised = facts.recommended;
  const words = (name) => known.methods.find((m) => m.name === name)?.words || name;
  const advice = advised ? `Recommended: ${words(advised.method)}` : "Recommended";
  const frames = h("input", { type: "number", name: "frames", min: 1, max: 20000, step: 1, value: still ? 1 : 64 });
  const seconds = h("span", { class: "soft" });
  const loop = h("input", { type: "checkbox", name: "loop" });
  const tile = select("tile", [["", "no"], ["x", "left meets right"], ["y", "top meets bottom"], ["xy", "both"]]);
  const [noLoop, noTile] = [h("span", { class: "soft" }), h("span", { class: "soft" })];
  const [dh, dw] = facts.default_size;
  const size = select("size", [["", `${dw} × ${dh}, as suits it`], ...SIZES.map((s) => [s, `${s} × ${s}`]), ["other", "other …"]]);
  const high = h("input", { type: "number", min: 8, max: 8192, value: dh });
  const wide = h("input", { type: "number", min: 8, max: 8192, value: dw });
  const other = h("div", { class: "field full", hidden: true },
    h("div", { class: "row" }, h("label", {}, "Width ", wide), h("label", {}, "Height ", high)));
  const method = select("method", [["auto", advice], ...known.methods.map((m) => [m.name, m.words])], "auto");
  const quality = select("quality", [...Object.keys(known.qualities).map((q) => [q, QUALITY[q] || q]), ["", "as long as it takes"]], "draft");
  const qualityField = field("Time to train", quality);
  const seed = h("input", { type: "number", name: "seed", min: 0, step: 1, value: 0 });
  const format = select("format", known.formats.map((f) => [f.ending, `${f.name} (${f.codec})`]),
    still ? ".png" : facts.has_alpha ? ".webm" : ".mp4");
  const preset = select("preset", [["", "as suits it"], ...known.presets.map((p) => [p, p])]);
  const presetField = field("Networks", preset);
  const start = h("input", { type: "number", min: 0, step: 1, value: 0 });
  const learn = h("input", { type: "number", min: 1, step: 1, placeholder: "64" });
  const score = h("input", { type: "checkbox" });
  const plan = h("p", { class: "plan", role: "status" });
  const line = h("pre", { tabIndex: 0, "aria-label": "command line" });
  const go = h("button", { class: "main", type: "submit" }, "Make it");

  const chosen = () => (method.value === "auto" ? (tile.value ? "coop" : advised?.method || "coop") : method.value);
  const value = () => ({
    kind: "synthesize", clip: clip.id, frames: frames.valueAsNumber || null, loop: loop.checked, tile: tile.value,
    size: size.value === "other" ? [high.valueAsNumber, wide.valueAsNumber] : size.value ? [Number(size.value), Number(size.value)] : null,
    method: method.value, quality: chosen() === "coop" ? quality.value : "", preset: chosen() === "coop" ? preset.value : "",
    seed: seed.valueAsNumber || 0, format: format.value, start: start.valueAsNumber || 0,
    clip_frames: learn.valueAsNumber || null, score: score.checked,
  });

  const limits = () => {
    const able = known.methods.find((m) => m.name === chosen());
    loop.disabled = Boolean(able?.lacks.loop) || still;
    if (loop.disabled) loop.checked = false;
    noLoop.textContent = able?.lacks.loop ? "not with this method" : "";
    tile.disabled = Boolean(able?.lacks.tile) && chosen() !== "coop";
    if (tile.disabled) tile.value = "";
    noTile.textContent = tile.disabled ? "not with this method" : "";
    qualityField.hidden = presetField.hidden = !able?.trains;
    other.hidden = size.value !== "other";
    seconds.textContent = frames.valueAsNumber ? `${(frames.valueAsNumber / fps).toFixed(1)} s` : "";
  };

  const { ask: measure } = planner(value, { plan, go, found: (answer) => (line.textContent = answer.command) });
  const ask = () => {
    limits();
    measure();
  };

  const form = h("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      go.disabled = true;
      try {
        await onstart(value());
      } finally {
        go.disabled = false;
      }
    },
    onchange: ask,
  },
    h("fieldset", {}, h("legend", { class: "hidden" }, "What to make"),
      h("div", { class: "fields" },
        field("Length in frames", frames, "", ""),
        h("div", { class: "field" }, "Ends meet", h("label", { class: "check" }, loop, "Seamless loop")),
        field("Tile", tile), field("Size", size), other,
        field("Method", method, "", "full"),
        advised && h("p", { class: "soft full" }, `Recommended because ${advised.reason}.`),
        qualityField, field("Format", format)),
      h("details", {}, h("summary", {}, "More settings"),
        h("div", { class: "fields" }, field("Seed", seed), field("First frame to learn from", start),
          field("Frames to learn from", learn), presetField,
          h("div", { class: "field" }, "Score", h("label", { class: "check" }, score, "Compare with unseen frames"))))),
    plan, go,
    h("details", {}, h("summary", {}, "The same on the command line"), line, copyButton(() => line.textContent)));
  frames.parentElement.append(seconds);
  tile.parentElement.append(noTile);
  loop.parentElement.parentElement.append(noLoop);
  ask();
  return form;
}
