// One question: what was asked, every cell's answer side by side, the passages and the prompts.
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const NO_ANSWER = ["assumed", "unparsed", "refused", "truncated"];
const SHORTEST = 3; // characters of a word that is marked in passages
const COMMON = new Set(
  ("about after all also and any are because been before being between both but can could did does " +
    "each following for from had has have how into its may more most not of one only other our out " +
    "over same should some such than that the their them then there these they this those through " +
    "under was were what when where which while who whom why will with would you your").split(" "),
);
const letter = (index) => LETTERS[index] || `#${index + 1}`;
const unread = (outcome) => NO_ANSWER.includes(outcome);

// A text whose words of a query are in <mark>, and the right answer underlined.
function marked(text, words, answer) {
  const escape = (word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const sought = [...(answer ? [answer] : []), ...words].map(escape);
  if (!sought.length) return [text];
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(${sought.join("|")})(?![\\p{L}\\p{N}])`, "giu");
  return text.split(pattern).map((piece, place) => {
    if (place % 2 === 0) return piece;
    const right = answer && piece.toLowerCase() === answer.toLowerCase();
    return make("mark", right ? "answer" : "", piece);
  });
}

// The words of a text that say what it is about, each once.
function wordsOf(text) {
  const found = (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) || []).filter(
    (word) => word.length >= SHORTEST && !COMMON.has(word),
  );
  return [...new Set(found)];
}

// Right or wrong in a sign and a word, with the letter that was picked.
function verdict(task, cell, q) {
  if (cell.outcome[q] === "error") return make("span", "bad", "\u26a0 error");
  const grade = cell.right[q];
  const why = unread(cell.outcome[q]) ? `, ${cell.outcome[q]}` : "";
  if (task.graded) {
    return make("span", "", `${task.metric} ${grade === null ? "no value" : grade.toFixed(2)}${why}`);
  }
  const picked = cell.pick[q] === null ? "" : ` (${letter(cell.pick[q])}${cell.tied[q] ? ", a tie" : ""})`;
  if (cell.right[q] === 1) return make("span", "good", `\u2713 right${picked}${why}`);
  return make("span", "bad", `\u2717 wrong${picked}${why}`);
}

// A box of text that scrolls by itself, also by keyboard.
function boxed(label, text) {
  const box = make("pre", "", text);
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", label);
  return box;
}

function asked(core, texts, t, q) {
  const task = core.tasks[t];
  if (!texts) return task.answer[q] < 0 ? [] : [make("p", "", `Right option: ${letter(task.answer[q])}`)];
  const asks = make("p", "text asks", texts[t].text[q]);
  const reference = texts[t].references[q];
  if (reference) return [asks, make("p", "label", "Reference"), boxed("Reference", reference)];
  const options = texts[t].options[q].map((option, index) => {
    const right = index === task.answer[q];
    return make("li", right ? "right" : "", option, ...(right ? [make("span", "good", " \u2713 right")] : []));
  });
  return [asks, make("ol", "options", ...options)];
}

// The log-likelihood of each option under its letter, with what was picked and what is right.
// Options are compared per character, so that the longest is not the least likely by its length.
function likelihoods(core, texts, t, q, cell) {
  const values = cell.likelihoods[q];
  if (!values) return [];
  const task = core.tasks[t];
  const lengths = texts && task.scoring === "options" ? texts[t].options[q].map((o) => [...o].length || 1) : null;
  const cells = (tag, texts) => texts.map((text) => make(tag, "figure", text));
  const rows = values.map((value, index) => {
    const right = index === task.answer[q];
    const picked = index === cell.pick[q];
    const sign = right ? "\u2713 " : picked ? "\u2717 " : "";
    const mark = sign + (picked ? "picked" : right ? "right" : "");
    const head = make("th", "", letter(index));
    head.scope = "row";
    const figures = lengths ? [value, value === null ? null : value / lengths[index]] : [value];
    const shown = cells("td", figures.map((figure) => (figure === null ? "-" : figure.toFixed(3))));
    return make("tr", picked ? "picked" : "", head, ...shown, make("td", "", mark));
  });
  const caption = make("caption", "", lengths ? "Log-likelihood: in all, per character" : "Log-likelihood");
  return [make("table", "letters", caption, make("tbody", "", ...rows))];
}

function written(core, texts, t, q, cell) {
  if (!texts) return [];
  const held = texts[t].cells[core.tasks[t].cells.indexOf(cell)];
  const parts = [];
  if (held.before[q]) {
    parts.push(folded(make("summary", "", "Written before"), () => [boxed("Written before", held.before[q])]));
  }
  if (held.error[q]) parts.push(make("p", "label", "Error"), boxed("Error", held.error[q]));
  if (typeof held.reply[q] === "string") {
    parts.push(make("p", "label", "Reply"), boxed("Reply", held.reply[q] === "" ? "(empty)" : held.reply[q]));
  }
  if (held.reasoning[q]) {
    parts.push(folded(make("summary", "", "Reasoning"), () => [boxed("Reasoning", held.reasoning[q])]));
  }
  return parts;
}

function prompted(core, t, q, cell) {
  if (!find("data-prompts")) return [];
  const place = core.tasks[t].cells.indexOf(cell);
  return [
    folded(make("summary", "", "Prompt"), () => {
      const stored = block("prompts");
      const text = stored.texts[stored.tasks[t][place][q]];
      return [boxed("Prompt", text === undefined ? "(not asked)" : text)];
    }),
  ];
}

// One cell's answer as a card; `effect` is what the arm changed.
function answered(core, texts, t, q, cell, effect) {
  const task = core.tasks[t];
  const card = make(
    "section",
    "cell",
    make("h5", "", task.arms[cell.arm], make("span", "soft", core.models[cell.model])),
    make("p", "", verdict(task, cell, q), effect ? make("span", "effect", effect) : ""),
    ...likelihoods(core, texts, t, q, cell),
    ...written(core, texts, t, q, cell),
    ...prompted(core, t, q, cell),
  );
  return card;
}

// What an arm delivers: one entry for all models, or one for each if each has its own passages.
function deliveries(core, task, arm, q) {
  if (!task.own[arm]) return [{ arm, label: task.arms[arm], places: task.packed[arm][q] }];
  return task.own[arm].map((found, m) => ({ arm, label: `${task.arms[arm]}, ${core.models[m]}`, places: found[q] }));
}

// The passages of one arm in the order of its prompt; gold ones are open.
function delivered(core, texts, t, q, { arm, label: name, places }) {
  const task = core.tasks[t];
  const stored = block("passages");
  const answer = texts && task.answer[q] >= 0 ? texts[t].options[q][task.answer[q]] : "";
  const words = texts ? wordsOf(texts[t].queries[q] || texts[t].text[q]) : [];
  let golden = 0;
  const entries = places.map((place) => {
    const [docId, title, text] = (stored && stored[place]) || ["", "", ""];
    const id = core.passages[place];
    const gold = task.gold[q].includes(id) || task.gold[q].includes(docId);
    golden += gold;
    const label = make("span", "", make("span", "id", id), " ", ...marked(title || "", words, answer));
    if (gold) label.append(make("span", "good", " \u2605 gold"));
    if (!stored || !stored[place]) return make("li", gold ? "gold" : "", label);
    const held = folded(make("summary", "", label), () => [make("p", "text", ...marked(text, words, answer))]);
    held.open = gold;
    return make("li", gold ? "gold" : "", held);
  });
  const number = `${places.length} passage${places.length === 1 ? "" : "s"}`;
  const says = places.length
    ? `${number}${task.gold[q].length ? `, ${golden || "none"} of them gold` : ""}`
    : task.unknown.includes(arm)
      ? "the passages are not known"
      : "no passages";
  const head = make("h5", "", name, make("span", "soft", says));
  return make("section", "arm", head, ...(entries.length ? [make("ol", "passages", ...entries)] : []));
}
