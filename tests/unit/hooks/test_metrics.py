"""/metrics of the hook: what is counted, and that no request makes a label."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from adapter.serving.health import metrics_page
from hooks.serving.health import pages
from hooks.serving.metrics import BUCKETS_S, OTHER, PATHS, REASONS, TLS, HookMetrics
from tests.unit.hooks.series import counted

ROOT = Path(__file__).resolve().parents[3]
requests = st.tuples(st.sampled_from(PATHS), st.sampled_from([200, 400, 422, 500, 503]), st.floats(0, 20))


@given(st.lists(requests, max_size=20), st.integers(0, 3))
def test_output_equals_that_of_the_prometheus_client(made: list[tuple[str, int, float]], problems: int) -> None:
    disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
    registry = CollectorRegistry()
    ours = HookMetrics(lambda: "x" * problems)
    by_code = Counter("sources_hook_requests", "Requests by path and status code", ["path", "code"], registry=registry)
    took = Histogram(
        "sources_hook_request_duration_seconds", "Time of one request", ["path"], buckets=BUCKETS_S, registry=registry
    )
    refused = Counter(
        "sources_hook_refused", "Refused requests and connections by reason", ["reason"], registry=registry
    )
    of_config = Gauge(
        "sources_hook_config_problems", "Files of the configuration that are invalid now", registry=registry
    )
    for path in PATHS:
        took.labels(path)
        for status in (200, 500) if path in ("/sync", "/customize") else ():
            by_code.labels(path, str(status))
    for reason in (*REASONS.values(), TLS):
        refused.labels(reason)
    for path, status, seconds in made:
        ours.count(path, status, seconds)
        by_code.labels(path, str(status)).inc()
        took.labels(path).observe(seconds)
        if status in REASONS:
            refused.labels(REASONS[status]).inc()
    of_config.set(problems)
    assert sorted(metrics_page(ours).body.splitlines()) == sorted(generate_latest(registry).splitlines())


def test_unknown_paths_are_one_series_without_a_duration() -> None:
    metrics = HookMetrics(tuple)
    for n in range(100):
        metrics.count(f"/attack/{n}", 404, 0.1)
    assert counted(metrics, "sources_hook_requests_total") == {f'code="404",path="{OTHER}"': 100}
    assert counted(metrics, "sources_hook_request_duration_seconds_count") == {}


def test_each_refusal_of_the_code_has_a_reason() -> None:
    """The statuses that the connections and the hook answer, as their code writes them."""
    files = [*(ROOT / "adapter/serving").glob("*.py"), *(ROOT / "hooks").rglob("*.py")]
    calls = [node for file in files for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("Refusal", "_json")]
    statuses = {call.args[0].value for call in named if call.args and isinstance(call.args[0], ast.Constant)}
    assert statuses >= {400, 408, 413, 422, 431, 503}
    assert {status for status in statuses if isinstance(status, int) and status >= 400} - {500} <= set(REASONS)


def test_metrics_page_shows_the_problems_that_exist_now() -> None:
    problems: list[str] = []
    metrics = HookMetrics(lambda: problems)
    served = pages(lambda: problems, metrics)["/metrics"]
    assert b"\nsources_hook_config_problems 0.0\n" in served().body
    problems.append("config-logging: …")
    assert b"\nsources_hook_config_problems 1.0\n" in served().body
    assert served().headers["Content-Type"].startswith("text/plain; version=1.0.0")


def test_prometheus_client_is_imported_at_the_first_scrape_of_the_hook() -> None:
    code = "import sys, hooks.app, hooks.serving.server; from hooks.serving.health import pages; "
    code += "from hooks.serving.metrics import HookMetrics; m = HookMetrics(tuple); m.count('/sync', 200, 1); "
    code += "p = pages(tuple, m)['/metrics']; "
    code += "print('prometheus_client' in sys.modules, p().status, 'prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False 200 True\n"
