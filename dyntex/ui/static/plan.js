// What a job will take, asked before it is begun.
import { duration, memory } from "./dom.js";
import { post } from "./api.js";

/** Asks what the request of value() will take and shows it in plan; found is called with the whole answer. */
export function planner(value, { plan, go, found = () => {} }) {
  let asked = 0;
  const show = (words, bad = false) => {
    plan.className = bad ? "plan bad" : "plan";
    plan.textContent = words;
  };
  async function ask() {
    const mine = ++asked;
    let answer;
    try {
      answer = await post("/api/plan", value());
    } catch (error) {
      if (mine === asked) show(error.message, true);
      return;
    }
    if (mine !== asked) return;
    found(answer);
    const free = `${memory(answer.free_mib)} free`;
    const room = answer.mib !== null && answer.mib > answer.free_mib;
    go.disabled = room;
    if (answer.problem) show(answer.problem, true);
    else if (room) show(`Needs about ${memory(answer.mib)}, and this machine has ${free}: choose a smaller size or fewer frames.`, true);
    else if (answer.measuring) show("Measuring on this machine what it will take …");
    else show(`Takes about ${duration(answer.seconds)}` + (answer.mib ? ` and ${memory(answer.mib)} of memory (${free}).` : "."));
    if (answer.measuring) setTimeout(() => mine === asked && plan.isConnected && ask(), 1000);
  }
  return { ask };
}
