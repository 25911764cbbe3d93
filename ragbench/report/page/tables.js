// Tables that a reader can sort, filter and shorten; without scripts they show every row.
const AT_MOST = 20; // rows before "Show all"
const WORTH = 8; // rows from which a table has a filter

// The number that a cell starts with, such as 0.03 of "≤ 0.03" and 45 of "45.0 %"; else null.
function numberOf(text) {
  const found = text.replace(/,/g, "").match(/^[^\d+\-.]{0,2}([+\-]?\d+(?:\.\d+)?(?:e[+\-]?\d+)?)/);
  return found ? Number(found[1]) : null;
}

// The order of two cells; those without a value come last, whichever way the column is sorted.
function compare(one, other, way) {
  const blank = (text) => text === "" || text === "-";
  if (blank(one) || blank(other)) return blank(one) - blank(other);
  const [a, b] = [numberOf(one), numberOf(other)];
  if (a !== null && b !== null && a !== b) return way * (a - b);
  return way * one.localeCompare(other, "en", { numeric: true });
}

function enrich(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map((element, place) => ({
    element,
    place,
    cells: [...element.cells].map((cell) => cell.textContent),
    average: element.classList.contains("average"),
  }));
  const state = { all: false, averages: false, words: [], column: -1, way: 0 };

  function draw() {
    const passes = rows.filter(
      (row) =>
        (state.averages || !row.average) &&
        state.words.every((word) => row.cells.some((cell) => cell.toLowerCase().includes(word))),
    );
    const { column, way } = state;
    passes.sort((a, b) =>
      way ? compare(a.cells[column], b.cells[column], way) || a.place - b.place : a.place - b.place,
    );
    const shown = state.all ? passes : passes.slice(0, AT_MOST);
    body.replaceChildren(...shown.map((row) => row.element));
    if (!tools) return;
    const whole = rows.length > passes.length ? ` (${rows.length} in all)` : "";
    count.textContent = `${shown.length} of ${passes.length} rows${whole}`;
    more.hidden = passes.length <= AT_MOST;
    more.textContent = state.all ? `Show ${AT_MOST} rows` : `Show all ${passes.length} rows`;
  }

  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = make("button", "sort", head.textContent);
    button.type = "button";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      // Figures are sorted from the highest first; the third click restores the run's order.
      const first = head.classList.contains("figure") ? -1 : 1;
      const before = state.column === column ? state.way : 0;
      state.way = before === 0 ? first : before === first ? -first : 0;
      state.column = column;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      if (state.way) head.setAttribute("aria-sort", state.way > 0 ? "ascending" : "descending");
      draw();
    });
  });

  const averages = rows.some((row) => row.average);
  const tools = rows.length > WORTH || averages ? make("div", "tools") : null;
  const count = make("span", "soft");
  count.setAttribute("role", "status");
  const more = make("button", "more");
  more.type = "button";
  if (tools) {
    if (rows.length > WORTH) {
      const filter = make("input", "");
      filter.type = "search";
      filter.placeholder = "Filter rows";
      filter.setAttribute("aria-label", `Filter the rows of ${table.caption.textContent}`);
      filter.addEventListener("input", () => {
        state.words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
        draw();
      });
      tools.append(filter);
    }
    if (averages) {
      const box = make("input", "");
      box.type = "checkbox";
      box.addEventListener("change", () => {
        state.averages = box.checked;
        draw();
      });
      tools.append(make("label", "", box, " other averages"));
    }
    tools.append(count);
    table.parentElement.before(tools);
    table.parentElement.after(more);
    more.addEventListener("click", () => {
      state.all = !state.all;
      draw();
    });
  }

  // Paper has every row, and no order but the run's own filter.
  let before = null;
  addEventListener("beforeprint", () => {
    before = { ...state };
    Object.assign(state, { all: true, averages: true });
    draw();
  });
  addEventListener("afterprint", () => {
    Object.assign(state, before);
    draw();
  });
  draw();
}

for (const table of document.querySelectorAll("table.figures")) enrich(table);
