const data = readData("build-data");
const inLanguage = (code) => data.names[code] || code;

// A text in which the first of `needles` that it holds is marked; a needle is {text, language}.
function marked(text, needles) {
  const needle = needles.find((wanted) => wanted.text !== "" && text.includes(wanted.text));
  if (needle === undefined) return [text];
  const mark = () => Object.assign(element("mark", "", needle.text), { lang: needle.language });
  return text.split(needle.text).flatMap((piece, index) => (index ? [mark(), piece] : [piece]));
}

function turn(message, language, className, needles) {
  const made = block(`${message.role}, ${inLanguage(language)}`, message.content, language);
  made.className = className;
  if (message.content !== "") made.lastChild.replaceChildren(...marked(message.content, needles));
  return made;
}

function chain(text, note) {
  const made = element("details", "chain");
  const body = element("div", "text", text === "" ? "(empty)" : text);
  body.lang = "en";
  made.append(element("summary", "", "Chain of thought" + note), body);
  return made;
}

// What the translator gave for a segment may stand in 〘〙; what stands in the translation does not.
function bare(output) {
  return output.trim().replace(/^〘/, "").replace(/〙$/, "").trim();
}

function conversation(row) {
  const source = data.sources[row.source];
  const wrong = row.segment === undefined ? [] : [{ text: row.segment, language: source ? source.language : "" }];
  // Where no output could be used, the segment itself stands in the translation.
  const used = (row.outputs || []).map((output) => ({ text: bare(output), language: row.language })).reverse();
  const translated = row.translation || [];
  const original = source ? source.messages : [];
  const made = element("div", "turns" + (source && translated.length ? " beside" : ""));
  for (let index = 0; index < Math.max(original.length, translated.length); index += 1) {
    const ours = original[index];
    const theirs = translated[index];
    if (ours && ours.chain !== undefined) made.append(chain(ours.chain, theirs && theirs.chain === undefined ? ": the same in source and translation" : ""));
    if (theirs && theirs.chain !== undefined) made.append(chain(theirs.chain, ours ? " of the translation, which is not that of the source" : ""));
    if (ours) made.append(turn(ours, source.language, "cell", wrong));
    if (theirs) made.append(turn(theirs, row.language, "cell " + row.outcome, [...used, ...wrong]));
  }
  return made;
}

function failure(row) {
  const made = element("div", "failure");
  made.append(element("p", "", `${row.reason[0].replaceAll("_", " ")}: ${row.detail}`));
  if (row.reason.length > 1) made.append(element("p", "more", "More than this is wrong with the row; what was found first is shown."));
  const outputs = row.outputs || [];
  if (row.segment !== undefined) {
    const beside = element("div", "turns beside");
    const answers = element("div", "outputs");
    const source = data.sources[row.source];
    beside.append(block("What failed", row.segment, source && source.language), answers);
    outputs.forEach((output, index) => {
      answers.append(block(`Output ${index + 1} of ${outputs.length}, as it came`, output, row.language));
    });
    if (!outputs.length) answers.append(element("p", "quiet", "The translator gave nothing."));
    made.append(beside);
  }
  if (row.record !== undefined) made.append(block("The record of the source, which could not be read", row.record));
  return made;
}

function card(row) {
  const made = element("article", "panel " + row.outcome);
  const facts = element("div", "facts");
  facts.append(tag(row.outcome === "kept" ? "✓ kept" : "✗ dropped", row.outcome === "kept"));
  const language = tag(`${inLanguage(row.language)} (${row.language})`);
  facts.append(language, tag(row.category), tag(row.split));
  for (const reason of row.reason || []) facts.append(tag(reason.replaceAll("_", " "), false));
  facts.append(element("code", "", row.id));
  if (row.gold !== undefined) facts.append(element("span", "quiet", "gold answer " + row.gold));
  facts.append(element("span", "quiet", [row.translator, row.from, row.license].filter(Boolean).join(" · ")));
  made.append(facts);
  if (row.outcome === "dropped") made.append(failure(row));
  if (row.outcome === "kept" && !row.translation) made.append(element("p", "quiet", "As it stands in the source."));
  if (row.translation && row.source === undefined) made.append(element("p", "quiet", "The source row is not in this build."));
  made.append(conversation(row));
  return made;
}

browse({
  rows: data.rows,
  stock: data.stock,
  keys: ["outcome", "language", "category", "split", "reason"],
  label: (key, value) => (key === "language" ? `${inLanguage(value)} (${value})` : value.replaceAll("_", " ")),
  texts: (row) => [
    row.id,
    ...(data.sources[row.source]?.messages ?? []).flatMap((message) => [message.content, message.chain ?? ""]),
    ...(row.translation ?? []).flatMap((message) => [message.content, message.chain ?? ""]),
    ...[row.detail, row.segment, row.record].filter(Boolean),
    ...(row.outputs ?? []),
  ],
  card,
  noun: "rows",
  pageSize: 50,
});
