// The cards of the jobs: progress, and what came of it.
import { copyButton, duration, h } from "./dom.js";
import { download, post, remove } from "./api.js";
import { inStep, seamScrubber, tiled } from "./player.js";

const WORDS = { synthesize: "more of", sample: "another of", recover: "repaired" };
const STATES = { waiting: "waits", running: "is being made", done: "", failed: "failed", stopped: "was stopped" };

const file = (job, name) => `/api/jobs/${job.id}/files/${name}`;
const title = (job) => `${job.name.replace(/^example:/, "")}, ${WORDS[job.kind]}`.replace(/^(.*), (more|another) of$/, "$2 of $1").replace(/^(.*), repaired$/, "$1, repaired");

function subtitle(job) {
  const o = job.options;
  return [o.method || (job.kind === "sample" ? "same model" : ""), o.quality, o.loop && "loop", o.tile && `tile ${o.tile}`,
    o.size && `${o.size[1]}×${o.size[0]}`, o.frames && `${o.frames} frames`, `seed ${o.seed ?? 0}`].filter(Boolean).join(" · ");
}

/** A card that knows how to be brought up to date. */
export function jobCard(job, { act, known, open }) {
  const body = h("div");
  const buttons = h("div", { class: "row" });
  const card = h("article", { class: "job", "aria-label": title(job) },
    h("div", { class: "head" }, h("h3", {}, title(job)), h("span", { class: "facts" }, subtitle(job)), buttons), body);
  const press = (words, question, props = {}) => h("button", { type: "button", onclick: () => act(question), ...props }, words);
  let drawn = "";
  const first = `${job.state} ${job.saved}`;
  let live = null;

  function update(now) {
    const key = `${now.state} ${now.saved}`;
    if (key !== drawn) {
      drawn = key;
      buttons.replaceChildren(...actions(now));
      live = ["waiting", "running"].includes(now.state) ? progress() : null;
      body.replaceChildren(live ? live.node : now.state === "done" ? finished(now) : ended(now));
    }
    live?.update(now);
  }

  /** An earlier result is a picture until somebody wants to see it: videos take memory. */
  function finished(now) {
    if (open || drawn !== first) return result(now, { act, known });
    const show = () => {
      const made = result(now, { act, known });
      body.replaceChildren(made);
      made.querySelector("button")?.focus();
    };
    const names = ["poster.png", "slices-result.png"].filter((name) => now.files.includes(name));
    return h("div", { class: "row earlier" }, names.slice(0, 1).map((name) => h("img", { src: file(now, name), alt: "", loading: "lazy" })),
      h("button", { type: "button", onclick: show }, "Show"));
  }

  function actions(now) {
    const id = now.id;
    if (["waiting", "running"].includes(now.state)) return [press(now.state === "running" ? "Stop and save" : "Cancel", () => post(`/api/jobs/${id}/cancel`))];
    const again = now.state !== "done" && press(now.saved ? "Continue" : "Try again", () => post(`/api/jobs/${id}/resume`), { class: "main" });
    return [again, press("Delete", () => confirm("Delete this result from the disk?") && remove(`/api/jobs/${id}`))].filter(Boolean);
  }

  update(job);
  return { node: card, update };
}

function progress() {
  const bar = h("progress", { max: 1, "aria-label": "progress" });
  const words = h("p", { class: "facts" });
  const said = h("p", { class: "soft" });
  const preview = h("img", { class: "picture", alt: "frames of the original over frames made so far" });
  preview.hidden = true;
  let seen = null;
  return {
    node: h("div", {}, bar, words, preview, said),
    update(job) {
      if (job.state === "waiting") {
        bar.hidden = true;
        words.textContent = job.ahead ? `Waits for ${job.ahead} other job${job.ahead > 1 ? "s" : ""}.` : "Starts in a moment.";
        return;
      }
      bar.hidden = false;
      if (job.share === null || job.share === undefined) bar.removeAttribute("value");
      else bar.value = job.share;
      const left = job.left === null || job.left === undefined ? "" : `, ${duration(job.left)} left`;
      const spent = job.began ? duration(Date.now() / 1000 - job.began) : "";
      words.textContent = job.iteration ? `Training: ${Math.floor(job.share * 100)} %${left} · iteration ${job.iteration}` : `Working for ${spent}`;
      said.textContent = job.said.at(-1) || "";
      if (job.preview && job.preview !== seen) {
        seen = job.preview;
        preview.src = `${file(job, "preview.png")}?${seen}`;
        preview.hidden = false;
      }
    },
  };
}

function ended(job) {
  const stopped = job.saved ? "Stopped. What it has learnt is saved, and Continue goes on from there." : "Stopped.";
  const words = job.state === "stopped" ? stopped : job.error || "It failed.";
  return h("p", { class: job.state === "failed" ? "bad" : "" }, words.charAt(0).toUpperCase() + words.slice(1));
}

function result(job, { act, known }) {
  const f = job.facts;
  const parts = [];
  const has = (name) => job.files.includes(name);
  if (has("result.png")) parts.push(h("div", { class: "pair" },
    h("figure", {}, h("img", { src: file(job, "poster.png"), alt: "original" }), h("figcaption", {}, "original")),
    h("figure", {}, h("img", { src: file(job, "result.png"), alt: "result" }), h("figcaption", {}, "result"))));
  let player = null;
  if (has("result.mp4")) {
    player = inStep(file(job, "original.mp4"), file(job, "result.mp4"), { fps: f.fps, frames: f.frames });
    parts.push(player.node);
  }
  if (has("seam.png") && f.seam?.t) parts.push(seamScrubber(file(job, "seam.png"), { ...f, ...seamWords(f.seam.t) }));
  if (job.options.tile && player) parts.push(tiled(player.result, job.options.tile));
  parts.push(downloads(job, known));
  if (job.kind !== "recover") parts.push(another(job, act));
  if (has("slices-result.png")) parts.push(h("details", {}, h("summary", {}, "Through time"),
    h("div", { class: "pair" }, ["original", "result"].map((name) => h("figure", {},
      h("img", { class: "slices", src: file(job, `slices-${name}.png`), alt: `sections of the ${name} through time`, loading: "lazy" }), h("figcaption", {}, name)))),
    h("p", { class: "soft" }, "A frame, its middle column over time at the right and its middle row over time below. Alike textures have alike sections.")));
  if (f.scores) parts.push(h("details", { open: true }, h("summary", {}, "Score"), scores(f)));
  parts.push(h("details", {}, h("summary", {}, "The same on the command line"),
    h("pre", { tabIndex: 0, "aria-label": "command line" }, job.command), copyButton(() => job.command),
    has("mask.npz") && h("p", {}, h("a", { href: file(job, "mask.npz"), download: "" }, "The painted mask"))));
  parts.push(h("p", { class: "soft" }, `${f.frames} frames of ${f.width}×${f.height}, made in ${duration(f.seconds.total)} with ${Math.round(f.peak_rss_mb)} MiB.`));
  return h("div", {}, parts);
}

function seamWords(seam) {
  const clip = [seam.step_percentile, seam.acceleration_percentile];
  const own = [seam.own_step_percentile, seam.own_acceleration_percentile];
  const known = clip.every((value) => value !== null) ? clip : own;
  const ordinary = known.every((value) => value >= 5 && value <= 95);
  const like = own.every((value) => value >= 5 && value <= 95);
  const whose = known === clip ? "the clip's own steps" : "the result's other steps";
  const verdict = ordinary ? "No seam to be seen" : like ? "As smooth as the rest of the result" : "The seam may be seen: try another seed or a longer loop";
  return {
    good: ordinary || like,
    verdict: `${verdict}. The step over it is at percentile ${Math.round(known[0])} of ${whose}, its acceleration at ${Math.round(known[1])} (5 to 95 is ordinary).`,
  };
}

function downloads(job, known) {
  const said = h("span", { class: "soft", role: "status" });
  const own = known.formats.find((format) => format.ending === job.ending);
  const save = async (format) => {
    try {
      await download(job.id, format.name, () => (said.textContent = `writing ${format.name} …`));
      said.textContent = "";
    } catch (error) {
      said.textContent = error.message;
    }
  };
  const button = (format, props = {}) => h("button", { type: "button", title: format.codec, onclick: () => save(format), ...props }, format.name);
  const others = known.formats.filter((format) => format !== own && !(format.ending === ".png" && job.facts.frames === 1 && own.ending === ".png"));
  return h("div", {}, h("h4", {}, "Download"),
    h("div", { class: "row" }, button(own, { class: "main" }), others.map((format) => button(format)), said));
}

function another(job, act) {
  const seed = h("input", { type: "number", min: 0, step: 1, value: (job.options.seed ?? 0) + 1, "aria-label": "seed" });
  const model = job.facts.has_model ? job.id : job.kind === "sample" ? job.of : null;
  const spent = job.facts.seconds;
  const words = model ? "Another, without training" : "Another";
  const ask = () => model
    ? post("/api/jobs", { kind: "sample", of: model, seed: seed.valueAsNumber || 0, format: job.ending })
    : post("/api/jobs", { ...job.options, kind: "synthesize", clip: job.clip, seed: seed.valueAsNumber || 0, format: job.ending });
  return h("div", {}, h("h4", {}, "More like this"),
    h("div", { class: "row" }, h("label", {}, "Seed ", seed), h("button", { type: "button", onclick: () => act(ask) }, words),
      h("span", { class: "soft" }, `about ${duration(model ? spent.synthesize + spent.write : spent.total)}`)));
}

function scores(facts) {
  const rows = Object.entries(facts.scores).sort((a, b) => a[1] - b[1]);
  return h("div", {},
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "what"), h("th", { scope: "col" }, "score, lower is better"))),
      h("tbody", {}, rows.map(([name, value]) => h("tr", {}, h("td", {}, name), h("td", {}, value.toFixed(2)))))),
    facts.copy_distance !== null && facts.copy_distance !== undefined &&
      h("p", { class: "soft" }, `Copy distance ${facts.copy_distance.toFixed(2)}: 0 is a replay of the clip, about 1 is new footage.`));
}
