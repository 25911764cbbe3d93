// The page itself: what all its scripts share, its groups, and print. The files are joined in the
// order of page.py into one module. What the run holds is untrusted: it enters the page as text
// nodes alone, never as markup.
const find = (id) => document.getElementById(id);
const blocks = {};

// A block of data, parsed when it is first needed; null where the page does not hold it.
function block(name) {
  if (!(name in blocks)) {
    const element = find(`data-${name}`);
    blocks[name] = element ? JSON.parse(element.textContent) : null;
  }
  return blocks[name];
}

// An element with children; strings become text nodes.
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
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

// Open what holds the target of a link, which the browser alone does not scroll to.
function unfold() {
  const target = find(location.hash.slice(1));
  if (!target) return;
  for (let held = target.closest("details"); held; held = held.parentElement.closest("details")) {
    held.open = true;
  }
  target.scrollIntoView();
}
addEventListener("hashchange", unfold);

const groups = [...document.querySelectorAll("details.group")];
const all = find("open-all");
all.hidden = false;
all.addEventListener("click", () => {
  const open = groups.some((group) => !group.open);
  for (const group of groups) group.open = open;
});
function name() {
  all.textContent = groups.every((group) => group.open) ? "Close all parts" : "Open all parts";
}
for (const group of groups) group.addEventListener("toggle", name);

// Print shows every group, as no reader can open one on paper.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")].filter((held) => !held.closest("#browser"));
  for (const group of closed) group.open = true;
});
addEventListener("afterprint", () => {
  for (const group of closed) group.open = false;
});
