"use strict";
const PAGE_SIZE = 20;
const rows = JSON.parse(document.getElementById("generations-data").textContent);
const keys = ["task", "language", "result", "state", "method"];
const selects = Object.fromEntries(keys.map((key) => [key, document.getElementById("filter-" + key)]));
const search = document.getElementById("filter-text");
let matching = rows;
let page = 0;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Model output reaches the page only through textContent, never as HTML.
function block(heading, text, language) {
  const made = element("div");
  made.append(element("h4", "", heading));
  const body = element("div", "text", text === "" ? "(empty)" : text);
  if (text === "") body.classList.add("quiet");
  if (language) body.lang = language;
  made.append(body);
  return made;
}

function tag(text, good) {
  return element("span", "tag" + (good === true ? " good" : good === false ? " bad" : ""), text);
}

function card(row) {
  const made = element("article", "panel " + (row.result || ""));
  const facts = element("div", "facts");
  facts.append(element("code", "", row.id), tag(row.task), tag(row.language));
  if (row.result) facts.append(tag(row.result, row.result === "right"));
  if (row.chrf !== undefined) facts.append(tag("chrF++ " + row.chrf));
  if (row.method) facts.append(tag("answer found by: " + row.method.replaceAll("_", " ")));
  facts.append(tag("thinking: " + row.state.replaceAll("_", " "), row.state === "unclosed" ? false : undefined));
  if (row.chain_expected === false && row.chain_language) facts.append(tag("chain in " + row.chain_language, false));
  if (row.answer_expected === false && row.answer_language) facts.append(tag("answer in " + row.answer_language, false));
  if (row.cut) facts.append(tag("cut at the token limit", false));
  if (row.error) facts.append(tag("error: " + row.error, false));
  facts.append(element("span", "quiet", row.tokens + " tokens"));
  const texts = element("div", "columns");
  const left = element("div");
  left.append(block(row.reference === undefined ? "Question" : "Source", row.question, row.reference === undefined ? row.language : "en"));
  const pair = element("div", "pair");
  if (row.gold !== undefined) pair.append(block("Gold answer", row.gold));
  if (row.extracted !== undefined) pair.append(block("Answer that was graded", row.extracted, row.language));
  left.append(pair);
  if (row.reference !== undefined) left.append(block("Reference", row.reference, row.language));
  const right = element("div");
  if (row.chain !== undefined) right.append(block("Chain", row.chain, row.chain_language || "en"));
  if (row.answer !== undefined) right.append(block(row.reference === undefined ? "Answer" : "Translation", row.answer, row.language));
  else right.append(element("p", "quiet", "No answer: the chain was never closed."));
  texts.append(left, right);
  made.append(facts, texts);
  return made;
}

function show() {
  const pages = Math.max(1, Math.ceil(matching.length / PAGE_SIZE));
  page = Math.min(Math.max(page, 0), pages - 1);
  const list = document.getElementById("list");
  list.replaceChildren(...matching.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).map(card));
  document.getElementById("shown").textContent = matching.length + " of " + rows.length + " generations";
  document.getElementById("page").textContent = "Page " + (page + 1) + " of " + pages;
  document.getElementById("previous").disabled = page === 0;
  document.getElementById("next").disabled = page === pages - 1;
}

function filter() {
  const words = search.value.toLowerCase();
  matching = rows.filter(
    (row) =>
      keys.every((key) => selects[key].value === "" || row[key] === selects[key].value) &&
      (words === "" || [row.question, row.chain, row.answer].some((text) => (text || "").toLowerCase().includes(words))),
  );
  page = 0;
  show();
}

function turn(step) {
  page += step;
  show();
  document.getElementById("generations").scrollIntoView();
}

for (const key of keys) {
  const values = [...new Set(rows.map((row) => row[key]).filter((value) => value !== undefined))];
  selects[key].append(new Option("all", ""), ...values.map((value) => new Option(value.replaceAll("_", " "), value)));
  selects[key].parentElement.hidden = values.length === 0;
  selects[key].addEventListener("change", filter);
}
search.addEventListener("input", filter);
document.getElementById("previous").addEventListener("click", () => turn(-1));
document.getElementById("next").addEventListener("click", () => turn(1));
show();
