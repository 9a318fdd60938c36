"use strict";
// Rows under filters, a page of cards at a time. The filters stand in the address (#language=fr&reason=number&page=2),
// so that what is shown can be linked to. Texts reach the page only through textContent, never as HTML.

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

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

function readData(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

// The same thin spaces between thousands as everywhere on the pages.
function grouped(number) {
  return number.toLocaleString("en").replaceAll(",", "\u202f");
}

function valuesOf(row, key) {
  return row[key] === undefined ? [] : Array.isArray(row[key]) ? row[key] : [row[key]];
}

// A filter of which one value is chosen. Both kinds of filters can `offer` a value, `choose` values (one that no row
// has, as a link may name it, is offered too and finds nothing), say what is `chosen`, and show counts.
function selectFilter(select, label) {
  select.append(new Option("all", ""));
  const offer = (value) => select.append(new Option(label(value), value));
  return {
    offer,
    chosen: () => (select.value === "" ? [] : [select.value]),
    choose(values) {
      if (values.length && ![...select.options].some((option) => option.value === values[0])) offer(values[0]);
      select.value = values.length ? values[0] : "";
    },
    count(counts) {
      for (const option of select.options) {
        if (option.value !== "") option.textContent = `${label(option.value)} (${grouped(counts.get(option.value) ?? 0)})`;
      }
    },
  };
}

// A filter of which several values are chosen: a row that has one of them stays.
function choicesFilter(fieldset, label) {
  const choices = new Map();
  function offer(value) {
    const box = element("input");
    box.type = "checkbox";
    box.value = value;
    const count = element("span", "quiet");
    const made = element("label");
    made.append(box, label(value), count);
    fieldset.append(made);
    choices.set(value, { box, count });
  }
  return {
    offer,
    chosen: () => [...choices].filter(([, choice]) => choice.box.checked).map(([value]) => value),
    choose(values) {
      values.filter((value) => !choices.has(value)).forEach(offer);
      for (const [value, choice] of choices) choice.box.checked = values.includes(value);
    },
    count(counts) {
      for (const [value, choice] of choices) choice.count.textContent = grouped(counts.get(value) ?? 0);
    },
  };
}

// `keys` are the properties of a row that are filtered by, each with an element #filter-<key>; a property is a text or
// a list of texts. `texts(row)` is what is searched, `card(row)` the element that shows a row. `stock`, where the page
// carries only a part, counts all there is: the properties of rows, and `rows`, how many are so. `orders`, by the values
// of #order, compare two rows.
function browse({ rows, stock = [], keys, label, texts, card, noun, pageSize, orders }) {
  const part = (id) => document.getElementById(id);
  const search = part("filter-text");
  const order = part("order");
  const inStock = stock.reduce((sum, line) => sum + line.rows, 0);
  const filters = new Map();
  let matching = rows;
  let page = 0;

  for (const key of keys) {
    const place = part("filter-" + key);
    const values = new Set([...stock, ...rows].flatMap((row) => valuesOf(row, key)).filter((value) => value !== ""));
    const filter = (place.tagName === "SELECT" ? selectFilter : choicesFilter)(place, (value) => label(key, value));
    values.forEach(filter.offer);
    (place.tagName === "SELECT" ? place.parentElement : place).hidden = values.size === 0;
    place.addEventListener("change", changed);
    filters.set(key, filter);
  }

  // White space and capitals aside: what is pasted into the field loses its line breaks. Texts that rows share (the
  // source of a row in five languages) are made plain once, and searched once.
  const plainTexts = new Map();
  const plain = (text) => text.toLowerCase().replace(/\s+/g, " ");
  function known(text) {
    if (!plainTexts.has(text)) plainTexts.set(text, plain(text));
    return plainTexts.get(text);
  }

  function match() {
    const chosen = new Map([...filters].map(([key, filter]) => [key, new Set(filter.chosen())]));
    const passes = (row, key) => !chosen.get(key).size || valuesOf(row, key).some((value) => chosen.get(key).has(value));
    const words = plain(search.value);
    const found = new Map();
    function holds(text) {
      if (!found.has(text)) found.set(text, known(text).includes(words));
      return found.get(text);
    }
    // A value of a filter is counted over the rows that pass all other filters: what choosing it would show.
    const counts = new Map(keys.map((key) => [key, new Map()]));
    matching = rows.filter((row) => {
      const failed = keys.filter((key) => !passes(row, key));
      if (failed.length > 1 || (words !== "" && !texts(row).some(holds))) return false;
      for (const key of failed.length ? failed : keys) {
        const values = counts.get(key);
        for (const value of valuesOf(row, key)) values.set(value, (values.get(value) ?? 0) + 1);
      }
      return failed.length === 0;
    });
    if (orders) matching.sort(orders[order.value]);
    for (const [key, filter] of filters) filter.count(counts.get(key));
    let status = `${grouped(matching.length)} of ${grouped(rows.length)} ${noun}`;
    if (inStock > rows.length) {
      const all = stock.filter((line) => keys.every((key) => passes(line, key)));
      status += ` on this page; ${grouped(all.reduce((sum, line) => sum + line.rows, 0))} of ${grouped(inStock)} in all`;
      if (words !== "") status += ", whatever their text";
    }
    part("shown").textContent = status;
    part("clear").hidden = words === "" && [...chosen.values()].every((values) => !values.size);
  }

  function show() {
    const pages = Math.max(1, Math.ceil(matching.length / pageSize));
    page = Math.min(Math.max(page, 0), pages - 1);
    part("list").replaceChildren(...matching.slice(page * pageSize, (page + 1) * pageSize).map(card));
    part("page").textContent = `Page ${grouped(page + 1)} of ${grouped(pages)}`;
    part("previous").disabled = page === 0;
    part("next").disabled = page === pages - 1;
  }

  function remember() {
    const address = new URLSearchParams();
    for (const [key, filter] of filters) for (const value of filter.chosen()) address.append(key, value);
    if (search.value !== "") address.set("text", search.value);
    if (orders && order.selectedIndex > 0) address.set("order", order.value);
    if (page > 0) address.set("page", String(page + 1));
    history.replaceState(null, "", "#" + address);
  }

  function restore() {
    const address = new URLSearchParams(location.hash.slice(1));
    for (const [key, filter] of filters) filter.choose(address.getAll(key));
    search.value = address.get("text") ?? "";
    if (orders) order.value = address.get("order") in orders ? address.get("order") : order.options[0].value;
    page = Math.trunc(Number(address.get("page"))) - 1 || 0;
    match();
    show();
    if (ours(address)) goToTop();
  }

  // An address may also name another place of the page (#task-mgsm), which is none of the filters' business.
  function ours(address) {
    return [...keys, "text", "order", "page"].some((name) => address.has(name));
  }

  function goToTop() {
    part("list").closest("section").scrollIntoView();
  }

  function changed() {
    page = 0;
    match();
    show();
    remember();
  }

  function turn(step) {
    page += step;
    show();
    remember();
    goToTop();
  }

  search.addEventListener("input", changed);
  if (orders) order.addEventListener("change", changed);
  part("previous").addEventListener("click", () => turn(-1));
  part("next").addEventListener("click", () => turn(1));
  part("clear").addEventListener("click", () => {
    filters.forEach((filter) => filter.choose([]));
    search.value = "";
    changed();
    search.focus();
  });
  window.addEventListener("hashchange", () => {
    const address = new URLSearchParams(location.hash.slice(1));
    if (address.size === 0 || ours(address)) restore();
  });
  restore();
}
