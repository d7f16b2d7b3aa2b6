"""A Prometheus on loopback that reads adapters and hooks of a test every second."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.deadline import DEADLINE_S
from tests.process.harness import free_port, wait_until
from tests.process.kinds.servers import Server, program

MONITORING = Path(__file__).resolve().parents[2] / "metacontroller/monitoring"


@dataclass(frozen=True)
class Pod:
    """A process of this machine in place of a container. ``ports``: the names of the container's ports."""

    name: str
    namespace: str
    labels: dict[str, str]
    health_port: int
    ports: tuple[str, ...] = ("health",)

    def static_configs(self) -> Iterator[Any]:
        """What the discovery of Kubernetes finds: a target for each port, with these labels."""
        for port in self.ports:
            found = {"pod_name": self.name, "namespace": self.namespace, "pod_phase": "Running"}
            found["pod_container_port_name"] = port
            for name, value in self.labels.items():
                key = re.sub(r"\W", "_", name)
                found |= {f"pod_label_{key}": value, f"pod_labelpresent_{key}": "true"}
            labels = {f"__meta_kubernetes_{key}": value for key, value in found.items()}
            yield {"targets": [f"127.0.0.1:{self.health_port}"], "labels": labels}


class Prometheus(Server):
    """Its rules are those of ``alerts.yaml``, but an alert fires after one second instead of after minutes."""

    def __init__(self, directory: Path, pods: Sequence[Pod]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        (directory / "rules.yaml").write_text(yaml.safe_dump(_shortened(MONITORING / "alerts.yaml")))
        (directory / "prometheus.yaml").write_text(yaml.safe_dump(configuration(pods)))
        words = [program("prometheus", "prometheus"), f"--config.file={directory}/prometheus.yaml"]
        where = [f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={directory}/data"]
        super().__init__([*words, *where], port, directory / "log")

    def start(self) -> None:
        super().start()
        wait_until(self._is_ready, "Prometheus", self._log.read_text)  # it listens before it has opened its data

    def _is_ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/-/ready", timeout=DEADLINE_S):
            return True
        return False

    def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the value of each series."""
        found = self._get("query?" + urllib.parse.urlencode({"query": expr}))["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]

    def firing(self) -> list[Any]:
        """The alerts that fire, as the API of Prometheus shows them."""
        return [alert for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"]

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=DEADLINE_S) as response:
            return json.loads(response.read())["data"]


def _shortened(file: Path) -> Any:
    rules = yaml.safe_load(file.read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if "for" in rule):
        rule["for"] = "1s"
    return rules


def configuration(pods: Sequence[Pod]) -> Any:
    """The jobs of ``scrape.yaml`` with ``pods`` for the discovery, because Debian's Prometheus knows no Kubernetes."""
    jobs = yaml.safe_load((MONITORING / "scrape.yaml").read_text())["scrape_configs"]
    for job in jobs:
        assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
        job["static_configs"] = [each for pod in pods for each in pod.static_configs()]
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": jobs,
    }
