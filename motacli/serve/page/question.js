// A question: reference pictures, a text, and how to look. It lives in the address, so that back, forward and reload work.

export const PAGE = 24;

// A reference is {id} for a picture of the index or {upload} for one that was sent.
export function empty() {
  return {references: [], text: "", negative: "", where: "", alpha: 0, score: 0, count: PAGE, compare: false};
}

export const asks = (question) => question.references.length > 0 || question.text.trim() !== "";

export function fromAddress(search) {
  const given = new URLSearchParams(search);
  const number = (name, low, high) => Math.min(Math.max(Number(given.get(name)) || 0, low), high);
  return {
    references: [...given].flatMap(([name, value]) => (name === "id" ? [{id: value}] : name === "upload" ? [{upload: value}] : [])),
    text: given.get("text") ?? "",
    negative: given.get("not") ?? "",
    where: given.get("where") ?? "",
    alpha: number("alpha", 0, 0.95),
    score: number("score", 0, 6),
    count: number("count", PAGE, 200),
    compare: given.has("compare"),
  };
}

export function toAddress(question) {
  const said = new URLSearchParams();
  for (const reference of question.references) {
    said.append("id" in reference ? "id" : "upload", reference.id ?? reference.upload);
  }
  const rest = {text: question.text, not: question.negative, where: question.where, alpha: question.alpha, score: question.score};
  for (const [name, value] of Object.entries(rest)) if (value) said.set(name, value);
  if (question.count > PAGE) said.set("count", question.count);
  if (question.compare) said.set("compare", "1");
  const text = said.toString();
  return text ? `/?${text}` : "/";
}

export const conditions = (question) => question.where.split(",").map((part) => part.trim()).filter(Boolean);

export const sameReference = (one, other) => one.id === other.id && one.upload === other.upload;

export const smallPicture = (reference) =>
  "id" in reference ? pictureAddress("thumbnails", reference.id) : `/api/uploads/${encodeURIComponent(reference.upload)}`;

export const pictureAddress = (kind, id) => `/api/${kind}/${id.split("/").map(encodeURIComponent).join("/")}`;

export const nameOf = (reference) => ("id" in reference ? reference.id.split("/").pop() : "your picture");
