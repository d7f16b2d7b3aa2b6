"""kubectl installs the manifests without warnings and shows sources in a readable form.

``golden/`` holds the expected output; ``UPDATE_GOLDEN=1 .venv/bin/pytest tests/cluster/test_kubectl.py`` rewrites it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import metacontroller
from tests.cluster.api import eventually
from tests.cluster.build import Unavailable
from tests.cluster.control_plane import ControlPlane, api_server
from tests.cluster.local_cluster import KIND, ROOT, read_yaml
from tests.unit.hooks.hook import answer

GOLDEN = Path(__file__).parent / "golden"
NAMESPACE = "people"
RESTRICTED = {"pod-security.kubernetes.io/warn": "restricted"}
DIRECTORIES = {  # directory -> an object in it; with all kinds, each command would take a minute
    "metacontroller/base": "deployment.apps/sources-hook",
    "metacontroller/sources/sample_source": "samplesources.samples.knative.dev-edit created",
}
TRUE = {"status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
LOST = {
    "status": "False",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "reason": "NotFound",
    "message": "Service people/gone does not exist; create it or correct spec.sink.ref",
}
SUSPENDED = {
    "status": "False",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "reason": "Suspended",
    "message": "spec.suspend is true. Deployment samplesource-paused-1 has 0 replicas. To resume, "
    "set spec.suspend to false",
}
CommandResult = tuple[int, str, str]  # exit code, stdout, stderr


@pytest.fixture(scope="module")
def bare_api_server(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server of this module: others have no kind yet that the commands could show."""
    with api_server(binaries, tmp_path_factory.mktemp("kubectl")) as plane:
        yield plane


@pytest.fixture(scope="module")
def kustomize(bare_api_server: ControlPlane) -> Callable[[str], str]:
    """The output of `kubectl kustomize`, without CompositeControllers if Metacontroller's CRDs are missing."""
    try:
        for definition in read_yaml(metacontroller.crds()):
            bare_api_server.api.serve(definition)
        left_out = ""
    except Unavailable:
        left_out = "CompositeController"

    def build(directory: str) -> str:
        code, text, errors = bare_api_server.kubectl("kustomize", str(ROOT / directory))
        assert (code, errors) == (0, "")
        return yaml.safe_dump_all(document for document in yaml.safe_load_all(text) if document["kind"] != left_out)

    return build


@pytest.fixture(scope="module")
def applied(bare_api_server: ControlPlane, kustomize: Callable[[str], str]) -> dict[str, CommandResult]:
    """Exit code and output of `kubectl apply` for each directory."""
    results = {
        directory: bare_api_server.kubectl("apply", "-f", "-", stdin=kustomize(directory)) for directory in DIRECTORIES
    }
    eventually(
        lambda: bare_api_server.kubectl("explain", KIND.name.lower()),
        lambda result: result[0] == 0,
        "the schema is published",
    )
    labelled = {"name": NAMESPACE, "labels": RESTRICTED}
    bare_api_server.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": labelled})
    return results


@pytest.fixture(scope="module")
def kubectl(bare_api_server: ControlPlane, applied: object) -> Callable[..., str]:
    """Run kubectl, check that it prints no error, return its stdout. There are three sources; one is Ready."""
    write_source(
        bare_api_server, "hello", [{"type": "Ready", **TRUE}], sinkUri="http://display.people.svc.cluster.local"
    )
    write_source(bare_api_server, "lost", [{"type": "Ready", **LOST}])
    write_source(bare_api_server, "paused", [{"type": "Ready", **SUSPENDED}])

    def run(*arguments: str) -> str:
        code, text, errors = bare_api_server.kubectl(*arguments)
        assert (code, errors) == (0, "")
        return text

    return run


def write_source(plane: ControlPlane, name: str, conditions: list[Any], **status: Any) -> None:
    source = {
        "apiVersion": KIND.api_version,
        "kind": KIND.name,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"sink": {"uri": "http://display"}},
    }
    created = plane.api.create(source)
    plane.api.replace({**created, "status": {"conditions": conditions, **status}}, "/status")


def same_as_golden(name: str, text: str) -> None:
    shown = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    if os.environ.get("UPDATE_GOLDEN"):
        (GOLDEN / name).write_text(shown)
    assert shown == (GOLDEN / name).read_text(), (
        f"the output differs from golden/{name}; UPDATE_GOLDEN=1 rewrites the file"
    )


def without_age(table: str) -> str:
    header, *rows = table.splitlines()
    at = header.index("AGE")
    return "\n".join([header, *(f"{row[:at]}*  {row[at + 3 :]}" for row in rows)])


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_kustomization_applies_without_warnings(applied: dict[str, CommandResult], directory: str) -> None:
    code, text, errors = applied[directory]
    assert (code, errors) == (0, "")
    assert DIRECTORIES[directory] in text


@pytest.mark.parametrize("directory", DIRECTORIES)
@pytest.mark.parametrize(
    "options", [["--server-side"], ["--dry-run=server"], ["--server-side", "--dry-run=server"]], ids=" ".join
)
def test_kustomization_applies_again_without_warnings(
    bare_api_server: ControlPlane, applied: object, kustomize: Callable[[str], str], directory: str, options: list[str]
) -> None:
    code, _, errors = bare_api_server.kubectl("apply", *options, "-f", "-", stdin=kustomize(directory))
    assert (code, errors) == (0, "")


def test_composite_controller_matches_the_crd_of_metacontroller(applied: dict[str, CommandResult]) -> None:
    try:
        metacontroller.crds()
    except Unavailable as reason:
        pytest.skip(str(reason))
    made = "compositecontroller.metacontroller.k8s.io/samplesources.samples.knative.dev created"
    assert made in applied["metacontroller/sources/sample_source"][1]


def test_adapter_deployment_is_accepted_in_a_restricted_namespace(
    bare_api_server: ControlPlane, applied: object
) -> None:
    [deployment] = answer({"sink": {"uri": "http://h"}})["children"]
    deployment["metadata"]["namespace"] = NAMESPACE
    dry_run = ("create", "--dry-run=server", "-f", "-")
    code, _, errors = bare_api_server.kubectl(*dry_run, stdin=json.dumps(deployment))
    assert (code, errors) == (0, "")
    del deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"]
    assert "would violate PodSecurity" in bare_api_server.kubectl(*dry_run, stdin=json.dumps(deployment))[2]


@pytest.mark.parametrize("sample", ["samples/quickstart.yaml", "sources/sample_source/sample.yaml"])
def test_sample_is_accepted_in_a_restricted_namespace(
    bare_api_server: ControlPlane, applied: object, sample: str
) -> None:
    text = (ROOT / "metacontroller" / sample).read_text().replace("namespace: default", f"namespace: {NAMESPACE}")
    code, shown, errors = bare_api_server.kubectl("apply", "--dry-run=server", "-n", NAMESPACE, "-f", "-", stdin=text)
    assert (code, errors) == (0, "")
    assert "created (server dry run)" in shown


@pytest.mark.parametrize(
    "field",
    [
        "samplesource.spec",
        "samplesource.spec.sink",
        "samplesource.spec.sink.ref",
        "samplesource.spec.delivery",
        "samplesource.spec.adapter",
        "samplesource.spec.adapter.volumes",
    ],
)
def test_kubectl_explain_documents_the_spec(kubectl: Callable[..., str], field: str) -> None:
    same_as_golden(f"explain-{field}.txt", kubectl("explain", field))


@pytest.mark.parametrize("output", [[], ["-o", "wide"]], ids=["narrow", "wide"])
def test_kubectl_get_shows_readiness_and_reason(kubectl: Callable[..., str], output: list[str]) -> None:
    shown = without_age(kubectl("get", "sources", "-A", *output))
    same_as_golden(f"get-sources{'-wide' if output else ''}.txt", shown)


@pytest.mark.parametrize("word", ["sources", "knative", "eventing", "ssrc", "samplesource", "samplesources"])
def test_sources_are_listed_by_category_short_name_and_resource_name(kubectl: Callable[..., str], word: str) -> None:
    found = kubectl("get", word, "-n", NAMESPACE, "-o", "name").split()
    assert found == [f"{KIND.name.lower()}.{KIND.group}/{name}" for name in ("hello", "lost", "paused")]


def test_kubectl_wait_returns_when_a_source_is_ready(
    bare_api_server: ControlPlane, kubectl: Callable[..., str]
) -> None:
    wait = ("wait", "--for=condition=Ready", "-n", NAMESPACE)
    same_as_golden("wait.txt", kubectl(*wait, "--timeout=120s", "ssrc/hello"))
    assert bare_api_server.kubectl(*wait, "--timeout=1s", "ssrc/lost")[0] == 1


def test_source_type_is_discovered_as_by_kn(kubectl: Callable[..., str]) -> None:
    """`kn source list-types` selects CRDs by label and reads the kind, the plural and the first served version."""
    crds = json.loads(kubectl("get", "crds", "-l", "duck.knative.dev/source=true", "-o", "json"))["items"]
    [found] = [each for each in crds if each["spec"]["names"]["kind"] == KIND.name]
    served = [version["name"] for version in found["spec"]["versions"] if version["served"]]
    names = found["spec"]["names"]
    assert (names["kind"], names["plural"], served[0]) == (KIND.name, KIND.plural, KIND.version)
    [event] = json.loads(found["metadata"]["annotations"]["registry.knative.dev/eventTypes"])
    assert event["type"] == "dev.knative.sample"
