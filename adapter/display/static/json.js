// Text of events: safe to show, and JSON as it was sent, with line breaks. It makes text only, never HTML.

const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]/gu;
const LONGEST_INDENT = 40; // levels; deeper ones are not indented further
const KEY_LINES = 500; // lines whose keys are coloured

// Control characters, characters that change the direction of the text, and invisible ones become \u escapes.
export function visible(text) {
  return String(text).replace(INVISIBLE, (found) =>
    [...Array(found.length).keys()].map((i) => "\\u" + found.charCodeAt(i).toString(16).padStart(4, "0")).join(""));
}

export function shortened(text, length) {
  const shown = visible(String(text).slice(0, length));
  return String(text).length > length ? shown + "…" : shown;
}

// JSON text with line breaks. JSON.parse would change numbers, and fail on data that was cut.
function pretty(text, indent) {
  const out = [];
  let depth = indent;
  const line = () => "\n" + "  ".repeat(Math.max(0, Math.min(depth, LONGEST_INDENT)));
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^\s"{}[\],:]+/gs)) {
    const last = out.at(-1);
    if (token === "{" || token === "[") {
      out.push(token);
      depth += 1;
      out.push(line());
    } else if (token === "}" || token === "]") {
      depth -= 1;
      if (last?.startsWith("\n") && "{[".includes(out.at(-2))) out.pop(); // an empty object or list
      else out.push(line());
      out.push(token);
    } else if (token === ",") {
      out.push(token, line());
    } else {
      out.push(token === ":" ? ": " : visible(token));
    }
  }
  return out.join("");
}

// The event in CloudEvents' JSON format. Values of attributes may be cut.
export function eventJson(event) {
  const members = Object.entries(event.attributes).map(([name, value]) =>
    [name, typeof value === "string" ? visible(JSON.stringify(value)) : String(value)]);
  const data = event.data;
  if (data && data.kind === "base64") members.push(["data_base64", JSON.stringify(data.text)]);
  else if (data && data.kind === "json") members.push(["data", pretty(data.text, 1)]);
  else if (data) members.push(["data", visible(JSON.stringify(data.text))]);
  return "{\n" + members.map(([name, text]) => `  ${visible(JSON.stringify(name))}: ${text}`).join(",\n") + "\n}";
}

// What a person must know about the event: one sentence each.
export function eventNotes(event) {
  const notes = [];
  if (event.deadLetter) notes.push(["dead", `Dead letter. ${event.deadLetter}`]);
  if (event.problem) notes.push(["failed", `Not a CloudEvent, answered ${event.status}: ${event.problem}`]);
  else if (event.status === null) notes.push(["failed", "This sink gave no answer."]);
  else if (event.status < 200 || event.status > 299) notes.push(["failed", `This sink answered ${event.status}.`]);
  for (const [name, length] of Object.entries(event.cut))
    notes.push(["", `${name} is cut: its length is ${length.toLocaleString("en")} characters.`]);
  if (event.leftOut) notes.push(["", `${event.leftOut} more attributes are left out.`]);
  if (event.data?.kind === "base64") notes.push(["", "The data is not text. It is shown as base64."]);
  if (event.data && event.data.shown < event.data.size) {
    const [shown, size] = [event.data.shown, event.data.size].map((n) => n.toLocaleString("en"));
    notes.push(["", `The data is cut: the first ${shown} of ${size} bytes are shown.`]);
  }
  return notes;
}

// Text nodes, with the keys of the first lines in elements of their own.
export function jsonNodes(text) {
  const nodes = [];
  const lines = text.split("\n");
  for (const line of lines.slice(0, KEY_LINES)) {
    const key = /^(\s*)("(?:[^"\\]|\\.)*")(?=: )/.exec(line);
    if (key) {
      const span = document.createElement("span");
      span.className = "key";
      span.textContent = key[2];
      nodes.push(document.createTextNode(key[1]), span);
    }
    nodes.push(document.createTextNode(line.slice(key ? key[0].length : 0) + "\n"));
  }
  nodes.push(document.createTextNode(lines.slice(KEY_LINES).join("\n")));
  return nodes;
}
