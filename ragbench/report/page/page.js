"use strict";
// The browser of questions. What the run holds is untrusted: it enters the page as text nodes
// alone, never as markup.
(() => {
  const PAGE = 25;
  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const find = (id) => document.getElementById(id);
  const cache = {};

  // A block of data, parsed when it is first needed; null where the page does not hold it.
  function block(name) {
    if (!(name in cache)) {
      const element = find(`data-${name}`);
      cache[name] = element ? JSON.parse(element.textContent) : null;
    }
    return cache[name];
  }

  function make(tag, className, ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children); // strings become text nodes
    return element;
  }

  // A <details> whose content is made when it is first opened.
  function folded(summary, fill) {
    const element = make("details", "", summary);
    element.addEventListener("toggle", () => {
      if (element.open && element.childElementCount === 1) element.append(...fill());
    });
    return element;
  }

  const core = block("core");
  if (!core) return;
  const texts = block("texts");
  const letter = (index) => LETTERS[index] || `#${index + 1}`;
  const unread = (outcome) => ["assumed", "unparsed", "refused", "truncated"].includes(outcome);

  // Every question once, with what the search looks through.
  const questions = core.tasks.flatMap((task, t) =>
    task.ids.map((id, q) => {
      const held = texts ? [texts[t].text[q], ...texts[t].options[q]] : [];
      return { t, q, hay: [id, task.strata[q], ...held].join("\n").toLowerCase() };
    }),
  );
  const closed = core.tasks.map((task) => {
    const arm = task.arms.indexOf("closed-book");
    const byModel = {};
    for (const cell of task.cells) if (cell.arm === arm) byModel[cell.model] = cell;
    return byModel;
  });

  // What an arm did to a question that was asked closed-book too: helped, hurt or nothing.
  function change(t, q, cell) {
    const before = closed[t][cell.model];
    if (!before || before === cell || cell.right[q] === null || before.right[q] === null) return "";
    if (cell.right[q] > before.right[q]) return "helped";
    return cell.right[q] < before.right[q] ? "hurt" : "";
  }

  const shows = {
    all: () => true,
    right: (t, q, cell) => cell.right[q] === 1,
    wrong: (t, q, cell) => cell.right[q] !== null && cell.right[q] < 1,
    helped: (t, q, cell) => change(t, q, cell) === "helped",
    hurt: (t, q, cell) => change(t, q, cell) === "hurt",
    tied: (t, q, cell) => cell.tied[q] === 1,
    unread: (t, q, cell) => unread(cell.outcome[q]),
    error: (t, q, cell) => cell.outcome[q] === "error",
  };

  // The cells of a task that the filters of model and arm let through.
  function cellsOf(t) {
    const task = core.tasks[t];
    const model = find("model").value;
    const arm = find("arm").value;
    return task.cells.filter(
      (cell) =>
        (model === "" || core.models[cell.model] === model) &&
        (arm === "" || task.arms[cell.arm] === arm),
    );
  }

  let found = [];
  let start = 0;

  function filter() {
    const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const task = find("task").value;
    const passes = shows[find("show").value];
    const cells = core.tasks.map((_, t) => cellsOf(t));
    found = questions.filter(
      ({ t, q, hay }) =>
        (task === "" || core.tasks[t].name === task) &&
        words.every((word) => hay.includes(word)) &&
        cells[t].some((cell) => passes(t, q, cell)),
    );
    start = 0;
    list();
  }

  function list() {
    const end = Math.min(start + PAGE, found.length);
    find("status").textContent = found.length
      ? `Questions ${start + 1} to ${end} of ${found.length} (${questions.length} in all)`
      : `No question passes the filters (${questions.length} in all)`;
    find("list").replaceChildren(
      ...found.slice(start, end).map(({ t, q }) => make("li", "", entry(t, q))),
    );
    find("previous").setAttribute("aria-disabled", String(start === 0));
    find("next").setAttribute("aria-disabled", String(end >= found.length));
  }

  function entry(t, q) {
    const task = core.tasks[t];
    const cells = cellsOf(t);
    const right = cells.filter((cell) => cell.right[q] === 1).length;
    const summary = make("summary", "", make("span", "id", task.ids[q]));
    const facts = [task.name, task.strata[q], task.graded ? "" : `${right} of ${cells.length} right`];
    summary.append(make("span", "soft", ` (${facts.filter(Boolean).join(", ")})`));
    if (texts) {
      const text = texts[t].text[q];
      summary.append(" ", text.length > 160 ? `${text.slice(0, 160)}\u2026` : text);
    }
    return folded(summary, () => [...asked(t, q), ...cells.map((cell) => answered(t, q, cell))]);
  }

  function asked(t, q) {
    const task = core.tasks[t];
    if (!texts && task.answer[q] < 0) return [];
    if (!texts) return [make("p", "", `Right option: ${letter(task.answer[q])}`)];
    const options = texts[t].options[q].map((option, index) =>
      make("li", "", option, ...(index === task.answer[q] ? [make("span", "good", " \u2713 right")] : [])),
    );
    const asks = make("p", "text", texts[t].text[q]);
    const reference = texts[t].references[q];
    if (reference) return [asks, make("p", "", "Reference:"), make("pre", "", reference)];
    return [asks, make("ol", "options", ...options)];
  }

  function verdict(cell, t, q) {
    if (cell.outcome[q] === "error") return make("span", "bad", "\u26a0 error");
    const grade = cell.right[q];
    if (core.tasks[t].graded) {
      const shown = grade === null ? "no value" : grade.toFixed(2);
      const outcome = unread(cell.outcome[q]) ? `, ${cell.outcome[q]}` : "";
      return make("span", "", `${core.tasks[t].metric} ${shown}${outcome}`);
    }
    const picked = cell.pick[q] === null ? "" : ` (${letter(cell.pick[q])}${cell.tied[q] ? ", a tie" : ""})`;
    const why = unread(cell.outcome[q]) ? `, ${cell.outcome[q]}` : "";
    if (cell.right[q] === 1) return make("span", "good", `\u2713 right${picked}${why}`);
    return make("span", "bad", `\u2717 wrong${picked}${why}`);
  }

  function answered(t, q, cell) {
    const task = core.tasks[t];
    const effect = change(t, q, cell);
    const summary = make("summary", "", `${core.models[cell.model]}, ${task.arms[cell.arm]}: `);
    summary.append(verdict(cell, t, q), effect ? `, ${effect}` : "");
    return folded(summary, () => [
      ...likelihoods(t, q, cell),
      ...written(t, q, cell),
      ...delivered(t, q, cell),
      ...prompted(t, q, cell),
    ]);
  }

  function likelihoods(t, q, cell) {
    const values = cell.likelihoods[q];
    if (!values) return [];
    const rows = values.map((value, index) => {
      const marks = [];
      if (index === cell.pick[q]) marks.push("picked");
      if (index === core.tasks[t].answer[q]) marks.push("right");
      const head = make("th", "", letter(index));
      head.scope = "row";
      const option = texts ? [make("td", "", texts[t].options[q][index] || "")] : [];
      const shown = value === null ? "-" : value.toFixed(3);
      return make("tr", "", head, ...option, make("td", "figure", shown), make("td", "", marks.join(", ")));
    });
    const table = make("table", "", make("caption", "", "Log-likelihood of each option"), make("tbody", "", ...rows));
    return [make("div", "scroll", table)];
  }

  function written(t, q, cell) {
    if (!texts) return [];
    const place = core.tasks[t].cells.indexOf(cell);
    const held = texts[t].cells[place];
    const parts = [];
    if (held.error[q]) parts.push(make("p", "", "Error:"), make("pre", "", held.error[q]));
    if (held.reasoning[q]) {
      const reasoning = held.reasoning[q];
      parts.push(folded(make("summary", "", "Reasoning"), () => [make("pre", "", reasoning)]));
    }
    if (typeof held.reply[q] === "string") parts.push(make("p", "", "Reply:"), make("pre", "", held.reply[q]));
    return parts;
  }

  function delivered(t, q, cell) {
    const task = core.tasks[t];
    const places = task.packed[cell.arm][q];
    if (!places.length && task.unknown.includes(cell.arm)) return [make("p", "soft", "The passages are not known.")];
    if (!places.length) return [make("p", "soft", "No passages were delivered.")];
    const stored = block("passages");
    const entries = places.map((place) => {
      const [docId, title, text] = (stored && stored[place]) || ["", "", ""];
      const id = core.passages[place];
      const gold = task.gold[q].includes(id) || task.gold[q].includes(docId);
      const label = make("span", "", make("span", "id", id), title ? ` ${title}` : "");
      if (gold) label.append(make("span", "good", " \u2605 gold"));
      if (!stored || !stored[place]) return make("li", "", label);
      return make("li", "", folded(make("summary", "", label), () => [make("p", "text", text)]));
    });
    return [make("p", "", `Passages delivered, in prompt order (${places.length}):`), make("ol", "", ...entries)];
  }

  function prompted(t, q, cell) {
    if (!find("data-prompts")) return [];
    const place = core.tasks[t].cells.indexOf(cell);
    return [
      folded(make("summary", "", "Prompt"), () => {
        const stored = block("prompts");
        const text = stored.texts[stored.tasks[t][place][q]];
        return [make("pre", "", text === undefined ? "(not asked)" : text)];
      }),
    ];
  }

  function choices(id, names) {
    const unique = [...new Set(names)];
    const all = make("option", "", `all (${unique.length})`);
    all.value = "";
    find(id).append(
      all,
      ...unique.map((name) => {
        const option = make("option", "", name);
        option.value = name;
        return option;
      }),
    );
  }

  function turn(step) {
    const next = start + step * PAGE;
    if (next < 0 || next >= found.length) return;
    start = next;
    list();
    find("status").scrollIntoView({ block: "start" });
  }

  choices("task", core.tasks.map((task) => task.name));
  choices("model", core.models);
  choices("arm", core.tasks.flatMap((task) => task.arms));
  for (const id of ["task", "model", "arm", "show"]) find(id).addEventListener("change", filter);
  let timer = 0;
  find("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(filter, 150);
  });
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  filter();
  find("browser").hidden = false;
})();
