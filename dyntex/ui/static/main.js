// The page: a clip comes in, a form makes a job of it, cards show what becomes of it.
import { find, h } from "./dom.js";
import { get, post, remove, upload } from "./api.js";
import { synthesisForm } from "./form.js";
import { maskForm } from "./mask.js";
import { jobCard } from "./jobs.js";

const BUSY = 1000;
const CALM = 4000;
let known;
let chosen = null;
const cards = new Map();

const say = (words) => (find("#message").textContent = words);
const act = async (question) => {
  say("");
  try {
    const answer = await question();
    await refreshJobs();
    return answer;
  } catch (error) {
    say(error.message);
    return null;
  }
};

async function take(file) {
  const bar = find("#upload");
  say("");
  if (file.size > known.max_upload) {
    say(`${file.name} has ${Math.round(file.size / 2 ** 20)} MiB; at most ${Math.round(known.max_upload / 2 ** 20)} are taken. Cut the clip.`);
    return;
  }
  bar.hidden = false;
  try {
    await choose(await upload(file, (share) => (bar.value = share)));
  } catch (error) {
    say(error.message);
  } finally {
    bar.hidden = true;
  }
}

/** Show a clip; wait until it was looked at. */
async function choose(clip) {
  chosen = clip.id;
  history.replaceState(null, "", `#${clip.id}`);
  const place = find("#chosen");
  place.hidden = false;
  find("#drop").className = "small";
  place.replaceChildren(h("p", { class: "wide", role: "status" }, `Looking at ${clip.name} …`));
  listClips();
  let poster = null;
  while (["waiting", "running"].includes(clip.state)) {
    if (clip.poster && !poster) place.prepend(poster = h("div", { class: "clip" }, h("img", { src: `/api/clips/${clip.id}/poster.png`, alt: "" })));
    await new Promise((done) => setTimeout(done, 500));
    if (chosen !== clip.id) return;
    clip = await get(`/api/clips/${clip.id}`);
  }
  if (chosen !== clip.id) return;
  listClips();
  if (clip.state !== "done") {
    place.hidden = true;
    say(`${clip.name}: ${clip.error || "could not be read"}`);
    return;
  }
  const start = (request) => act(async () => {
    const job = await post("/api/jobs", request);
    await refreshJobs();
    find("#results").scrollIntoView({ behavior: "smooth" });
    return job;
  });
  const panel = h("div", { id: "panel", role: "tabpanel" });
  const views = { more: synthesisForm, repair: maskForm };
  const tabs = Object.entries({ more: "Make more of it", repair: "Repair it" }).map(([name, words]) =>
    h("button", { type: "button", role: "tab", "aria-controls": "panel", "aria-selected": "false", id: `tab-${name}`, onclick: () => show(name) }, words));
  const show = (name) => {
    for (const tab of tabs) tab.setAttribute("aria-selected", String(tab.id === `tab-${name}`));
    panel.setAttribute("aria-labelledby", `tab-${name}`);
    panel.className = name === "repair" ? "wide" : "";
    look.hidden = name === "repair";
    panel.replaceChildren(views[name](clip, known, start));
  };
  const look = clipView(clip);
  place.replaceChildren(h("div", { class: "row tabs", role: "tablist", "aria-label": "What to do" }, tabs), look, panel);
  show("more");
}

function clipView(clip) {
  const f = clip.facts;
  const base = `/api/clips/${clip.id}`;
  const still = f.n_frames === 1;
  const words = [f.duration && `${f.duration.toFixed(1)} s`, `${f.width} × ${f.height}`, f.fps && `${Number(f.fps.toFixed(2))} frames a second`,
    f.n_frames && !still && `${f.n_frames} frames`, f.codec, f.has_alpha && "transparent", f.loops_already && "loops already",
    f.stationary_in_space && "alike everywhere: can be tiled"].filter(Boolean);
  return h("div", { class: "clip" },
    still ? h("img", { src: `${base}/poster.png`, alt: clip.name })
      : h("video", { src: `${base}/shown.mp4`, poster: `${base}/poster.png`, muted: true, loop: true, autoplay: true, playsInline: true, controls: true, "aria-label": clip.name }),
    h("h3", {}, clip.name.replace(/^example:/, "example: ")),
    h("p", { class: "facts" }, words.join(" · ")),
    h("button", { type: "button", onclick: () => act(async () => {
      await remove(base);
      chosen = null;
      find("#chosen").hidden = true;
      await listClips();
    }) }, "Remove this clip"));
}

async function listClips() {
  const clips = (await get("/api/clips")).reverse().filter((clip) => clip.state === "done").slice(0, 24);
  find("#clips").replaceChildren(...clips.map((clip) =>
    h("button", { type: "button", "aria-pressed": String(clip.id === chosen), onclick: () => act(() => choose(clip)), title: clip.name },
      h("img", { src: `/api/clips/${clip.id}/poster.png`, alt: "", loading: "lazy" }), clip.name.replace(/^example:/, ""))));
}

async function refreshJobs() {
  const jobs = await get("/api/jobs");
  const place = find("#jobs");
  find("#results").hidden = jobs.length === 0;
  const ids = new Set(jobs.map((job) => job.id));
  for (const [id, card] of cards) if (!ids.has(id)) { card.node.remove(); cards.delete(id); }
  jobs.forEach((job, k) => {
    if (cards.has(job.id)) {
      const before = cards.get(job.id);
      if (before.state !== job.state) {
        find("#spoken").textContent = `${job.name}: ${job.state}`;
        before.state = job.state;
      }
      before.update(job);
    } else {
      cards.set(job.id, Object.assign(jobCard(job, { act, known, open: k === 0 }), { state: job.state }));
    }
    const node = cards.get(job.id).node;
    if (place.children[k] !== node) place.insertBefore(node, place.children[k] || null);
  });
  return jobs.some((job) => ["waiting", "running"].includes(job.state));
}

async function watch() {
  let busy = false;
  try {
    busy = await refreshJobs();
    if (find("#message").dataset.lost) { say(""); delete find("#message").dataset.lost; }
  } catch (error) {
    say(error.message);
    find("#message").dataset.lost = "1";
  }
  setTimeout(watch, busy ? BUSY : CALM);
}

async function begin() {
  const drop = find("#drop");
  find("#file").addEventListener("change", (event) => {
    if (event.target.files[0]) take(event.target.files[0]);
    event.target.value = "";
  });
  for (const name of ["dragenter", "dragover"]) addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (file) take(file);
  });
  try {
    known = await get("/api/start");
  } catch (error) {
    say(error.message);
    return;
  }
  find("#folder").textContent = `dyntex ${known.version}. Clips and results are in ${known.folder}.`;
  find("#examples").append(...known.examples.map((example) =>
    h("button", { type: "button", title: example.words, onclick: () => act(async () => choose(await post("/api/examples", { name: example.name }))) }, example.name)));
  await listClips();
  const last = (await get("/api/clips")).find((clip) => clip.id === location.hash.slice(1));
  if (last) choose(last);
  watch();
}

begin();
