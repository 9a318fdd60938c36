"use strict";
const PAGE_SIZE = 20;
const rows = JSON.parse(document.getElementById("rows-data").textContent);
const selects = Object.fromEntries(
  ["language", "group", "reason", "order"].map((key) => [key, document.getElementById("filter-" + key)]),
);
const search = document.getElementById("filter-text");
let matching = rows;
let page = 0;

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// What the data and the translator wrote reaches the page only through textContent, never as HTML.
function block(heading, text, language) {
  const made = element("div");
  made.append(element("h4", "", heading));
  const body = element("div", "text", text);
  if (language) body.lang = language;
  made.append(body);
  return made;
}

function card(row) {
  const made = element("article", "panel " + row.group);
  const facts = element("div", "facts");
  facts.append(element("code", "", row.id), element("span", "tag", row.language));
  facts.append(element("span", "tag " + (row.group === "kept" ? "good" : "bad"), row.group));
  facts.append(element("strong", "", "chrF++ " + row.chrf.toFixed(1)));
  for (const reason of row.reasons) facts.append(element("span", "tag", reason.replaceAll("_", " ")));
  if (row.detail) facts.append(element("span", "quiet", row.detail));
  const texts = element("div", "columns");
  texts.append(block("Source", row.source));
  texts.append(block(row.raw_output ? "Translation, from the raw output" : "Translation", row.hypothesis, row.language));
  texts.append(block("Reference", row.reference, row.language));
  made.append(facts, texts);
  return made;
}

function show() {
  const pages = Math.max(1, Math.ceil(matching.length / PAGE_SIZE));
  page = Math.min(Math.max(page, 0), pages - 1);
  const list = document.getElementById("list");
  list.replaceChildren(...matching.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).map(card));
  document.getElementById("shown").textContent = matching.length + " of " + rows.length + " rows";
  document.getElementById("page").textContent = "Page " + (page + 1) + " of " + pages;
  document.getElementById("previous").disabled = page === 0;
  document.getElementById("next").disabled = page === pages - 1;
}

function filter() {
  const words = search.value.toLowerCase();
  const [language, group, reason] = ["language", "group", "reason"].map((key) => selects[key].value);
  const sign = selects.order.value === "highest" ? -1 : 1;
  matching = rows
    .filter(
      (row) =>
        (language === "" || row.language === language) &&
        (group === "" || row.group === group) &&
        (reason === "" || row.reasons.includes(reason)) &&
        [row.source, row.hypothesis, row.reference].some((text) => text.toLowerCase().includes(words)),
    )
    .sort((a, b) => sign * (a.chrf - b.chrf));
  page = 0;
  show();
}

function turn(step) {
  page += step;
  show();
  document.getElementById("rows").scrollIntoView();
}

function offer(select, values) {
  const names = [...new Set(values)];
  select.append(new Option("all", ""), ...names.map((name) => new Option(name.replaceAll("_", " "), name)));
  select.parentElement.hidden = names.length === 0;
}

offer(selects.language, rows.map((row) => row.language));
offer(selects.group, rows.map((row) => row.group));
offer(selects.reason, rows.flatMap((row) => row.reasons).sort());
selects.order.append(new Option("lowest chrF++ first", "lowest"), new Option("highest chrF++ first", "highest"));
for (const select of Object.values(selects)) select.addEventListener("change", filter);
search.addEventListener("input", filter);
document.getElementById("previous").addEventListener("click", () => turn(-1));
document.getElementById("next").addEventListener("click", () => turn(1));
filter();
