// Search, the menu of narrow windows, and where the reader is. Without this script the book can still be read.
"use strict";

const side = document.getElementById("side");
const field = document.getElementById("search");
const found = document.getElementById("found");
const course = document.getElementById("course");

const plain = (text) => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "");
const ENTRIES = (window.BOOK || []).map(([file, page, anchor, title, words]) => ({
  file, page, anchor, title, words, inTitle: plain(title + " " + page), inWords: plain(words),
}));

function score(entry, terms) {
  let total = 0;
  for (const term of terms) {
    const inTitle = entry.inTitle.includes(term), times = entry.inWords.split(term).length - 1;
    if (!inTitle && !times) return 0;
    total += (inTitle ? 20 : 0) + Math.min(times, 10);
  }
  return total;
}

const cut = (text) => text.length > 130 ? text.slice(0, text.lastIndexOf(" ", 130)) + " …" : text;

function snippet(entry, terms) {
  const at = Math.min(...terms.map((term) => entry.inWords.indexOf(term)).filter((place) => place >= 0));
  if (!Number.isFinite(at)) return cut(entry.words);
  const start = Math.max(0, entry.words.lastIndexOf(" ", Math.max(0, at - 40)));
  return (start ? "… " : "") + cut(entry.words.slice(start).trim());
}

function marked(text, terms) {
  const made = document.createElement("p");
  const pattern = new RegExp("(" + terms.map((t) => t.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|") + ")", "gi");
  text.split(pattern).forEach((piece, i) => {
    made.append(i % 2 ? Object.assign(document.createElement("mark"), { textContent: piece }) : piece);
  });
  return made;
}

function search() {
  const terms = plain(field.value).split(/\s+/).filter(Boolean);
  found.replaceChildren();
  course.hidden = terms.length > 0;
  if (!terms.length) return;
  const hits = ENTRIES.map((entry) => [score(entry, terms), entry]).filter(([points]) => points);
  hits.sort((a, b) => b[0] - a[0]);
  const count = document.createElement("p");
  count.textContent = hits.length ? `${hits.length} ${hits.length === 1 ? "section" : "sections"}` : "Nothing found";
  const list = document.createElement("ol");
  for (const [, entry] of hits.slice(0, 20)) {
    const link = document.createElement("a");
    link.href = `${entry.file}#${entry.anchor}`;
    link.textContent = entry.title;
    const where = Object.assign(document.createElement("span"), { className: "soft", textContent: entry.page });
    const item = document.createElement("li");
    item.append(link, ...(entry.page === entry.title ? [] : [where]), marked(snippet(entry, terms), terms));
    list.append(item);
  }
  found.append(count, list);
}

field.form.hidden = false;
field.addEventListener("input", search);
field.form.addEventListener("submit", (event) => {
  event.preventDefault();
  const first = found.querySelector("a");
  if (first) first.click();
});
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    open(true);
    field.focus();
  } else if (event.key === "Escape" && side.contains(event.target)) {
    field.value = "";
    search();
    open(false);
  } else if (/^Arrow(Up|Down)$/.test(event.key) && (event.target === field || found.contains(event.target))) {
    const stops = [field, ...found.querySelectorAll("a")];
    const to = stops[stops.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)];
    if (to) {
      event.preventDefault();
      to.focus();
    }
  }
});

const menu = document.getElementById("menu");
const narrow = window.matchMedia("(max-width: 62rem)");
function open(wanted) {
  side.classList.toggle("closed", narrow.matches && !wanted);
  menu.setAttribute("aria-expanded", String(narrow.matches && wanted));
}
menu.hidden = false;
menu.addEventListener("click", () => open(side.classList.contains("closed")));
side.addEventListener("click", (event) => event.target.closest("a") && open(false));
narrow.addEventListener("change", () => open(false));
open(false);

// The section that is read, marked in the sidebar.
const links = new Map([...document.querySelectorAll(".sections a")].map((link) => [
  document.getElementById(decodeURIComponent(link.hash.slice(1))), link,
]));
function follow() {
  let here = null;
  for (const [heading, link] of links) {
    link.removeAttribute("aria-current");
    if (heading && heading.getBoundingClientRect().top < 120) here = link;
  }
  if (!here) return;
  here.setAttribute("aria-current", "true");
  const [box, at] = [side.getBoundingClientRect(), here.getBoundingClientRect()];
  if (!narrow.matches && (at.top < box.top || at.bottom > box.bottom)) here.scrollIntoView({ block: "center" });
}
let waiting = false;
document.addEventListener("scroll", () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; follow(); });
}, { passive: true });
follow();

// A still frame grows to the whole column, and back.
for (const picture of document.querySelectorAll(".stills img")) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "frame" });
  picture.replaceWith(button);
  button.append(picture);
  const grow = (large) => {
    button.closest("figure").classList.toggle("large", large);
    button.setAttribute("aria-expanded", String(large));
    button.title = large ? "Smaller" : "Larger";
  };
  button.addEventListener("click", () => grow(button.getAttribute("aria-expanded") === "false"));
  grow(false);
}

// What scrolls sideways must be reachable without a mouse.
for (const box of document.querySelectorAll("main pre, .formula, .table")) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
}
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("main details")) fold.open = true;
});
