// The page: the question on top, what was found below, and the browser's history in step with both.

import * as api from "/api.js";
import * as q from "/question.js";
import {column, element, facts, keepOneInOrder, large, picture} from "/results.js";

const WAIT = 180; // milliseconds without a letter after which we search
const TRAIL = 8;
const $ = (id) => document.getElementById(id);

let index = null;
let question = q.empty();
let trail = []; // addresses of earlier steps, each with what shows it
let shown = []; // the lists of results on the page
let current = null; // the request under way
let timer = 0;
let viewed = null; // {list, at} of the viewer
const files = new Map(); // uploads by name, to be sent again if the server forgot them

// ------------------------------------------------------------------------------------------------ steps

// A new reference is a step that back leads away from; changes of words and settings are part of the step.
function change(values, step = false) {
  const began = !q.asks(question);
  const before = question;
  question = {...question, ...values};
  if (!("count" in values)) question.count = q.PAGE;
  if ((step && q.asks(before)) || (began && q.asks(question))) {
    if (!began) trail = [...trail, {address: q.toAddress(before), references: before.references, text: before.text}].slice(-TRAIL);
    history.pushState({trail}, "", q.toAddress(question));
  } else {
    history.replaceState({trail}, "", q.toAddress(question));
  }
}

function use(reference) {
  change({references: [reference], text: "", negative: ""}, true);
  draw();
  scrollTo({top: 0, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"});
  $("text").focus({preventScroll: true});
  find();
}

function add(reference) {
  if (question.references.some((other) => q.sameReference(other, reference))) return;
  change({references: [...question.references, reference].slice(-8)}, true);
  draw();
  find();
}

function arrive() {
  question = q.fromAddress(location.search);
  trail = history.state?.trail ?? [];
  draw();
  find();
}

// ------------------------------------------------------------------------------------------------ searching

function soon() {
  clearTimeout(timer);
  timer = setTimeout(find, WAIT);
}

async function find() {
  clearTimeout(timer);
  current?.abort();
  const mine = (current = new AbortController());
  if (!index) return;
  if (!q.asks(question)) return begin();
  const asked = question;
  const sides = asked.compare && index.adapter ? [true, false] : [true];
  $("results").setAttribute("aria-busy", "true");
  try {
    const answers = await Promise.all(sides.map((adapted) => api.search(asked, adapted, mine.signal)));
    if (mine === current) show(answers, asked);
  } catch (error) {
    if (mine !== current || error.name === "AbortError") return;
    if (error.status === 410 && (await sentAgain(asked))) return find();
    fail(error);
  } finally {
    if (mine === current) $("results").removeAttribute("aria-busy");
  }
}

async function sentAgain(asked) {
  const lost = asked.references.filter((reference) => files.has(reference.upload));
  if (!lost.length) return false;
  const names = new Map();
  for (const {upload} of lost) names.set(upload, (await sent(files.get(upload))).upload);
  for (const old of names.keys()) files.delete(old);
  change({references: asked.references.map((one) => (names.has(one.upload) ? {upload: names.get(one.upload)} : one))});
  draw();
  return true;
}

async function sent(file) {
  const {upload} = await api.send(file);
  files.set(upload, file);
  return {upload};
}

async function take(given, more = false) {
  const pictures = [...given].filter((file) => file.type.startsWith("image/") || !file.type);
  if (!pictures.length) return fail(new api.Problem(0, "That is no picture.", "JPEG, PNG, WebP, GIF, TIFF, AVIF and BMP can be read."));
  const large = pictures.find((file) => file.size > index.max_upload);
  if (large) return fail(new api.Problem(0, `${large.name} is too large.`, `${(index.max_upload / 1e6).toFixed(0)} MB at most.`));
  $("choose").classList.add("busy");
  say("Looking at the picture …");
  try {
    const references = [];
    for (const file of pictures.slice(0, 8)) references.push(await sent(file));
    const kept = more ? question.references : [];
    change({references: [...kept, ...references].slice(-8), ...(more ? {} : {text: ""})}, true);
    draw();
    $("text").focus();
    await find();
  } catch (error) {
    fail(error);
  } finally {
    $("choose").classList.remove("busy");
  }
}

// ------------------------------------------------------------------------------------------------ showing

function show(answers, asked) {
  $("alert").hidden = true;
  const [first, second] = answers;
  const names = second ? ["With the adapter", "Without"] : [""];
  const hooks = {use: (hit) => use({id: hit.id}), look, leave: () => $("text").focus(), hitAt: (list, at) => shown[lists().indexOf(list)][at]};
  const columns = answers.map((answer, side) => column(names[side], answer, second && answers[1 - side], hooks));
  $("results").replaceChildren(...columns);
  $("results").classList.toggle("both", Boolean(second));
  $("results").dataset.address = q.toAddress(asked);
  shown = answers.map((answer) => answer.results);
  $("show-more").hidden = first.results.length < asked.count || asked.count >= index.max_results;
  say(summary(first, second, asked));
}

function summary(answer, other, asked) {
  const composed = [answer.query.inversion, answer.query.adapter].filter(Boolean).join(" + ");
  const how = {image: "by the picture alone", text: "by the text alone", sum: "by picture + text"}[answer.kind] ?? `by ${composed}`;
  const parts = [`${answer.results.length} of ${answer.total.toLocaleString("en")} pictures`, how, `${Math.round(answer.ms)} ms`];
  if (!answer.background.calibrated) parts.push("scores are rough in an index this small");
  if (other && answer.kind !== "composed") parts.push("the adapter matters where a picture and a text are composed");
  return parts.join(" · ");
}

const lists = () => [...$("results").querySelectorAll(".column")].map((one) => one.querySelector(".hits"));

function begin() {
  shown = [];
  $("alert").hidden = true;
  $("show-more").hidden = true;
  say("");
  $("results").classList.remove("both");
  $("results").dataset.address = q.toAddress(question);
  const tiles = index.examples.map((id) => {
    const pick = element("button", {className: "pick", type: "button"}, picture(q.smallPicture({id}), ""));
    pick.setAttribute("aria-label", `Begin with ${id.split("/").pop()}`);
    pick.addEventListener("click", () => use({id}));
    return element("li", {className: "hit"}, pick);
  });
  const list = element("ol", {className: "hits"}, ...tiles);
  $("results").replaceChildren(element("section", {className: "column"}, element("h2", {}, "Or begin with one of these"), list));
}

function draw() {
  const asking = q.asks(question);
  document.body.classList.toggle("asking", asking);
  const given = question.references.length > 0;
  $("references").replaceChildren(...question.references.map(referenceItem));
  $("choose").classList.toggle("small", given);
  $("choose").title = given ? "Add another picture" : "";
  $("choose-label").textContent = given ? "Add" : "Drop, paste or pick a picture";
  $("choose").setAttribute("aria-label", given ? "Add another reference picture" : "Pick a picture; it can be dropped or pasted too");
  $("text-label").textContent = given ? "Like this, but …" : "What are you looking for?";
  $("text").placeholder = given ? "in brass, from above, with a hat" : "a brass lamp";
  for (const name of ["text", "negative", "where"]) if ($(name).value !== question[name]) $(name).value = question[name];
  $("alpha").value = question.alpha;
  $("alpha").disabled = !(given && question.text.trim());
  $("score").value = question.score;
  $("alpha-value").textContent = question.alpha ? question.alpha.toFixed(2) : "composed";
  $("score-value").textContent = question.score ? question.score.toFixed(2) : "any";
  const refined = [question.negative, question.where, question.alpha, question.score].filter(Boolean).length;
  $("refined").textContent = refined ? ` · ${refined}` : "";
  $("compare").setAttribute("aria-pressed", String(question.compare));
  $("clear").hidden = !asking;
  document.title = question.text ? `${question.text} · mota` : "mota";
  drawTrail();
}

function referenceItem(reference) {
  const name = q.nameOf(reference);
  const drop = element("button", {className: "drop-one", type: "button", title: "Take it out"}, "×");
  drop.setAttribute("aria-label", `Take ${name} out`);
  drop.addEventListener("click", () => {
    change({references: question.references.filter((other) => other !== reference)}, true);
    draw();
    find();
    $("choose").focus();
  });
  return element("li", {}, picture(q.smallPicture(reference), `Reference: ${name}`), drop);
}

function drawTrail() {
  $("trail").hidden = trail.length === 0;
  const steps = trail.map((step) => {
    const link = element("a", {href: step.address}, ...step.references.slice(0, 2).map((one) => picture(q.smallPicture(one), "")));
    link.append(element("span", {}, step.text || (step.references.length ? "more like this" : "start")));
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      change(q.fromAddress(link.search), true);
      draw();
      find();
    });
    return element("li", {}, link);
  });
  $("trail").firstElementChild.replaceChildren(...steps);
}

function say(text) {
  $("status").textContent = text;
}

function fail(error) {
  if (error.status === 401) return $("login").showModal();
  say("");
  $("alert").hidden = false;
  $("alert").firstElementChild.textContent = [error.message, error.hint].filter(Boolean).map(sentence).join(" ");
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1).replace(/([^.!?…])$/, "$1.");

// ------------------------------------------------------------------------------------------------ looking at one

function look(hit) {
  const list = shown.find((one) => one.includes(hit));
  viewed = {list, at: list.indexOf(hit)};
  drawViewer();
  if (!$("viewer").open) $("viewer").showModal();
}

function drawViewer() {
  const hit = viewed.list[viewed.at];
  const image = picture(large(hit), hit.id);
  image.id = "viewer-picture";
  $("viewer").querySelector(".stage").replaceChildren(image);
  $("viewer-name").textContent = hit.id.split("/").pop();
  $("viewer-facts").replaceChildren(...facts(hit).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]));
  $("viewer-open").href = large(hit);
  $("viewer-back").disabled = viewed.at === 0;
  $("viewer-next").disabled = viewed.at === viewed.list.length - 1;
}

function turn(by) {
  if (!viewed.list[viewed.at + by]) return;
  viewed.at += by;
  drawViewer();
}

function leaveViewer(what) {
  const hit = viewed.list[viewed.at];
  $("viewer").close();
  what({id: hit.id});
}

// ------------------------------------------------------------------------------------------------ wiring

function wire() {
  const edited = (name, read) => $(name).addEventListener("input", () => {
    change({[name]: read($(name))});
    draw();
    soon();
  });
  for (const name of ["text", "negative", "where"]) edited(name, (field) => field.value);
  for (const name of ["alpha", "score"]) edited(name, (field) => Number(field.value));
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    find();
  });
  $("choose").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => {
    take($("file").files, question.references.length > 0);
    $("file").value = "";
  });
  $("compare").addEventListener("click", () => {
    change({compare: !question.compare});
    draw();
    find();
  });
  $("refine").addEventListener("click", () => {
    $("fields").hidden = !$("fields").hidden;
    $("refine").setAttribute("aria-expanded", String(!$("fields").hidden));
  });
  for (const id of ["clear", "brand"]) {
    $(id).addEventListener("click", (event) => {
      event.preventDefault();
      change(q.empty(), true);
      draw();
      find();
      $("text").focus();
    });
  }
  $("show-more").addEventListener("click", () => {
    change({count: Math.min(question.count + q.PAGE, index.max_results)});
    find();
  });
  $("alert").lastElementChild.addEventListener("click", start);
  $("results").addEventListener("focusin", keepOneInOrder);
  $("viewer-use").addEventListener("click", () => leaveViewer(use));
  $("viewer-add").addEventListener("click", () => leaveViewer(add));
  $("viewer-back").addEventListener("click", () => turn(-1));
  $("viewer-next").addEventListener("click", () => turn(1));
  $("viewer-close").addEventListener("click", () => $("viewer").close());
  $("show-keys").addEventListener("click", () => $("keys").showModal());
  $("login").addEventListener("cancel", (event) => event.preventDefault());
  $("login-form").addEventListener("submit", enter);
  addEventListener("popstate", arrive);
  addEventListener("keydown", onKey);
  addEventListener("paste", (event) => {
    if (index && event.clipboardData?.files.length) {
      event.preventDefault();
      take(event.clipboardData.files);
    }
  });
  wireDropping();
}

function wireDropping() {
  let depth = 0;
  const curtain = (by) => {
    depth = by === 0 ? 0 : Math.max(depth + by, 0);
    $("curtain").hidden = depth === 0;
  };
  const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => holdsFiles(event) && curtain(1));
  addEventListener("dragleave", (event) => holdsFiles(event) && curtain(-1));
  addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    curtain(0);
    if (index) take(event.dataTransfer.files);
  });
}

function onKey(event) {
  const writing = event.target.closest?.("input:not([type=range]), textarea");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if ($("viewer").open) {
    if (event.key === "ArrowLeft") turn(-1);
    if (event.key === "ArrowRight") turn(1);
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "ArrowDown" && event.target === $("text")) {
    event.preventDefault();
    $("results").querySelector(".pick")?.focus();
  }
  if (writing) return;
  if (event.key === "/") {
    event.preventDefault();
    $("text").focus();
  }
  if (event.key === "c" && !$("compare").hidden) $("compare").click();
  if (event.key === "?") $("keys").showModal();
}

async function enter(event) {
  event.preventDefault();
  $("login-wrong").textContent = "";
  try {
    await api.login($("token").value);
    $("token").value = "";
    $("login").close();
    await start();
  } catch (error) {
    $("login-wrong").textContent = [error.message, error.hint].filter(Boolean).map(sentence).join(" ");
  }
}

async function loginByAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(history.state, "", location.pathname + location.search);
  await api.login(token);
}

async function start() {
  $("alert").hidden = true;
  try {
    await loginByAddress();
    index = await api.about();
  } catch (error) {
    return fail(error);
  }
  $("about").textContent = `${index.name} · ${index.count.toLocaleString("en")} pictures`;
  $("compare").hidden = !index.adapter;
  $("where-hint").textContent = `Separated by commas: ${examplesOf(index.columns)}`;
  $("hint").textContent = index.inversion ? "" : "This index has no inversion network: picture and text are added.";
  arrive();
}

function examplesOf(columns) {
  const known = Object.entries(columns).slice(0, 3).map(([name, kind]) => (kind === "number" ? `${name}<20` : `${name}=…`));
  return [...known, "path~summer/*"].join(", ");
}

wire();
start();
