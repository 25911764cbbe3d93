// The browser of questions: filters, a list that draws only the rows in view, and one question.
const ROW_PX = 80;
const SPARE = 6; // rows drawn beyond each end of the view

function browse() {
  const core = block("core");
  const texts = block("texts");

  // Every question once, with what the search looks through.
  const questions = core.tasks.flatMap((task, t) =>
    task.ids.map((id, q) => {
      const held = texts ? [texts[t].text[q], ...texts[t].options[q]] : [];
      return { t, q, hay: [id, task.strata[q], ...held].join("\n").toLowerCase() };
    }),
  );
  const closedBook = core.tasks.map((task) => {
    const arm = task.arms.indexOf("closed-book");
    const byModel = {};
    for (const cell of task.cells) if (cell.arm === arm) byModel[cell.model] = cell;
    return byModel;
  });

  // What an arm did to a question that was asked closed-book too: helped, hurt or nothing.
  function change(t, q, cell) {
    const before = closedBook[t][cell.model];
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

  // The cells of each task that the filters of model and arm let through.
  let cells = [];
  let found = [];
  let chosen = -1; // place in `found` of the question that is open

  function filter() {
    const words = find("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const [task, model, arm] = ["task", "model", "arm"].map((id) => find(id).value);
    const passes = shows[find("show").value];
    cells = core.tasks.map((known) =>
      known.cells.filter(
        (cell) =>
          (model === "" || core.models[cell.model] === model) && (arm === "" || known.arms[cell.arm] === arm),
      ),
    );
    found = questions.filter(
      ({ t, q, hay }) =>
        (task === "" || core.tasks[t].name === task) &&
        words.every((word) => hay.includes(word)) &&
        cells[t].some((cell) => passes(t, q, cell)),
    );
    find("status").textContent = found.length
      ? `${found.length} of ${questions.length} questions`
      : `No question passes the filters (${questions.length} in all)`;
    find("list").parentElement.hidden = !found.length;
    find("rows").style.height = `${found.length * ROW_PX}px`;
    find("list").scrollTop = 0;
    open(found.length ? 0 : -1);
  }

  // Draw the rows in view; all others are room alone.
  function draw() {
    const box = find("list");
    const first = Math.max(0, Math.floor(box.scrollTop / ROW_PX) - SPARE);
    const last = Math.min(found.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW_PX) + SPARE);
    const rows = [];
    for (let place = first; place < last; place++) rows.push(row(place));
    find("rows").replaceChildren(...rows);
    if (chosen >= first && chosen < last) box.setAttribute("aria-activedescendant", `row-${chosen}`);
    else box.removeAttribute("aria-activedescendant");
  }

  function row(place) {
    const { t, q } = found[place];
    const task = core.tasks[t];
    const right = cells[t].filter((cell) => cell.right[q] === 1).length;
    const score = task.graded ? "" : `${right} of ${cells[t].length} right`;
    const said = texts ? texts[t].text[q].slice(0, 300) : task.ids[q];
    const below = [score, task.name, texts ? task.ids[q] : ""].filter(Boolean).join(" \u00b7 ");
    const element = make("div", "entry", make("span", "", said), make("span", "soft", below));
    element.id = `row-${place}`;
    element.setAttribute("role", "option");
    element.setAttribute("aria-selected", String(place === chosen));
    element.setAttribute("aria-posinset", String(place + 1));
    element.setAttribute("aria-setsize", String(found.length));
    element.style.top = `${place * ROW_PX}px`;
    element.addEventListener("click", () => open(place));
    return element;
  }

  // Open a question by its place in the list, and keep its row in view.
  function open(place) {
    chosen = place;
    const box = find("list");
    if (place >= 0) {
      const top = place * ROW_PX;
      const lowest = top + ROW_PX - box.clientHeight;
      if (box.scrollTop > top) box.scrollTop = top;
      else if (box.scrollTop < lowest) box.scrollTop = lowest;
    }
    draw();
    find("question").replaceChildren(...(place < 0 ? [] : page(place)));
  }

  function page(place) {
    const { t, q } = found[place];
    const task = core.tasks[t];
    const turn = (name, step) => {
      const button = make("button", "", name);
      button.type = "button";
      button.disabled = place + step < 0 || place + step >= found.length;
      button.addEventListener("click", () => {
        open(place + step);
        find("question").focus({ preventScroll: true });
      });
      return button;
    };
    const head = make("header", "", make("h3", "id", task.ids[q]));
    head.append(make("p", "soft", [task.name, task.strata[q]].filter(Boolean).join(" \u00b7 ")));
    head.append(make("p", "pager", turn("Previous", -1), turn("Next", 1)));
    const answers = cells[t].map((cell) => answered(core, texts, t, q, cell, change(t, q, cell)));
    const arms = [...new Set(cells[t].map((cell) => cell.arm))]
      .flatMap((arm) => deliveries(core, task, arm, q))
      .filter(({ arm, places }) => places.length || task.unknown.includes(arm));
    const parts = [head, ...asked(core, texts, t, q), make("h4", "", "Answers"), make("div", "cells", ...answers)];
    if (arms.length) {
      parts.push(make("h4", "", "Passages in the order of the prompt"));
      if (texts && block("passages")) parts.push(make("p", "soft", legend(task, t, q)));
      parts.push(make("div", "arms", ...arms.map((arm) => delivered(core, texts, t, q, arm))));
    }
    return parts;
  }

  function legend(task, t, q) {
    const query = texts[t].queries[q];
    const words = make("span", "", make("mark", "", "Words of the query"));
    words.append(query ? ` \u201c${query}\u201d are marked` : ", which is the question, are marked");
    if (task.answer[q] >= 0) words.append(", the ", make("mark", "answer", "right answer"), " is underlined");
    words.append("; \u2605 is a gold passage.");
    return words;
  }

  function choices(id, names) {
    const unique = [...new Set(names)];
    const every = make("option", "", `all (${unique.length})`);
    every.value = "";
    const options = unique.map((name) => {
      const option = make("option", "", name);
      option.value = name;
      return option;
    });
    find(id).replaceChildren(every, ...options);
  }

  const steps = {
    ArrowDown: (page) => 1,
    ArrowUp: (page) => -1,
    PageDown: (page) => page,
    PageUp: (page) => -page,
    Home: () => -Infinity,
    End: () => Infinity,
  };
  find("list").addEventListener("keydown", (event) => {
    if (event.key === "Enter") find("question").focus();
    if (!(event.key in steps) || !found.length) return;
    event.preventDefault();
    const step = steps[event.key](Math.max(1, Math.floor(find("list").clientHeight / ROW_PX) - 1));
    open(Math.min(found.length - 1, Math.max(0, chosen + step)));
  });
  let drawing = 0;
  find("list").addEventListener("scroll", () => {
    cancelAnimationFrame(drawing);
    drawing = requestAnimationFrame(draw);
  });
  addEventListener("resize", draw);
  let timer = 0;
  find("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(filter, 150);
  });
  for (const id of ["task", "model", "arm", "show"]) find(id).addEventListener("change", filter);
  choices("task", core.tasks.map((task) => task.name));
  choices("model", core.models);
  choices("arm", core.tasks.flatMap((task) => task.arms));
  find("browser").hidden = false;
  filter();
}

// The questions are read when their group is first opened, so that the page opens at once.
if (find("data-core")) {
  const group = find("questions");
  const start = () => {
    if (group.open && find("browser").hidden) browse();
  };
  group.addEventListener("toggle", start);
  start();
}
unfold();
