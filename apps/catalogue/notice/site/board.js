// Shows data/notices.txt as a board, and looks every minute whether it changed.
// The text is put on the page as text, never as HTML.
"use strict";

const source = "data/notices.txt";
const again = 60_000; // milliseconds
const largest = 500; // notices shown

// A file is "# Title", an introduction, and for each notice "## Heading", a line
// "2026-05-06 to 2026-05-20 · who", of which each part may be missing, and text.
function parse(text) {
  const [head, ...rest] = ("\n" + text.replace(/\r\n?/g, "\n")).split(/\n##[ \t]+/);
  const title = /\n#[ \t]+(.*)/.exec(head);
  const intro = title ? head.slice(title.index + title[0].length) : head;
  return {
    title: title ? title[1].trim() : "Notice board",
    intro: paragraphs(intro),
    notices: rest.slice(0, largest).map(parseNotice),
  };
}

function parseNotice(text) {
  const [heading, ...lines] = text.split("\n");
  const about = /^(\d{4}-\d\d-\d\d)(?:[ \t]+to[ \t]+(\d{4}-\d\d-\d\d))?[ \t]*(?:·[ \t]*(.*))?$/.exec((lines[0] || "").trim());
  const body = about ? lines.slice(1) : lines;
  return {
    heading: heading.trim(),
    date: about ? about[1] : "",
    until: (about && about[2]) || "",
    who: (about && about[3]) || "",
    body: paragraphs(body.join("\n")),
  };
}

function paragraphs(text) {
  return text.split(/\n[ \t]*\n/).map((p) => p.trim()).filter((p) => p !== "");
}

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// linked makes the web addresses in a text into links, and nothing else.
function linked(text) {
  return text.split(/(https?:\/\/[^\s<>"]*[^\s<>".,;:!?)])/).map((part, i) =>
    i % 2 === 1 ? element("a", { href: part, rel: "noopener noreferrer" }, part) : part);
}

function show(notice) {
  const about = [];
  if (notice.date !== "") about.push(element("time", { datetime: notice.date }, notice.date));
  if (notice.until !== "") about.push(element("span", {}, "until ", element("time", { datetime: notice.until }, notice.until)));
  if (notice.who !== "") about.push(element("span", {}, notice.who));
  return element("article", {},
    element("h2", { dir: "auto" }, notice.heading),
    ...(about.length === 0 ? [] : [element("p", { class: "about" }, ...about)]),
    ...notice.body.map((p) => element("p", { dir: "auto" }, ...linked(p))));
}

function draw(board) {
  const today = localDate(new Date());
  const newestFirst = [...board.notices].sort((a, b) => b.date.localeCompare(a.date));
  const over = newestFirst.filter((n) => n.until !== "" && n.until < today);
  const current = newestFirst.filter((n) => !over.includes(n));
  document.title = board.title;
  const parts = [
    element("header", {}, element("h1", {}, board.title), ...board.intro.map((p) => element("p", { class: "intro" }, ...linked(p)))),
    ...(current.length > 0 ? current.map(show) : [element("p", {}, "Nothing on the board just now.")]),
  ];
  if (over.length > 0) {
    parts.push(element("details", {}, element("summary", {}, `Over (${over.length})`), ...over.map(show)));
  }
  document.getElementById("board").replaceChildren(...parts, note);
}

function localDate(at) {
  return [at.getFullYear(), at.getMonth() + 1, at.getDate()].map((n) => String(n).padStart(2, "0")).join("-");
}

const note = document.getElementById("state");
let shown = null;

// load redraws only what changed, so that a reader's place on the page is kept.
async function load() {
  try {
    const answer = await fetch(source, { cache: "no-cache", signal: AbortSignal.timeout(20_000) });
    if (!answer.ok) throw new Error(`the answer was ${answer.status}`);
    const text = await answer.text();
    if (text !== shown) draw(parse(text));
    shown = text;
    note.textContent = "";
  } catch (err) {
    note.textContent = shown === null
      ? `The notices could not be loaded (${err.message}). Trying again in a minute.`
      : "These notices may not be the newest: the board cannot be reached just now.";
  }
}

load();
setInterval(() => { if (!document.hidden) load(); }, again);
document.addEventListener("visibilitychange", () => { if (!document.hidden) load(); });
