"""Alerts, dashboard and scrape jobs are valid, agree with each other, and use only metrics that exist."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter.observe.metrics import Metrics
from adapter.serving.health import metrics_page
from hooks.serving.metrics import PATHS, REASONS, TLS, HookMetrics
from metacontroller.generate.dashboard import dashboard
from metacontroller.generate.objects import hook, monitoring
from metacontroller.generate.tree import documents
from metacontroller.generate.values import with_values
from sources_cli.kind import Kind, kinds_in
from sources_cli.schema.crd import crd
from tests.pages import ROOT, page, page_names, rows, section
from tests.process.kinds.servers import program
from tests.process.prometheus import MONITORING, configuration

OTHERS = {  # metrics of Prometheus and of kube-state-metrics
    "ALERTS",
    "kube_pod_container_status_restarts_total",
    "up",
}
GROUPS = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
NAMES = [rule["alert"] for rule in RULES]
TESTS = yaml.safe_load((MONITORING / "alerts_test.yaml").read_text())["tests"]


def promtool(*words: str | Path) -> None:
    done = subprocess.run([program("promtool", "prometheus"), *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def series_names(text: str) -> set[str]:
    """The series of a metrics page, with those of a histogram."""
    found = re.findall(r"^# TYPE (\S+) (\w+)", text, re.MULTILINE)
    buckets = {
        f"{name}{suffix}" for name, kind in found if kind == "histogram" for suffix in ("_bucket", "_count", "_sum")
    }
    return {name for name, _ in found} | buckets


def adapter_page() -> str:
    metrics = Metrics("ns", "name", "kind")
    metrics.count_polls("ok")
    metrics.checkpoint_age_s = lambda: 0.0
    return metrics.render().decode()


def hook_page() -> str:
    return metrics_page(HookMetrics(tuple)).body.decode()


def condition_metrics() -> set[str]:
    values = yaml.safe_load((MONITORING / "kube-state-metrics.yaml").read_text())
    resources = values["customResourceState"]["config"]["spec"]["resources"]
    return {f"{each['metricNamePrefix']}_{metric['name']}" for each in resources for metric in each["metrics"]}


def used_metrics(expr: str) -> set[str]:
    """The names before a brace or a bracket, and ``source…`` and ``kube_…`` anywhere, without quoted texts."""
    text = re.sub(r'"[^"]*"', "", expr)
    return {*re.findall(r"\b([a-zA-Z_]\w*)(?=[{\[])", text), *re.findall(r"\b(?:sources?|kube)_\w+", text)}


def exprs(panels: list[Any]) -> Iterator[str]:
    return (target["expr"] for panel in panels for target in panel.get("targets", []))


def test_promtool_accepts_the_alerts_and_their_tests_pass() -> None:
    promtool("check", "rules", MONITORING / "alerts.yaml")
    promtool("test", "rules", MONITORING / "alerts_test.yaml")


def test_monitors_and_scrape_jobs_read_the_same_pods_under_the_same_names() -> None:
    *monitors, services, _ = documents(monitoring.trees(), with_values({"monitoring.enabled": True}))
    *jobs_of_pods, of_hook = yaml.safe_load((MONITORING / "scrape.yaml").read_text())["scrape_configs"]
    for monitor, job in zip(monitors, jobs_of_pods, strict=True):
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        of_job, of_name = endpoint["relabelings"]
        rules = job["relabel_configs"]
        renamed = [rule["replacement"] for rule in rules if rule.get("target_label") == "job"]
        assert [of_job["replacement"]] == (renamed or [job["job_name"]]) == ["sources-adapters"]
        assert job["job_name"] == monitor["metadata"]["name"]
        assert job["honor_labels"] is endpoint["honorLabels"] is True
        assert {"source_labels": of_name["sourceLabels"], "target_label": of_name["targetLabel"]} in rules
        [selected] = monitor["spec"]["selector"]["matchExpressions"]
        kept = f"__meta_kubernetes_pod_labelpresent_{re.sub('[-./]', '_', selected['key'])}"
        assert rules[0]["source_labels"] == [kept, "__meta_kubernetes_pod_container_port_name"]
        assert rules[0]["regex"] == f"true;{endpoint['port']}"
    assert [monitor["metadata"]["name"] for monitor in monitors] == ["sources-adapters", "sources-pools"]
    assert of_hook["job_name"] == services["metadata"]["name"] == "sources-hook"  # the Operator takes the Service's
    assert services["spec"]["selector"]["matchLabels"] == hook.SELECTOR
    jobs = set(re.findall(r'job="([^"]+)"', " ".join(rule["expr"] for rule in RULES)))
    assert jobs == {"sources-adapters", "sources-hook"}


def test_promtool_accepts_the_scrape_jobs(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("groups: []")
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(configuration([])))
    promtool("check", "config", tmp_path / "prometheus.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(name: str) -> None:
    firing = [
        sample["labels"]
        for test in TESTS
        for each in test["promql_expr_test"]
        for sample in each["exp_samples"]
        if f'alertname="{name}"' in sample["labels"]
    ]
    misses = [test for test in TESTS if test["name"].startswith(f"{name} near miss: ")]
    assert firing
    assert misses
    assert all(not each["exp_samples"] for test in misses for each in test["promql_expr_test"])


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_alert_has_a_severity_texts_with_its_labels_and_its_runbook(rule: Any) -> None:
    texts = rule["annotations"]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(texts) == {"summary", "description", "runbook_url"}
    assert texts["runbook_url"] == f"docs/monitoring.md#{rule['alert'].lower()}"
    grouped = re.match(r"(?:time\(\) - |histogram_quantile\([\d.]+, )?(?:sum|max) by \(([\w, ]+)\)", rule["expr"])
    labels = set(grouped[1].split(", ")) - {"le"} if grouped else set()
    assert set(re.findall(r"\$labels\.(\w+)", texts["description"])) >= labels & {"namespace", "name", "pod", "reason"}
    added = set(re.findall(r"group_left \((\w+)\)", rule["expr"]))
    assert set(re.findall(r"\$labels\.(\w+)", texts["description"])) <= labels | added


def test_each_alert_has_a_runbook_entry_and_each_entry_an_alert() -> None:
    text = section("docs/monitoring.md", "## Alerts")
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == NAMES
    for name in NAMES:
        entry = section("docs/monitoring.md", f"### {name}")
        assert re.findall(r"^- (\w[\w ]+): \S", entry, re.MULTILINE) == ["Cause", "See it", "Do"], name


def test_alerts_and_dashboard_use_only_metrics_that_exist() -> None:
    known = series_names(adapter_page()) | series_names(hook_page()) | condition_metrics() | OTHERS
    used = set[str]().union(*map(used_metrics, [*(rule["expr"] for rule in RULES), *exprs(dashboard()["panels"])]))
    assert used - known == set()
    assert {"source_events_total", "sources_hook_requests_total", "up"} <= used


def value_at(value: Any, path: list[str]) -> Any:
    for name in path:
        value = value[name]
    return value


def schema_at(kind: Kind, path: list[str]) -> Any:
    """The part of the CRD's schema at a path of names."""
    [version] = crd(kind)["spec"]["versions"]
    return value_at(version["schema"]["openAPIV3Schema"], [part for name in path for part in ("properties", name)])


def test_kube_state_metrics_reads_each_kind_at_paths_that_its_crd_has() -> None:
    values = yaml.safe_load((MONITORING / "kube-state-metrics.yaml").read_text())
    resources = values["customResourceState"]["config"]["spec"]["resources"]
    kinds = kinds_in("adapter.sources")
    assert {each["groupVersionKind"]["kind"] for each in resources} == {kind.name for kind in kinds}
    [rule] = values["rbac"]["extraRules"]
    for kind in kinds:
        [resource] = [each for each in resources if each["groupVersionKind"]["kind"] == kind.name]
        assert resource["groupVersionKind"] == {"group": kind.group, "version": kind.version, "kind": kind.name}
        assert (kind.group in rule["apiGroups"], kind.plural in rule["resources"]) == (True, True)
        conditions, suspended = (metric["each"] for metric in resource["metrics"])
        of_one = schema_at(kind, conditions["stateSet"]["path"])["items"]["properties"]
        assert of_one[conditions["stateSet"]["valueFrom"][0]]["enum"] == conditions["stateSet"]["list"]
        assert {path[0] for path in conditions["stateSet"]["labelsFromPath"].values()} <= set(of_one)
        assert schema_at(kind, suspended["gauge"]["path"])["type"] == "boolean"


@pytest.mark.parametrize(
    "file", sorted((ROOT / "tests/contract/recordings").glob("*.json")), ids=lambda file: file.stem
)
def test_kube_state_metrics_finds_the_conditions_of_a_recorded_status(file: Path) -> None:
    recorded = json.loads(file.read_text())
    source = {**recorded["request"]["parent"], "status": recorded["response"]["status"]}
    values = yaml.safe_load((MONITORING / "kube-state-metrics.yaml").read_text())
    resource = values["customResourceState"]["config"]["spec"]["resources"][0]
    metric = resource["metrics"][0]["each"]["stateSet"]
    found = {
        value_at(condition, metric["labelsFromPath"]["condition"]): value_at(condition, metric["valueFrom"])
        for condition in value_at(source, metric["path"])
    }
    assert set(found) >= {"Ready", "SinkProvided", "Deployed"}
    assert set(found.values()) <= set(metric["list"])
    assert all(value_at(source, path) for path in resource["labelsFromPath"].values())


def test_panels_have_unique_ids_and_places() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 15
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23
    assert all(panel["title"] for panel in panels)


def test_variables_of_panels_are_those_of_the_dashboard() -> None:
    variables = {each["name"] for each in dashboard()["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard()["panels"]))) - {"__rate_interval"}
    assert used == variables == {"datasource", "namespace", "kind", "name"}


def test_promtool_parses_the_expressions_of_the_dashboard(tmp_path: Path) -> None:
    found = [expr.replace("$__rate_interval", "5m") for expr in exprs(dashboard()["panels"])]
    rules = [{"record": f"panel:expr:{n}", "expr": expr} for n, expr in enumerate(found)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "rules.yaml")


def test_listed_metrics_of_an_adapter_are_those_of_the_code() -> None:
    families = set(re.findall(r"^# TYPE (\S+)", adapter_page(), re.MULTILINE))
    in_pools = re.findall(r'(gauge|counter)s?\("(source_pool_\w+)"', (ROOT / "adapter/pool/metrics.py").read_text())
    families |= {name + ("_total" if type == "counter" else "") for type, name in in_pools}
    text = section("docs/monitoring.md", "## Metrics of an adapter")
    assert {cells[0].strip("`") for cells in rows(text) if cells[0].startswith("`source_")} == families
    labels = set(re.findall(r'outcome="(\w+)"', adapter_page()))
    assert {name for name in labels if f"`{name}`" not in text} == set()
    for name in re.findall(r"\bsource_\w+", "".join(map(page, page_names()))):
        if name.endswith(("_total", "_seconds")):
            assert name in families, name


def test_listed_metrics_of_the_hook_are_those_of_the_code() -> None:
    families = set(re.findall(r"^# TYPE (\S+)", hook_page(), re.MULTILINE))
    text = section("docs/monitoring.md", "## Metrics of the hook")
    assert {cells[0].strip("`") for cells in rows(text) if cells[0].startswith("`sources_")} == families
    assert {path for path in PATHS if f"`{path}`" not in text} == set()
    listed = {
        (reason, int(code))
        for cells in rows(text)
        for reason in re.findall(r"`(\w+)`", cells[0])
        for code in re.findall(r"\d{3}", cells[1])
    }
    assert listed >= {(reason, code) for code, reason in REASONS.items()}
    assert {reason for reason, _ in listed} == set(REASONS.values())
    assert f"| `{TLS}` |" in text
