function card(row) {
  const made = element("article", "panel " + row.group);
  const facts = element("div", "facts");
  facts.append(element("code", "", row.id), element("span", "tag", row.language));
  facts.append(element("span", "tag " + (row.group === "kept" ? "good" : "bad"), row.group));
  facts.append(element("strong", "", "chrF++ " + row.chrf.toFixed(1)));
  for (const reason of row.reason) facts.append(element("span", "tag", reason.replaceAll("_", " ")));
  if (row.detail) facts.append(element("span", "quiet", row.detail));
  const texts = element("div", "columns");
  texts.append(block("Source", row.source));
  texts.append(block(row.raw_output ? "Translation, from the raw output" : "Translation", row.hypothesis, row.language));
  texts.append(block("Reference", row.reference, row.language));
  made.append(facts, texts);
  return made;
}

browse({
  rows: readData("rows-data"),
  keys: ["language", "group", "reason"],
  label: (key, value) => value.replaceAll("_", " "),
  texts: (row) => [row.source, row.hypothesis, row.reference],
  card,
  noun: "rows",
  pageSize: 20,
  orders: { lowest: (a, b) => a.chrf - b.chrf, highest: (a, b) => b.chrf - a.chrf },
});
