// Original and result in step, the seam of a loop frame by frame, and a tile beside itself.
import { h } from "./dom.js";

const video = (src, label) =>
  h("video", { src, loop: true, muted: true, playsInline: true, preload: "auto", "aria-label": label });

/** Both videos with one play button and one slider. */
export function inStep(original, result, { fps, frames, beside = "original" }) {
  const left = video(original, "original");
  const right = video(result, "result");
  const play = h("button", { type: "button", "aria-pressed": "false" }, "Play");
  const slider = h("input", { type: "range", min: 0, max: frames - 1, value: 0, "aria-label": "frame" });
  const count = h("span", { class: "soft" }, `1 / ${frames}`);
  const show = (frame) => {
    slider.value = frame;
    count.textContent = `${frame + 1} / ${frames}`;
  };
  const follow = () => {
    if (!left.duration || left.seeking) return;
    const wanted = right.currentTime % left.duration;
    const off = Math.abs(left.currentTime - wanted);
    if (Math.min(off, left.duration - off) > 1.5 / fps) left.currentTime = wanted;
  };
  const tick = () => {
    if (right.paused || !right.isConnected) return;
    follow();
    show(Math.min(frames - 1, Math.floor(right.currentTime * fps + 1e-3)));
    requestAnimationFrame(tick);
  };
  right.addEventListener("play", () => {
    left.play();
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    requestAnimationFrame(tick);
  });
  right.addEventListener("pause", () => {
    left.pause();
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  });
  play.addEventListener("click", () => (right.paused ? right.play() : right.pause()));
  slider.addEventListener("input", () => {
    right.pause();
    right.currentTime = (Number(slider.value) + 0.5) / fps;
    follow();
    show(Number(slider.value));
  });
  const node = h("div", {},
    h("div", { class: "pair" },
      h("figure", {}, left, h("figcaption", {}, beside)),
      h("figure", {}, right, h("figcaption", {}, "result"))),
    h("div", { class: "controls" }, play, slider, count));
  return { node, result: right, start: () => right.play().catch(() => {}) };
}

/** The frames around a loop's seam from one strip of them, with a slider. */
export function seamScrubber(src, { width, height, fps, verdict, good }) {
  const canvas = h("canvas", { role: "img", "aria-label": "frame near the seam" });
  const slider = h("input", { type: "range", min: 0, max: 1, value: 0, "aria-label": "frames before and after the seam" });
  const where = h("span", { class: "soft" });
  const strip = new Image();
  let each = 0;
  let timer = 0;
  const draw = () => {
    const n = Number(slider.max) + 1;
    const k = Number(slider.value);
    canvas.getContext("2d").drawImage(strip, k * each, 0, each, strip.height, 0, 0, canvas.width, canvas.height);
    const from = k - n / 2;
    where.textContent = from < 0 ? `${-from} before the end` : `${from + 1} after the beginning`;
  };
  strip.onload = () => {
    const n = Math.round(strip.width / strip.height / (width / height));
    each = strip.width / n;
    canvas.width = each;
    canvas.height = strip.height;
    slider.max = n - 1;
    slider.value = n / 2 - 1;
    draw();
  };
  strip.src = src;
  slider.addEventListener("input", draw);
  const play = h("button", {
    type: "button",
    "aria-pressed": "false",
    onclick: () => {
      const on = !timer;
      clearInterval(timer);
      timer = on && setInterval(() => {
        if (!canvas.isConnected) return clearInterval(timer);
        slider.value = (Number(slider.value) + 1) % (Number(slider.max) + 1);
        draw();
      }, 1000 / fps);
      play.textContent = on ? "Stop" : "Play across";
      play.setAttribute("aria-pressed", String(on));
    },
  }, "Play across");
  return h("div", {},
    h("h4", {}, "The seam"),
    h("div", { class: "seam" }, canvas,
      h("div", {}, h("p", { class: good ? "good" : "bad" }, verdict), slider, h("div", { class: "row" }, play, where))));
}

/** A tile beside itself: twice as wide, as high, or both. */
export function tiled(source, axes) {
  const across = axes.includes("x") ? 2 : 1;
  const down = axes.includes("y") ? 2 : 1;
  const canvas = h("canvas", { role: "img", "aria-label": "the tile beside itself", class: "picture" });
  const paint = () => {
    if (canvas.isConnected && source.videoWidth) {
      canvas.width = source.videoWidth * across;
      canvas.height = source.videoHeight * down;
      const context = canvas.getContext("2d");
      for (let x = 0; x < across; x++)
        for (let y = 0; y < down; y++) context.drawImage(source, x * source.videoWidth, y * source.videoHeight);
    }
    if (canvas.isConnected || !canvas.shown) requestAnimationFrame(paint);
    canvas.shown = canvas.isConnected || canvas.shown;
  };
  requestAnimationFrame(paint);
  return h("div", {}, h("h4", {}, "As a tile"), canvas);
}
