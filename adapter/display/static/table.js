// The rows of the table: the newest first, at most MOST_ROWS. Only text nodes hold text of events.

import { shortened } from "./json.js";

const MOST_ROWS = 200;
const CELL_LENGTH = 200; // characters; more is in the JSON view

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function isFailed(event) {
  return event.status === null || event.status < 200 || event.status > 299;
}

export function isMarked(event) {
  return isFailed(event) || Boolean(event.deadLetter);
}

function time(event) {
  const at = new Date(event.at);
  return at.toTimeString().slice(0, 8) + "." + String(at.getMilliseconds()).padStart(3, "0");
}

// The end of a long source names the object: /apis/v1/namespaces/default/samplesources/hello
function sourceText(source) {
  const text = source.replace(/^https?:\/\//, "");
  const parts = text.split("/");
  return text.length > 32 && parts.length > 4 ? "…/" + parts.slice(-2).join("/") : text;
}

function answerCell(event) {
  const cell = element("td", "", "answer");
  if (event.deadLetter) cell.append(element("span", "dead letter", "badge dead"), " ");
  if (event.status === null) cell.append(element("span", "no answer", "badge failed"));
  else cell.append(element("span", String(event.status), isFailed(event) ? "badge failed" : "ok"));
  return cell;
}

export class Table {
  // `onOpen` gets the event of a row that is pressed, and its button.
  constructor(body, onOpen) {
    this.body = body;
    this.onOpen = onOpen;
    body.addEventListener("click", (click) => this.#open(click.target.closest("tr")));
    body.addEventListener("keydown", (key) => this.#move(key));
    body.addEventListener("focusin", (focus) => this.#makeTabStop(focus.target));
  }

  // `events`: oldest first.
  add(events) {
    const rows = events.slice(-MOST_ROWS).reverse().map((event) => this.#row(event));
    this.body.prepend(...rows);
    while (this.body.rows.length > MOST_ROWS) this.#removeLast();
    if (!this.body.querySelector("button[tabindex='0']")) this.#makeTabStop(this.body.querySelector("button"));
  }

  clear() {
    this.body.replaceChildren();
  }

  select(button) {
    this.body.querySelector("button[aria-expanded='true']")?.setAttribute("aria-expanded", "false");
    button?.setAttribute("aria-expanded", "true");
  }

  #removeLast() {
    const last = this.body.lastElementChild;
    if (last.contains(document.activeElement)) last.previousElementSibling.querySelector("button").focus();
    last.remove();
  }

  #row(event) {
    const row = element("tr", "", isMarked(event) ? (isFailed(event) ? "failed" : "dead") : "");
    const button = element("button", time(event));
    button.type = "button";
    button.tabIndex = -1;
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-controls", "panel");
    const first = element("td", "", "time");
    first.append(button);
    const { type, source, subject, id } = event.attributes;
    const cells = [element("td", shortened(event.problem ? "not a CloudEvent" : type, CELL_LENGTH), "type")];
    if (event.problem) {
      const cell = element("td", shortened(event.problem, CELL_LENGTH), "subject");
      cell.colSpan = 2;
      cells.push(cell);
    } else {
      cells.push(element("td", shortened(sourceText(source), CELL_LENGTH), "source"),
        element("td", shortened(subject || id, CELL_LENGTH), subject ? "subject" : "subject id"));
    }
    row.append(first, ...cells, answerCell(event));
    row.shown = event;
    return row;
  }

  #open(row) {
    if (row?.shown) this.onOpen(row.shown, row.querySelector("button"));
  }

  #move(key) {
    const row = key.target.closest("tr");
    const to = {
      ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling,
      Home: this.body.firstElementChild, End: this.body.lastElementChild,
    }[key.key];
    if (!to) return;
    key.preventDefault();
    to.querySelector("button").focus();
  }

  // One button is in the tab order; the arrow keys reach the others.
  #makeTabStop(button) {
    if (button?.localName !== "button") return;
    for (const other of this.body.querySelectorAll("button[tabindex='0']")) other.tabIndex = -1;
    button.tabIndex = 0;
  }
}
