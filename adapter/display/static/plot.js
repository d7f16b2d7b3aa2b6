// The rate of the last minute: one bar per second, and the same in words.

const WIDTH = 240, HEIGHT = 40;

export function drawPlot(svg, words, rates) {
  const highest = Math.max(...rates, 0), now = rates.at(-1) ?? 0;
  const scale = (HEIGHT - 2) / Math.max(highest, 5); // so that one event per second is a small bar
  const step = WIDTH / rates.length;
  const bars = rates.map((rate, index) => {
    const height = rate ? Math.max(rate * scale, 2) : 0.5;
    return `M${(index * step + 0.5).toFixed(1)} ${HEIGHT}v-${height.toFixed(1)}h${(step - 1).toFixed(1)}V${HEIGHT}z`;
  });
  const path = svg.firstElementChild ?? svg.appendChild(document.createElementNS(svg.namespaceURI, "path"));
  path.setAttribute("d", bars.join(""));
  const count = (n) => n.toLocaleString("en");
  const text = `now ${count(now)}, highest ${count(highest)}`;
  if (words.textContent !== text) words.textContent = text;
  const sum = rates.reduce((a, b) => a + b, 0);
  svg.setAttribute("aria-label", sum ? `${count(sum)} events in the last minute; per second: ${text}`
    : "No events in the last minute");
}
