function card(row) {
  const made = element("article", "panel " + (row.result || ""));
  const facts = element("div", "facts");
  facts.append(element("code", "", row.id), tag(row.task), tag(row.language));
  if (row.result) facts.append(tag(row.result, row.result === "right"));
  const measured = row.log_likelihood !== undefined;
  if (measured) facts.append(tag("log-likelihood a token " + row.log_likelihood));
  if (row.chrf !== undefined) facts.append(tag("chrF++ " + row.chrf));
  if (row.method) facts.append(tag("answer found by: " + row.method.replaceAll("_", " ")));
  facts.append(tag("thinking: " + row.state.replaceAll("_", " "), row.state === "unclosed" ? false : undefined));
  if (row.chain_expected === false && row.chain_language) facts.append(tag("chain in " + row.chain_language, false));
  if (row.answer_expected === false && row.answer_language) facts.append(tag("answer in " + row.answer_language, false));
  if (row.cut) facts.append(tag("cut at the token limit", false));
  if (row.error) facts.append(tag("error: " + row.error, false));
  facts.append(element("span", "quiet", row.tokens + " tokens"));
  const translated = row.reference !== undefined && !measured;
  const texts = element("div", "columns");
  const left = element("div");
  left.append(block(translated ? "Source" : "Question", row.question, translated ? "en" : row.language));
  const pair = element("div", "pair");
  if (row.gold !== undefined) pair.append(block("Gold answer", row.gold));
  if (row.extracted !== undefined) pair.append(block("Answer that was graded", row.extracted, row.language));
  left.append(pair);
  if (translated) left.append(block("Reference", row.reference, row.language));
  const right = element("div");
  if (row.chain !== undefined) right.append(block("Chain", row.chain, row.chain_language || "en"));
  if (measured) right.append(block("Answer of the data", row.reference, row.language));
  else if (row.answer !== undefined) right.append(block(translated ? "Translation" : "Answer", row.answer, row.language));
  else right.append(element("p", "quiet", "No answer: the chain was never closed."));
  texts.append(left, right);
  made.append(facts, texts);
  return made;
}

browse({
  rows: readData("generations-data"),
  keys: ["task", "language", "result", "state", "method"],
  label: (key, value) => value.replaceAll("_", " "),
  texts: (row) => [row.question, row.chain, row.answer].filter((text) => text !== undefined),
  card,
  noun: "generations",
  pageSize: 20,
});
