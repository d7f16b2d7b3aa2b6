"""Alerts fire in a real Prometheus that reads the real hook and real adapters of a control plane."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cluster.adapters import deployment_of, environ_of, run_adapter
from tests.cluster.api import eventually
from tests.cluster.namespace import SourceNamespace
from tests.process.harness import Process, ScriptedSink, display, free_port, processes
from tests.process.prometheus import Pod, Prometheus

HOOK = {"app.kubernetes.io/name": "sources-hook"}


def hook_pod(process: Process, name: str) -> Pod:
    port = process.wait_for_log("listening")["health_port"]
    return Pod(name, "sample-source", HOOK, port, ("hook", "health"))


def adapter_pod(ns: SourceNamespace, source: str, port: int) -> Pod:
    labels = deployment_of(ns, source)["spec"]["template"]["metadata"]["labels"]
    return Pod(f"{source}-0", ns.name, labels, port)


def named(alerts: list[Any]) -> set[tuple[str, str]]:
    """Each alert, with the source or the pod that it is about."""
    labels = [alert["labels"] for alert in alerts]
    return {(each["alertname"], each.get("name") or each.get("pod", "")) for each in labels}


def refuse(connection: Any, n: int) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def test_alerts_fire_for_lost_events_a_dead_hook_and_an_invalid_config_map(ns: SourceNamespace, tmp_path: Path) -> None:
    cluster = ns.cluster
    config = cluster.config / "config-logging"
    config.mkdir()
    ns.add_cleanup(config.rmdir)
    (config / "loglevel.controller").write_text("")
    (config / "zap-logger-config").write_text("{")
    ns.add_cleanup(lambda: [file.unlink() for file in config.iterdir()])
    ns.service()
    for name in ("hello", "unlucky"):
        ns.source(name, interval="1s")  # the hook reads the ConfigMap during the sync
        ns.wait_until_ready(name)
    cluster.start_hook()
    dead = cluster.hooks.pop()
    with processes() as start, ScriptedSink(refuse) as sink:
        sinks = {"hello": display(start)[1], "unlucky": sink.url}
        ports = {name: free_port() for name in sinks}
        pods = [hook_pod(cluster.hooks[0], "hook-0"), hook_pod(dead, "hook-1")]
        prometheus = Prometheus(tmp_path, [*pods, *(adapter_pod(ns, *each) for each in ports.items())])
        ns.add_cleanup(lambda: prometheus.stop(9))
        for name, url in sinks.items():
            run_adapter(start, environ_of(ns, name), url, ports[name])
        eventually(lambda: prometheus.query("up == 1"), lambda found: len(found) == 4, "all are read")
        dead.child.kill()
        wanted = {("SourceEventsLost", "unlucky"), ("SourcesHookDown", "hook-1"), ("SourcesHookConfigProblem", "")}
        firing = eventually(prometheus.firing, lambda found: named(found) >= wanted, f"the alerts {wanted}")
    assert "hello" not in {name for _, name in named(firing)}  # its events arrive
    [lost] = [alert for alert in firing if alert["labels"]["alertname"] == "SourceEventsLost"]
    assert lost["annotations"]["description"].startswith(f"SampleSource {ns.name}/unlucky lost about ")
