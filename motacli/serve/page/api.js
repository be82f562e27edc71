// Requests to the server, and its refusals as errors for people.

import {conditions} from "/question.js";

const PATIENCE = 3;

export class Problem extends Error {
  constructor(status, message, hint) {
    super(message);
    Object.assign(this, {status, hint});
  }
}

async function ask(address, options = {}, tries = PATIENCE) {
  let answer;
  try {
    answer = await fetch(address, {credentials: "same-origin", ...options});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer.", "Is mota serve still running?");
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  if (answer.status === 429 && tries > 1) {
    const seconds = Number(answer.headers.get("retry-after")) || 1;
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    return ask(address, options, tries - 1);
  }
  const told = await answer.json().then((body) => body.error, () => null);
  throw new Problem(answer.status, told?.message ?? `The server answered ${answer.status}.`, told?.hint ?? "");
}

function form(fields) {
  const data = new FormData();
  for (const [name, value] of fields) data.append(name, value);
  return {method: "POST", body: data};
}

export const about = () => ask("/api/index");

export const login = (token) => ask("/login", form([["token", token]]));

export const send = (file) => ask("/api/uploads", form([["image", file]]));

export function search(question, adapted, signal) {
  const fields = [["text", question.text], ["negative", question.negative], ["k", question.count], ["alpha", question.alpha]];
  for (const reference of question.references) {
    fields.push("id" in reference ? ["reference", reference.id] : ["upload", reference.upload]);
    if ("id" in reference) fields.push(["exclude", reference.id]);
  }
  for (const condition of conditions(question)) fields.push(["where", condition]);
  if (question.score > 0) fields.push(["min_score", question.score]);
  if (!adapted) fields.push(["adapted", "false"]);
  return ask("/api/search", {...form(fields), signal});
}
