"""Helm installs, upgrades, rolls back and uninstalls at a real API server: no controller changes an object here."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from metacontroller.generate.values import KINDS, OPTIONS
from tests.cluster import build, metacontroller
from tests.cluster.api import eventually
from tests.cluster.control_plane import ControlPlane, api_server
from tests.cluster.helm_cli import CHART, NAMESPACE, Helm, load
from tests.cluster.local_cluster import read_yaml
from tests.pages import blocks, commands

CRDS = ("apiextensions.k8s.io/v1", "customresourcedefinitions")
SAMPLES = "samplesources.samples.knative.dev"
OLD = "0.0.1"
PASSING = {"bindings", "events", "events.events.k8s.io", "leases.coordination.k8s.io"}


@dataclass(frozen=True)
class Server:
    plane: ControlPlane
    helm: Helm

    def objects(self) -> set[str]:
        """Kind, namespace and name of each object of all kinds that can be listed."""
        kinds = self.kubectl("api-resources", "--verbs=list", "--output=name").split()
        listed = ",".join(kind for kind in kinds if kind not in PASSING)
        row = '{range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{"\\n"}{end}'
        return set(self.kubectl("get", listed, "--all-namespaces", f"--output=jsonpath={row}").split())

    def added_since(self, before: set[str]) -> set[str]:
        """Or the message of an error: after the deletion of a CRD, the API server names its kind for a moment."""
        try:
            return self.objects() - before
        except AssertionError as error:
            return {str(error)}

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        code, text, errors = self.plane.kubectl(*arguments, stdin=stdin)
        assert code == 0, f"kubectl {arguments}: {errors}"
        return text

    def columns(self) -> list[str]:
        """The printer columns of the CRD."""
        [version] = self.plane.api.get(*CRDS, SAMPLES)["spec"]["versions"]
        return [column["name"] for column in version["additionalPrinterColumns"]]

    def sources(self) -> list[str]:
        return self.kubectl("get", "samplesources", "--all-namespaces", "--output=name").split()

    def replicas(self) -> int:
        deployment = self.plane.api.get("apps/v1", "deployments", "sources-hook", NAMESPACE)
        return int(deployment["spec"]["replicas"])


@pytest.fixture(scope="module")
def server(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        helm, definitions = build.built_helm(), read_yaml(metacontroller.crds())
    except build.Unavailable as reason:
        pytest.skip(str(reason))
    with api_server(binaries, tmp_path_factory.mktemp("helm-server")) as plane:
        for definition in definitions:
            plane.api.serve(definition)
        yield Server(plane, Helm(helm, tmp_path_factory.mktemp("helm"), plane.kubeconfig))


def old_chart(directory: Path) -> Path:
    """This chart with another version, without a printer column of a CRD."""
    chart = directory / "chart"
    shutil.copytree(CHART, chart)
    for name, pattern, new in (
        ("Chart.yaml", r"(?m)^(version|appVersion): .*$", rf"\1: {OLD}"),
        ("templates/sample-source-crd.yaml", r" +- name: Interval\n.*\n.*\n", ""),
    ):
        text, count = re.subn(pattern, new, (chart / name).read_text())
        assert count
        (chart / name).write_text(text)
    return chart


def test_release_lives_as_the_pages_say(server: Server, tmp_path: Path) -> None:
    """From an older chart to this one and back. Pods do not run here, so the commands do not wait for them."""
    before, helm = server.objects(), server.helm
    install, _, _ = commands("docs/install.md", "## Install with Helm")
    notes = helm(*words(install.replace("metacontroller/chart", str(old_chart(tmp_path)))))
    assert "For a first source" in notes
    assert "Interval" not in server.columns()
    upgrade, rollback = (one for block in blocks("docs/upgrade.md") for one in block.commands if "helm" in one)
    notes = helm(*words(upgrade), "--set", "replicas=3,quickstart.enabled=true")
    assert "logs --follow deployment/event-display" in notes
    assert "Interval" in server.columns()
    assert server.replicas() == 3
    assert server.sources() == ["samplesource.samples.knative.dev/hello"]
    helm(*words(rollback))
    assert "Interval" not in server.columns()
    assert server.replicas() == 2
    assert server.sources() == []
    uninstall, delete_crds, _ = commands("docs/uninstall.md", "## With Helm")
    helm(*words(uninstall))
    names = {f"{kind.lower()}s.samples.knative.dev" for kind in KINDS}
    kept = {f"CustomResourceDefinition//{name}" for name in names} | {"APIService//v1alpha1.samples.knative.dev"}
    assert server.objects() - before == kept | of_namespace()
    server.kubectl(*words(delete_crds))
    eventually(lambda: server.added_since(before), lambda left: left == of_namespace(), "only the namespace is left")


def words(command: str) -> list[str]:
    """Without the program and the option that waits for pods."""
    return [word for word in command.split()[1:] if word != "--wait"]


def of_namespace() -> set[str]:
    """Without controllers, a namespace cannot be deleted."""
    return {f"Namespace//{NAMESPACE}"}


def combinations() -> list[dict[str, bool]]:
    """All on, all off, and each half of the switches on; all combinations in the long form."""
    names = [option.path for option in OPTIONS if option.schema.get("type") == "boolean"]
    chosen: list[tuple[bool, ...]] = list(itertools.product((False, True), repeat=len(names)))
    if not os.environ.get("LONG"):
        chosen = [tuple(n % 2 == rest for n in range(len(names))) for rest in (0, 1)] + [(True,) * len(names)]
    found = [dict(zip(names, values, strict=True)) for values in chosen]
    needed = ("tls.token", "tls.clientAuth")  # the schema refuses them without tls.enabled
    return [{**each, "tls.enabled": each["tls.enabled"] or any(each[name] for name in needed)} for each in found]


@pytest.mark.parametrize("switches", combinations(), ids=lambda found: "".join("01"[value] for value in found.values()))
def test_api_server_accepts_each_combination_of_switches(server: Server, switches: dict[str, bool]) -> None:
    """In a server dry run, without CRDs, which no switch changes, and without kinds of the Prometheus Operator."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    controllers = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "metacontroller"}}
    server.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all([namespace, controllers]))
    assigned = ",".join(f"{name}={str(value).lower()}" for name, value in switches.items())
    documents = load(server.helm.template("--set", assigned))
    served = [each for each in documents if not each["apiVersion"].startswith("monitoring.coreos.com/")]
    kept = [each for each in served if each["kind"] not in ("CustomResourceDefinition", "Namespace")]
    assert kept
    server.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(kept))
