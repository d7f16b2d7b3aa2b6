"""Draws the panels of the Grafana dashboard as docs/dashboard.svg, from a Prometheus that reads real processes.

Three adapters and a hook run for some minutes. The sink of all is slow and fails for a while; so does the upstream of
the poller. The panels that need kube-state-metrics are left out, because no cluster runs. Needs ``apt-get install
prometheus``.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# The imports below need this line: a script has only its own folder on sys.path.
sys.path.insert(0, str(ROOT))

from metacontroller.generate.dashboard import dashboard  # noqa: E402 -- after sys.path is set
from tests.process.harness import Adapter, Start, processes, running_hook  # noqa: E402 -- after sys.path is set
from tests.process.prometheus import Pod, Prometheus  # noqa: E402 -- after sys.path is set
from tests.process.upstream import Answer, Upstream  # noqa: E402 -- after sys.path is set

RUN_S, STEP_S = 180, 3
OUTAGE_S = (70, 110)  # of the sink and of the upstream, after the start
COLORS = ("#3274d9", "#56a64b", "#e0b400", "#e02f44", "#8f3bb8", "#ff780a", "#0a8f98")
REQUEST = (ROOT / "tests/contract/sync-request.json").read_bytes()
W, H, GAP = 392, 168, 12


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        began = time.monotonic()

        def fails() -> bool:
            return OUTAGE_S[0] < time.monotonic() - began < OUTAGE_S[1]

        start = stack.enter_context(processes())
        sink = stack.enter_context(slow_sink(fails))
        upstream = stack.enter_context(
            Upstream(lambda _, n: Answer(status=500) if fails() else Answer([{"id": str(k)} for k in range(n, n + 3)]))
        )
        hook = stack.enter_context(running_hook())
        pods = [*adapters(start, sink, upstream.url, Path(directory))]
        port = hook.process.wait_for_log("listening")["health_port"]
        pods.append(Pod("hook-0", "sample-source", {"app.kubernetes.io/name": "sources-hook"}, port))
        prometheus = Prometheus(Path(directory), pods)
        stack.callback(prometheus.stop, 9)
        while time.monotonic() - began < RUN_S:
            body = REQUEST if random.random() < 0.97 else b"{}"
            hook.call("/sync?types=dev.knative.sample" if random.random() < 0.7 else "/customize", body)
            time.sleep(random.expovariate(20))
        (ROOT / "docs/dashboard.svg").write_text(picture(prometheus.url))


def adapters(start: Start, sink: str, upstream: str, directory: Path) -> Iterator[Pod]:
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "heartbeat": ("SampleSource", {}),
        "report": ("SampleSource", {}),
        "orders": ("PollSource", {"url": upstream, "start": "earliest"}),
    }
    for number, (name, (kind, config)) in enumerate(kinds.items()):
        own = {"NAMESPACE": "shop", "NAME": name, "SOURCE_KIND": kind, "SOURCE_CONFIG": json.dumps(config)}
        stored = {"CHECKPOINT_URL": directory.as_uri()} if name == "orders" else {}
        adapter = Adapter(start, sink, f"{150 * (number + 1)}ms", **own, **stored)
        labels = {"knative-eventing-source": "x", "knative-eventing-source-name": name}
        yield Pod(f"{name}-0", "shop", labels, adapter.port)


@contextmanager
def slow_sink(fails: Any) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(random.expovariate(30))
            self.send_response(503 if fails() else 202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def picture(url: str) -> str:
    drawn, row, place, top = [""], "", 0, 0
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            top += (H + GAP) * (place % 3 > 0)
            drawn.append(f'<text x="{GAP}" y="{top + 26}" class="row">{escape(panel["title"])}</text>')
            row, place, top = panel["title"], 0, top + 36
        elif "kube_" not in panel["targets"][0]["expr"]:
            series = [one for target in panel["targets"] for one in query_range(url, target)]
            x, place = GAP + place % 3 * (W + GAP), place + 1
            drawn.append(f'<g transform="translate({x},{top})">{"".join(shapes(panel, series))}</g>')
            top += (H + GAP) * (place % 3 == 0)
    assert row == "Hook"
    width, height = 3 * (W + GAP) + GAP, top + (H + GAP) * (place % 3 > 0)
    style = "text{font:11px sans-serif;fill:#333}.title{font-weight:bold;font-size:12px}.row{font-size:16px}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"><style>{style}</style>'
        f'<rect width="{width}" height="{height}" fill="#f4f5f5"/>{"".join(drawn)}</svg>\n'
    )


def query_range(url: str, target: Any) -> list[tuple[str, list[tuple[float, float]]]]:
    """Legend and points (seconds after the first, value) of each series."""
    now = time.time()
    expr = target["expr"].replace("$__rate_interval", "15s")
    for name in ("$namespace", "$kind", "$name"):
        expr = expr.replace(name, ".*")
    asked = {"query": expr, "start": now - RUN_S + 10, "end": now, "step": STEP_S}
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{urllib.parse.urlencode(asked)}") as response:
        found = json.loads(response.read())["data"]["result"]
    series = []
    for one in found:
        legend = target["legendFormat"]
        for label, value in one["metric"].items():
            legend = legend.replace(f"{{{{{label}}}}}", value)
        series.append((legend, [(at - asked["start"], float(value)) for at, value in one["values"] if value != "NaN"]))
    return series


def shapes(panel: Any, series: Any) -> Iterator[str]:
    yield f'<rect width="{W}" height="{H}" rx="3" fill="#fff" stroke="#ddd"/>'
    yield f'<text x="8" y="17" class="title">{escape(panel["title"])}</text>'
    points = [value for _, values in series for _, value in values]
    if not points:
        yield f'<text x="{W // 2 - 25}" y="{H // 2}">No data</text>'
    elif panel["type"] == "stat":
        yield f'<text x="{W // 2 - 15}" y="{H // 2 + 20}" style="font-size:48px">{series[0][1][-1][1]:g}</text>'
    elif panel["type"] == "heatmap":
        yield from heatmap(series)
    else:
        yield from lines(series, max(points), panel["fieldConfig"]["defaults"]["unit"])


def lines(series: Any, most: float, unit: str) -> Iterator[str]:
    left, top, right, bottom = 48, 28, W - 8, H - 32
    suffix = {"s": " s", "ops": "/s", "reqps": "/s"}.get(unit, "")
    for part in (0, 0.5, 1):
        y = bottom - part * (bottom - top)
        yield f'<path d="M{left} {y:.0f}H{right}" stroke="#eee"/>'
        yield f'<text x="4" y="{y + 4:.0f}">{part * most:.3g}{suffix}</text>'
    for number, (_, values) in enumerate(series):
        path, last = [], None
        for at, value in values:
            x, y = left + at / RUN_S * (right - left), bottom - (value / most if most else 0) * (bottom - top)
            path.append(f"{'M' if last is None or at - last > STEP_S * 1.5 else 'L'}{x:.0f} {y:.1f}")
            last = at
        yield f'<path d="{"".join(path)}" fill="none" stroke="{COLORS[number % len(COLORS)]}" stroke-width="1.5"/>'
    x = 8.0
    for number, (legend, _) in enumerate(series):
        if x + 13 + 4.8 * len(legend) > W:
            break  # no room for this legend
        yield f'<rect x="{x:.0f}" y="{H - 16}" width="10" height="3" fill="{COLORS[number % len(COLORS)]}"/>'
        yield f'<text x="{x + 13:.0f}" y="{H - 11}" style="font-size:9px">{escape(legend)}</text>'
        x += 20 + 4.8 * len(legend)


def heatmap(series: Any) -> Iterator[str]:
    """``series``: cumulative buckets. A cell is darker the more attempts of that moment are in its bucket."""
    left, top, bottom = 48, 28, H - 12
    rows = sorted(((float(legend), dict(values)) for legend, values in series), key=lambda row: row[0])
    times = sorted({at for _, values in rows for at in values})
    height, width = (bottom - top) / len(rows), (W - 8 - left) / RUN_S * STEP_S
    for number, (bound, values) in enumerate(rows):
        y = bottom - (number + 1) * height
        if number % 3 == 0:
            yield f'<text x="4" y="{y + height:.0f}">{bound:g} s</text>'
        below = rows[number - 1][1] if number else {}
        for at in times:
            share = (values.get(at, 0) - below.get(at, 0)) / max(rows[-1][1].get(at, 0), 1e-9)
            if share > 0.005:
                x = left + at / RUN_S * (W - 8 - left)
                yield (
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="#c4162a" '
                    f'opacity="{min(1, share + 0.1):.1f}"/>'
                )


if __name__ == "__main__":
    main()
