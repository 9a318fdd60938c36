const data = readData("build-data");
const inLanguage = (code) => data.names[code] || code;

// A text in which each of `needles` that it holds is marked, longer ones first; a needle is {text, language}.
function marked(text, needles) {
  let pieces = [text];
  const wanted = needles.filter((needle) => needle.text !== "").sort((a, b) => b.text.length - a.text.length);
  for (const needle of wanted) {
    const mark = () => Object.assign(element("mark", "", needle.text), { lang: needle.language });
    const part = (piece) => piece.split(needle.text).flatMap((rest, index) => (index ? [mark(), rest] : [rest]));
    pieces = pieces.flatMap((piece) => (typeof piece === "string" ? part(piece) : [piece]));
  }
  return pieces.filter((piece) => piece !== "");
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

function conversation(row) {
  const source = data.sources[row.source];
  const failed = row.failed || [];
  const sourceLanguage = source ? source.language : "";
  const wrong = failed.flatMap((part) => part.segments.map((text) => ({ text, language: sourceLanguage })));
  // Where no output could be used, the segment itself stands in the translation.
  const used = failed.flatMap((part) =>
    part.given.map((text) => ({ text, language: part.segments.includes(text) ? sourceLanguage : row.language })),
  );
  const translated = row.translation || [];
  const original = source ? source.messages : [];
  const made = element("div", "turns" + (source && translated.length ? " beside" : ""));
  for (let index = 0; index < Math.max(original.length, translated.length); index += 1) {
    const ours = original[index];
    const theirs = translated[index];
    if (ours && ours.chain !== undefined) made.append(chain(ours.chain, theirs && theirs.chain === undefined ? ": the same in source and translation" : ""));
    if (theirs && theirs.chain !== undefined) made.append(chain(theirs.chain, ours ? " of the translation, which is not that of the source" : ""));
    if (ours) made.append(turn(ours, source.language, "cell", wrong));
    if (theirs) made.append(turn(theirs, row.language, "cell " + row.outcome, used));
  }
  return made;
}

function failure(row) {
  const made = element("div", "failure");
  made.append(element("p", "", `${row.reason[0].replaceAll("_", " ")}: ${row.detail}`));
  const failed = row.failed || [];
  if (failed.length > 1) made.append(element("p", "more", `${failed.length} parts of the row failed.`));
  else if (row.reason.length > 1) made.append(element("p", "more", "More than this is wrong with it; what was found first is shown."));
  const source = data.sources[row.source];
  for (const part of failed) {
    const beside = element("div", "turns beside");
    const segments = element("div", "outputs");
    const answers = element("div", "outputs");
    if (failed.length > 1) made.append(element("p", "more", `${part.reasons.map((reason) => reason.replaceAll("_", " ")).join(", ")}: ${part.detail}`));
    for (const segment of part.segments) segments.append(block("What failed", segment, source && source.language));
    beside.append(segments, answers);
    part.outputs.forEach((output, index) => {
      answers.append(block(`Output ${index + 1} of ${part.outputs.length}, as it came`, output, row.language));
    });
    if (!part.outputs.length) answers.append(element("p", "quiet", "The translator gave nothing."));
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
    ...[row.detail, row.record].filter(Boolean),
    ...(row.failed ?? []).flatMap((part) => [part.detail, ...part.segments, ...part.outputs]),
  ],
  card,
  noun: "rows",
  pageSize: 50,
});
