"""The Helm chart and the kustomize overlays install the same objects; the chart refuses wrong values."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import adapter
from metacontroller.generate.installation import FEATURES
from metacontroller.generate.overlays import SETTINGS
from tests.cluster import build
from tests.cluster.api import Object
from tests.cluster.helm_cli import CHART, NAMESPACE, ROOT, Helm, by_identity, load, without_marks_of_helm
from tests.deadline import DEADLINE_S

OVERLAYS = ("default", *(name for name, feature in FEATURES.items() if feature.overlay))
QUICK_START = "quickstart.enabled=true"
SERVED = ("--api-versions", "samples.knative.dev/v1alpha1/SampleSource")
# Only kustomize makes this object: Helm creates the namespace with --create-namespace.
ONLY_KUSTOMIZE = ("Namespace", "", NAMESPACE)
# Components that change the same fields: with both, the later one would win. The chart can combine them.
EXCLUSIVE = ({"knative", "diagnose"}, {"tls", "mtls"}, {"pool", "knative"}, {"pool", "network-policy"})


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    try:
        return Helm(build.built_helm(), tmp_path_factory.mktemp("helm"))
    except build.Unavailable as reason:
        pytest.skip(str(reason))


def kustomized(binaries: Path, directory: Path) -> dict[tuple[str, str, str], Object]:
    words = [str(binaries / "kubectl"), "kustomize", str(directory)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"{directory}: {done.stderr}"
    return by_identity(load(done.stdout))


def templated(helm: Helm, *options: str) -> dict[tuple[str, str, str], Object]:
    return by_identity(map(without_marks_of_helm, load(helm.template(*options))))


def examples(*features: str) -> list[str]:
    return [word for name in features for word in ("--values", str(CHART / f"examples/{name}.yaml"))]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_and_chart_give_the_same_objects(binaries: Path, helm: Helm, overlay: str) -> None:
    expected = kustomized(binaries, ROOT / f"metacontroller/overlays/{overlay}")
    del expected[ONLY_KUSTOMIZE]
    assert templated(helm, *([] if overlay == "default" else examples(overlay))) == expected


def test_quick_start_of_kustomize_and_of_the_chart_are_the_same(binaries: Path, helm: Helm) -> None:
    without, enabled = templated(helm), templated(helm, "--set", QUICK_START, *SERVED)
    added = {key: document for key, document in enabled.items() if key not in without}
    assert added == kustomized(binaries, ROOT / "metacontroller/samples")
    assert {key[0] for key in added} == {"Deployment", "Service", "SampleSource"}


def test_settings_and_components_give_what_the_chart_gives_for_these_values(
    binaries: Path, helm: Helm, tmp_path: Path
) -> None:
    """One overlay with all components that can be combined, and another image, namespace and account."""
    changed = {
        "image": "registry.example.com:5000/team/sources@sha256:0123",
        "namespace": "hooks",
        "metacontrollerNamespace": "controllers",
        "metacontrollerServiceAccount": "runner",
    }
    assert changed.keys() == SETTINGS.keys()
    directory = tmp_path / "metacontroller"
    shutil.copytree(ROOT / "metacontroller", directory)
    settings = directory / "settings/settings.yaml"
    [document] = load(settings.read_text())
    settings.write_text(json.dumps({**document, "data": changed}))
    left_out = {"diagnose", "mtls", "pool"}
    assert all(pair & left_out for pair in EXCLUSIVE)
    chosen = [name for name in FEATURES if name not in left_out]
    (directory / "overlays/own").mkdir()
    needed = {FEATURES[name].directory for name in chosen} - {""}
    overlay = {
        "resources": ["../default", *(f"../../{each}" for each in needed)],
        "components": [f"../../components/{name}" for name in chosen],
    }
    (directory / "overlays/own/kustomization.yaml").write_text(json.dumps(overlay))
    expected = kustomized(binaries, directory / "overlays/own")
    del expected[("Namespace", "", "hooks")]
    values = {path: changed[key] for key, path in SETTINGS.items() if key != "namespace"}
    assigned = ",".join(f"{path}={value}" for path, value in values.items())
    assert templated(helm, *examples(*chosen), "--set", assigned, "--namespace", "hooks") == expected


def test_templates_are_deterministic_and_ask_no_cluster(helm: Helm) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: helm.template(*examples("knative")), range(2))
    assert first == second
    actions = [
        action for file in (CHART / "templates").iterdir() for action in re.findall(r"{{.*?}}", file.read_text())
    ]
    assert actions
    assert [each for each in actions if re.search(r"\b(lookup|rand\w+|now|date|gen[A-Z]\w+|uuidv4)\b", each)] == []


def test_chart_passes_lint_and_has_the_version_of_the_project(helm: Helm) -> None:
    shown = helm("lint", "--strict", str(CHART))
    assert "0 chart(s) failed" in shown
    [chart] = load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (adapter.__version__, adapter.__version__)


@pytest.mark.parametrize(
    ("assigned", "message"),
    [
        ("imgae=x", "additional properties 'imgae' not allowed"),
        ("tls.enable=true", "at '/tls': additional properties 'enable' not allowed"),
        ("replicas=0", "at '/replicas': minimum: got 0, want 1"),
        ("diagnosePods=yes", "at '/diagnosePods': got string, want boolean"),
        ("kinds={SampelSource}", "at '/kinds/0': value must be one of 'SampleSource'"),
        ("sinkKinds={Broker}", "at '/sinkKinds/0': 'Broker' does not match pattern"),
        ('image=a"b', "at '/image'"),
        ("metacontroller.namespace=A", "at '/metacontroller/namespace'"),
        ("tls.token=true", "at '/tls/enabled': value must be true"),
        ("tls.clientAuth=true", "at '/tls/enabled': value must be true"),
        ("image=null", "missing property 'image'"),
        ("crds.keep=null", "at '/crds': missing property 'keep'"),
        ("networkPolicy.metacontrollerLabels=null", "at '/networkPolicy': missing property 'metacontrollerLabels'"),
        (
            r"networkPolicy.metacontrollerLabels.app\.kubernetes\.io/name=null",
            "at '/networkPolicy/metacontrollerLabels': minProperties: got 0, want 1",
        ),
        ("env[0].name=PORT,env[0].value=", "at '/env/0/name'"),
        ("copiedLabels={pod-template-hash}", "at '/copiedLabels/0'"),
        ("copiedLabels={team=a}", "at '/copiedLabels/0'"),
        ("tls.caBundle=/etc/ca.crt", "at '/tls/caBundle'"),
        ("quickstart.enabled=true,kinds={PollSource}", "at '/kinds'"),
        (
            "adapterDefaults.resource.limits.cpu=1",
            "at '/adapterDefaults': additional properties 'resource' not allowed",
        ),
    ],
)
def test_wrong_value_is_refused_with_its_place(helm: Helm, assigned: str, message: str) -> None:
    done = helm.run("template", "sources", str(CHART), "--set", assigned)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_defaults_of_adapters_reach_the_hook(helm: Helm) -> None:
    """Like `sources manifests --adapter-defaults`, also with characters that a URL or a template could change."""
    from urllib.parse import parse_qs, urlsplit

    defaults = {"annotations": {"a": 'x&y="1" {{ z }} ä, </b>'}, "resources": {"limits": {"memory": "1Gi"}}}
    documents = templated(helm, "--set-json", f"adapterDefaults={json.dumps(defaults)}")
    controller = documents[("CompositeController", "", "samplesources.samples.knative.dev")]
    query = parse_qs(urlsplit(controller["spec"]["hooks"]["sync"]["webhook"]["path"]).query)
    assert json.loads(query["adapter"][0]) == defaults
    assert "adapter=" not in controller["spec"]["hooks"]["customize"]["webhook"]["path"]


def test_copied_labels_reach_the_hook(helm: Helm) -> None:
    documents = templated(helm, "--set", "copiedLabels={team,example.com/cost-center}")
    hooks = documents[("CompositeController", "", "pollsources.samples.knative.dev")]["spec"]["hooks"]
    assert "&copiedLabels=team,example.com/cost-center&" in hooks["sync"]["webhook"]["path"]
    assert "copiedLabels" not in hooks["customize"]["webhook"]["path"]


def test_variables_of_the_value_env_are_set_beside_those_of_the_chart(helm: Helm) -> None:
    env = [{"name": "SINK_NAMESPACES", "value": "own"}, {"name": "LOG_LEVEL", "value": "debug"}]
    set_by_the_chart, with_value = (
        documents[("Deployment", NAMESPACE, "sources-hook")]["spec"]["template"]["spec"]["containers"][0]["env"]
        for documents in (templated(helm), templated(helm, "--set-json", f"env={json.dumps(env)}"))
    )
    assert with_value == [*set_by_the_chart, *env]


def test_notes_tell_to_upgrade_once_more_until_the_kind_is_served(helm: Helm) -> None:
    """Helm cannot create a source before the API server serves its kind, which `--dry-run=client` assumes, too."""
    notes = helm("install", "own", str(CHART), "--namespace", "hooks", "--dry-run=client", "--set", QUICK_START)
    assert "The source hello is missing" in notes
    assert "\n  helm upgrade own CHART --namespace hooks --reuse-values\n" in notes
    assert [key for key in templated(helm, "--set", QUICK_START) if key[0] == "SampleSource"] == []
