// Connects to /events, keeps the newest events, and shows those that match the filters.

import { eventJson, eventNotes, jsonNodes, shortened, visible } from "./json.js";
import { drawPlot } from "./plot.js";
import { Table, isMarked } from "./table.js";

const KEPT = 500; // events in memory
const SUGGESTIONS = 50; // types and sources that the filters suggest
const RETRY_MS = 2000; // after an answer that is no stream; the browser itself retries a lost connection
const FILTERS = ["type", "source", "text"];

const $ = (id) => document.getElementById(id);
const table = new Table($("rows"), open);
const seen = { type: new Set(), source: new Set() };
let events = []; // oldest first
let waiting = []; // arrived while paused
let session = "", last = 0; // of the newest event
let counts = { total: 0, failed: 0, deadLetters: 0, rates: Array(60).fill(0), arrived: 0, sent: 0, seconds: 1 };
let pausedAt = null; // the total when the page was paused
let announced = 0;

// Assistive technology reads this text, so it changes rarely.
function announce(text) {
  $("status").textContent = text;
}

function show(id, isShown) {
  $(id).hidden = !isShown;
}

function setText(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function connection(state, text) {
  if ($("connection").dataset.state === state) return;
  $("connection").dataset.state = state;
  setText("connection-text", text);
  announce(text);
}

// ---- filters

function filter() {
  return Object.fromEntries(FILTERS.map((name) => [name, $(`filter-${name}`).value.trim().toLowerCase()]));
}

function matches(event, wanted) {
  const { attributes, data } = event;
  const includes = (text, part) => String(text ?? "").toLowerCase().includes(part);
  if (wanted.type && !includes(attributes.type, wanted.type)) return false;
  if (wanted.source && !includes(attributes.source, wanted.source)) return false;
  if ($("filter-marked").checked && !isMarked(event)) return false;
  if (!wanted.text) return true;
  return [...Object.values(attributes), event.problem, event.deadLetter, data?.text].some((text) =>
    includes(text, wanted.text));
}

function isFiltered() {
  return $("filter-marked").checked || Object.values(filter()).some(Boolean);
}

// A link keeps the filters.
function writeHash() {
  const pairs = Object.entries(filter()).filter(([, value]) => value).map(([name]) =>
    [name, $(`filter-${name}`).value.trim()]);
  if ($("filter-marked").checked) pairs.push(["problems", "1"]);
  const hash = new URLSearchParams(pairs).toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname);
}

function readHash() {
  const values = new URLSearchParams(location.hash.slice(1));
  for (const name of FILTERS) $(`filter-${name}`).value = values.get(name) ?? "";
  $("filter-marked").checked = values.has("problems");
}

function suggest(event) {
  for (const name of ["type", "source"]) {
    const value = event.attributes[name];
    if (!value || seen[name].has(value) || seen[name].size >= SUGGESTIONS) continue;
    seen[name].add(value);
    const option = document.createElement("option");
    option.value = shortened(value, 200);
    $(`${name}s`).append(option);
  }
}

function filtersChanged() {
  writeHash();
  redraw();
  announce(`${$("rows").rows.length} events match the filters`);
}

// ---- events

function redraw() {
  const wanted = filter();
  table.clear();
  table.add(events.filter((event) => matches(event, wanted)));
  settle();
}

function settle() {
  const rows = $("rows").rows.length;
  show("table", rows > 0);
  show("no-match", rows === 0 && events.length > 0);
  show("empty", rows === 0 && events.length === 0);
}

function take(fresh) {
  if (pausedAt !== null) {
    waiting = waiting.concat(fresh).slice(-KEPT);
    return;
  }
  events = events.concat(fresh).slice(-KEPT);
  const wanted = filter();
  table.add(fresh.filter((event) => matches(event, wanted)));
  settle();
}

// The events of one part of the stream are drawn together, at most once per frame.
let arrived = [];
function received(event) {
  if (event.n <= last) return; // it came again after a lost connection
  last = event.n;
  suggest(event);
  arrived.push(event);
  if (arrived.length === 1) {
    // A hidden page has no frames, and must not collect events.
    const draw = () => { if (arrived.length) take(arrived.splice(0)); };
    if (document.hidden) setTimeout(draw, 100);
    else requestAnimationFrame(draw);
  }
}

function drawCounts() {
  for (const [id, value] of [["total", counts.total], ["failed", counts.failed], ["dead-letters", counts.deadLetters]])
    setText(id, value.toLocaleString("en"));
  $("failed-box").classList.toggle("some", counts.failed > 0);
  $("dead-letters-box").classList.toggle("some", counts.deadLetters > 0);
  drawPlot($("plot"), $("rate-text"), counts.rates);
  drawNotice();
}

function drawNotice() {
  const number = (value) => value.toLocaleString("en");
  if (pausedAt !== null) {
    const more = Math.max(0, counts.total - pausedAt);
    setText("notice", `Paused. ${number(more)} new ${more === 1 ? "event" : "events"} since then.`);
  } else if (counts.sent < counts.arrived) {
    const [sent, all] = [counts.sent, counts.arrived].map((count) => Math.round(count / (counts.seconds || 1)));
    setText("notice", `Showing ${number(sent)} of ${number(all)} events per second: a sample. The counts are exact.`);
    if (performance.now() > announced) {
      announce($("notice").textContent);
      announced = performance.now() + 60_000;
    }
  }
  show("notice", pausedAt !== null || counts.sent < counts.arrived);
}

// ---- the panel with one event

let opened = null; // the button of the row

function open(event, button) {
  if (opened === button) return close();
  opened = button;
  table.select(button);
  setText("panel-title", shortened(event.attributes.type ?? "Not a CloudEvent", 200));
  $("notes").replaceChildren(...eventNotes(event).map(([kind, text]) => {
    const item = document.createElement("li");
    item.className = kind;
    item.textContent = visible(text);
    return item;
  }));
  show("json", !event.problem);
  $("json").replaceChildren(...(event.problem ? [] : jsonNodes(eventJson(event))));
  show("panel", true);
  $("panel").focus({ preventScroll: true });
}

function close() {
  const button = opened;
  opened = null;
  table.select(null);
  show("panel", false);
  if (button?.isConnected) button.focus();
  else $("pause").focus();
}

// ---- controls

function pause() {
  pausedAt = pausedAt === null ? counts.total : null;
  $("pause").setAttribute("aria-pressed", String(pausedAt !== null));
  setText("pause", pausedAt === null ? "Pause" : "Resume");
  if (pausedAt === null) take(waiting.splice(0));
  drawNotice();
  announce(pausedAt === null ? "Resumed" : "Paused");
}

function clear() {
  events = [];
  waiting = [];
  if (opened) close();
  redraw();
  announce("Cleared");
}

function clearFilters() {
  for (const name of FILTERS) $(`filter-${name}`).value = "";
  $("filter-marked").checked = false;
  filtersChanged();
  $("filter-type").focus();
}

let typing = 0;
$("filters").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(filtersChanged, 150);
});
$("filters").addEventListener("submit", (submit) => submit.preventDefault());
$("pause").addEventListener("click", pause);
$("clear").addEventListener("click", clear);
$("clear-filters").addEventListener("click", clearFilters);
$("close").addEventListener("click", close);
document.addEventListener("keydown", (key) => { if (key.key === "Escape" && opened) close(); });
addEventListener("hashchange", () => { readHash(); redraw(); });

// ---- the stream

function connect() {
  const stream = new EventSource("/events");
  stream.addEventListener("start", (message) => {
    const started = JSON.parse(message.data).session;
    if (session && session !== started) announce("The sink was restarted");
    if (session !== started) last = 0;
    session = started;
    connection("connected", "Connected");
  });
  stream.addEventListener("event", (message) => received(JSON.parse(message.data)));
  stream.addEventListener("counts", (message) => {
    const before = counts.total;
    counts = JSON.parse(message.data);
    if (pausedAt !== null && counts.total < before) pausedAt = 0; // a new process counts from 0
    drawCounts();
  });
  stream.addEventListener("error", () => {
    connection("lost", "Connection lost. Trying again");
    if (stream.readyState !== EventSource.CLOSED) return;
    stream.close();
    setTimeout(connect, RETRY_MS);
  });
}

setText("curl", [
  `curl ${location.origin}/ \\`,
  "  -H 'ce-specversion: 1.0' -H 'ce-id: 1' \\",
  "  -H 'ce-source: /my/laptop' -H 'ce-type: com.example.test' \\",
  "  -H 'Content-Type: application/json' \\",
  "  -d '{\"hello\": \"world\"}'",
].join("\n"));
readHash();
drawCounts();
connect();
