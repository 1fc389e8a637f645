// A brush over a clip: what is painted is filled in.
import { field, h, select } from "./dom.js";
import { planner } from "./plan.js";

export function maskForm(clip, known, onstart) {
  const { width, height, fps, n_frames: total } = clip.facts;
  const shown = clip.facts.shown_frames;
  const last = (total || shown) - 1;
  const strokes = [];
  const still = total === 1;
  const picture = still
    ? h("img", { src: `/api/clips/${clip.id}/poster.png`, alt: "the clip" })
    : h("video", { src: `/api/clips/${clip.id}/shown.mp4`, muted: true, playsInline: true, preload: "auto", "aria-label": "the clip" });
  const canvas = h("canvas", {
    width, height, tabIndex: 0, role: "application",
    "aria-label": "Paint over what is to be replaced. Arrow keys move the brush, space paints.",
  });
  const context = canvas.getContext("2d");
  const brush = h("input", { type: "range", min: 1, max: Math.round(Math.min(width, height) / 2), value: Math.max(2, Math.round(Math.min(width, height) / 16)) });
  const frame = h("input", { type: "range", min: 0, max: Math.max(0, shown - 1), value: 0 });
  const number = h("span", { class: "soft" });
  const first = h("input", { type: "number", min: 0, max: last, value: 0 });
  const until = h("input", { type: "number", min: 0, max: last, value: last });
  const method = select("method", known.fillers.map((name) => [name, name === "blend" ? "blend: smallest error" : name === "texture" ? "texture: most natural motion" : name]), known.filler);
  const format = select("format", known.formats.filter((f) => f.ending !== ".png" || still).map((f) => [f.ending, `${f.name} (${f.codec})`]), still ? ".png" : ".mp4");
  const go = h("button", { type: "submit", class: "main", disabled: true }, "Fill it in");
  const said = h("span", { class: "soft", role: "status" }, "Nothing is painted yet.");
  const plan = h("p", { class: "plan", role: "status" });
  const value = () => ({ kind: "recover", clip: clip.id, method: method.value, format: format.value, strokes });
  const { ask } = planner(value, { plan, go });
  for (const control of [method, format]) control.addEventListener("change", () => strokes.length && ask());
  const cursor = { x: width / 2, y: height / 2, on: false };

  function draw() {
    const now = Number(frame.value);
    number.textContent = `frame ${now + 1}`;
    context.clearRect(0, 0, width, height);
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = context.fillStyle = "rgb(235 40 90)";
    context.globalAlpha = 0.6;
    for (const stroke of strokes) {
      if (now < stroke.first || now > stroke.last) continue;
      context.lineWidth = 2 * stroke.radius;
      context.beginPath();
      const [[x, y], ...more] = stroke.points;
      context.moveTo(x, y);
      for (const point of more.length ? more : [[x + 0.01, y]]) context.lineTo(...point);
      context.stroke();
    }
    context.globalAlpha = 1;
    if (cursor.on) {
      for (const [colour, line] of [["white", 3], ["black", 1]]) {
        context.strokeStyle = colour;
        context.lineWidth = line * width / Math.max(200, canvas.clientWidth);
        context.beginPath();
        context.arc(cursor.x, cursor.y, Number(brush.value), 0, 7);
        context.stroke();
      }
    }
    go.disabled = strokes.length === 0;
    if (!strokes.length) plan.textContent = "";
    said.textContent = strokes.length ? `${strokes.length} stroke${strokes.length > 1 ? "s" : ""} painted.` : "Nothing is painted yet.";
  }

  const begin = (x, y) => strokes.push({
    radius: Number(brush.value), points: [[x, y]],
    first: Math.min(first.valueAsNumber || 0, last), last: Math.min(Number.isNaN(until.valueAsNumber) ? last : until.valueAsNumber, last),
  });
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * width, (event.clientY - box.top) / box.height * height];
  };
  let painting = false;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    painting = true;
    begin(...at(event));
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    [cursor.x, cursor.y] = at(event);
    cursor.on = true;
    if (painting) strokes.at(-1).points.push([cursor.x, cursor.y]);
    draw();
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => {
    if (painting) ask();
    painting = false;
  });
  canvas.addEventListener("pointerleave", () => { cursor.on = false; draw(); });
  canvas.addEventListener("focus", () => { cursor.on = true; draw(); });
  canvas.addEventListener("keydown", (event) => {
    const step = Math.max(1, Number(brush.value) / 2);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key === " ") {
      begin(cursor.x, cursor.y);
      ask();
    }
    else if (moves[event.key]) {
      cursor.x = Math.min(width, Math.max(0, cursor.x + moves[event.key][0]));
      cursor.y = Math.min(height, Math.max(0, cursor.y + moves[event.key][1]));
    } else return;
    event.preventDefault();
    draw();
  });
  frame.addEventListener("input", () => {
    if (!still) picture.currentTime = (Number(frame.value) + 0.5) / fps;
    draw();
  });
  const here = h("button", { type: "button", onclick: () => { first.value = until.value = frame.value; } }, "Only this frame");
  const all = h("button", { type: "button", onclick: () => { first.value = 0; until.value = last; } }, "All frames");
  const undo = h("button", { type: "button", onclick: () => { strokes.pop(); draw(); } }, "Undo");
  const clear = h("button", { type: "button", onclick: () => { strokes.length = 0; draw(); } }, "Clear");
  draw();
  return h("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      go.disabled = true;
      try {
        await onstart(value());
      } finally {
        draw();
      }
    },
  },
    h("p", {}, "Paint over what is missing or unwanted; it is filled in from the rest of the clip."),
    h("div", { class: "repair" },
      h("div", {},
        h("div", { class: "paint" }, picture, canvas),
        !still && h("div", { class: "controls" }, h("span", {}, "Show"), h("label", {}, h("span", { class: "hidden" }, "frame"), frame), number)),
      h("div", {}, h("div", { class: "fields" },
      field("Brush", brush), h("div", { class: "field" }, "Strokes", h("div", { class: "row" }, undo, clear)),
      !still && field("Paint from frame", first), !still && field("to frame", until),
      !still && h("div", { class: "field" }, "Frames", h("div", { class: "row" }, here, all)),
      field("Method", method, "", "full"), field("Format", format, "", "full")),
      plan, h("div", { class: "row" }, go, said))));
}
