// What was found, as elements. Names and values come from files: they only ever become text.

import {pictureAddress, smallPicture} from "/question.js";

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function picture(address, alt) {
  const image = element("img", {alt, decoding: "async", draggable: false});
  image.addEventListener("load", () => image.classList.toggle("pixels", Math.max(image.naturalWidth, image.naturalHeight) <= 96));
  image.addEventListener("error", () => image.replaceWith(element("span", {className: "gap"}, alt || "cannot be shown")));
  image.src = address;
  return image;
}

const nameOf = (hit) => hit.id.split("/").pop();

export const facts = (hit) => [
  ["score", hit.score.toFixed(2)],
  ["cosine", hit.similarity.toFixed(4)],
  ["path", hit.path],
  ...Object.entries(hit.metadata).filter(([, value]) => value !== null),
];

// `other` is the other side's result, to say how the ranks differ.
export function column(title, answer, other, hooks) {
  const ranks = other && new Map(other.results.map((hit, rank) => [hit.id, rank]));
  const list = element("ol", {className: "hits"}, ...answer.results.map((hit, rank) => card(hit, rank, ranks, hooks)));
  const made = element("section", {className: "column"});
  if (title) made.append(element("h2", {}, title));
  made.setAttribute("aria-label", title || "Results");
  made.append(answer.results.length ? list : nothing());
  list.addEventListener("keydown", (event) => move(event, list, hooks));
  return made;
}

function card(hit, rank, ranks, hooks) {
  const name = nameOf(hit);
  const pick = element("button", {className: "pick", type: "button", tabIndex: rank ? -1 : 0},
    picture(smallPicture({id: hit.id}), ""),
    element("span", {className: "score", title: `${hit.score.toFixed(1)} standard deviations above unrelated pictures; cosine ${hit.similarity.toFixed(3)}`}, hit.score.toFixed(1)));
  pick.setAttribute("aria-label", `${name}, rank ${rank + 1}, score ${hit.score.toFixed(1)}: make it the reference`);
  pick.addEventListener("click", () => hooks.use(hit));
  pick.dataset.row = rank;
  const look = element("button", {className: "look", type: "button", tabIndex: -1, title: "Look at it (o)"}, "⤢");
  look.setAttribute("aria-label", `Look at ${name}`);
  look.addEventListener("click", () => hooks.look(hit));
  const line = element("div", {className: "line"},
    element("span", {className: "rank"}, String(rank + 1)),
    element("span", {className: "name", title: hit.path}, name));
  if (ranks) line.append(shift(rank, ranks.get(hit.id)));
  const strength = element("span", {className: "strength"});
  strength.style.setProperty("--share", String(Math.min(Math.max(hit.score / 5, 0), 1)));
  return element("li", {className: "hit"}, pick, look, strength, line);
}

function shift(rank, before) {
  if (before === undefined) return element("span", {className: "shift up", title: "Not among the others"}, "new");
  const by = before - rank;
  if (!by) return element("span", {className: "shift", title: "Same rank on both sides"}, "=");
  const way = by > 0 ? "up" : "down";
  return element("span", {className: `shift ${way}`, title: `Rank ${before + 1} on the other side`}, `${by > 0 ? "↑" : "↓"}${Math.abs(by)}`);
}

const nothing = () => element("p", {className: "nothing"},
  element("strong", {}, "No picture fits."), " Lower the lowest score, loosen the conditions, or say it in other words.");

// One result is in the tab order; arrows lead from there.
function move(event, list, hooks) {
  const picks = [...list.querySelectorAll(".pick")];
  const here = picks.indexOf(document.activeElement);
  if (here < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
  const top = (pick) => Math.round(pick.getBoundingClientRect().top);
  const wide = picks.filter((pick) => top(pick) === top(picks[0])).length;
  const steps = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: wide, ArrowUp: -wide, Home: -here, End: picks.length - 1 - here};
  if (event.key in steps) {
    event.preventDefault();
    const there = here + steps[event.key];
    if (there < 0 && event.key === "ArrowUp") hooks.leave();
    else picks[Math.min(Math.max(there, 0), picks.length - 1)].focus();
  } else if (event.key === "o") {
    hooks.look(hooks.hitAt(list, here));
  }
}

export function keepOneInOrder(event) {
  const pick = event.target.closest?.(".pick");
  if (!pick) return;
  for (const other of pick.closest(".hits").querySelectorAll(".pick")) other.tabIndex = other === pick ? 0 : -1;
}

export const large = (hit) => pictureAddress("pictures", hit.id);
