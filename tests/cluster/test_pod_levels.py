"""Defaults of the cluster and copied labels under the real Metacontroller: in the query of the webhook's URL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from sources_cli.arguments import ManifestsOptions
from sources_cli.kind import MAX_DEFAULTS
from sources_cli.manifests import controller
from tests.cluster.api import Object, eventually
from tests.cluster.apply_strategies import STRATEGIES, apply_with, sync
from tests.cluster.local_cluster import KIND
from tests.cluster.namespace import SourceNamespace

ASCII = "".join(map(chr, range(0x20, 0x7F)))
TEAMS = ("team", "example.com/cost-center")
MEMORY = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "200Mi"}}


@pytest.fixture
def defaults(ns: SourceNamespace, tmp_path: Path) -> Iterator[Path]:
    """The file of ``--adapter-defaults``. Afterwards SampleSource is installed without it."""
    yield tmp_path / "defaults.yaml"
    ns.cluster.install()


def install(ns: SourceNamespace, file: Path, defaults: Object, **options: object) -> str:
    """The path of the webhook that ``sources manifests`` writes."""
    file.write_text(yaml.safe_dump(defaults, allow_unicode=True))
    ns.cluster.install(adapter_defaults=file, **options)
    chosen = ManifestsOptions("", adapter_defaults=file, **options)  # type: ignore[arg-type]  # of this test
    return str(controller(KIND, chosen)["spec"]["hooks"]["sync"]["webhook"]["path"])


def container(ns: SourceNamespace) -> Object:
    [found] = ns.deployment()["spec"]["template"]["spec"]["containers"]
    return dict(found)


def limits(ns: SourceNamespace) -> Object:
    return dict(container(ns)["resources"].get("limits", {}))


def test_query_reaches_the_hook_unchanged_and_applies_to_existing_sources_at_once(
    ns: SourceNamespace, defaults: Path
) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    wanted = {"annotations": {"example.com/note": f"{ASCII}\tgrün 日本\n"}, "resources": {"limits": {"memory": None}}}
    path = install(ns, defaults, wanted)
    eventually(lambda: limits(ns), lambda found: not found, "no limit", details=ns.describe)
    ns.wait_until_ready()
    last = ns.cluster.hook_proxy.calls(ns.name, "hello")[-1]
    assert last.path == path
    assert json.loads(parse_qs(urlsplit(last.path).query)["adapter"][0]) == wanted
    assert "adapter" not in ns.cluster.hook_proxy.calls(ns.name, "hello", "/customize")[-1].path
    template = ns.deployment()["spec"]["template"]["metadata"]
    assert template["annotations"].items() >= wanted["annotations"].items()
    assert ns.revision() == 2


def test_longest_defaults_reach_the_hook(ns: SourceNamespace, defaults: Path) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    size = MAX_DEFAULTS - 100
    path = install(ns, defaults, {"annotations": {f"a{n}": "x" * (size // 4) for n in range(3)}})
    assert MAX_DEFAULTS - 2500 < len(path) < MAX_DEFAULTS + 1000
    eventually(lambda: ns.revision(), lambda number: number == 2, "a rollout", details=ns.describe)
    ns.wait_until_ready()
    assert ns.cluster.hook_proxy.calls(ns.name, "hello")[-1].path == path


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_source_replaces_defaults_of_the_cluster(
    ns: SourceNamespace, defaults: Path, strategy: str, default_strategy: None
) -> None:
    apply_with(ns.cluster, strategy)
    ns.service()
    install(ns, defaults, {"resources": MEMORY, "labels": {"pool": "small", "disk": "ssd"}})
    ns.source(adapter={"resources": {"limits": {"memory": "300Mi"}}, "labels": {"pool": None, "zone": "a"}})
    ns.wait_until_ready()
    assert container(ns)["resources"] == {**MEMORY, "limits": {"memory": "300Mi"}}
    assert more_labels(ns.deployment()) == [{"disk": "ssd", "zone": "a"}] * 2
    ns.edit(adapter=None)
    ns.wait_until_ready()
    assert container(ns)["resources"] == MEMORY
    assert ns.revision() == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_changed_copied_label_causes_one_rollout_and_no_other_label_does(
    ns: SourceNamespace, defaults: Path, strategy: str, default_strategy: None
) -> None:
    apply_with(ns.cluster, strategy)
    ns.service()
    install(ns, defaults, {"labels": {"team": "none", "tier": "events"}}, copied_labels=TEAMS)
    ns.source()
    ns.wait_until_ready()
    first = ns.deployment()
    selector = first["spec"]["selector"]
    assert selector["matchLabels"].keys() == {"knative-eventing-source", "knative-eventing-source-name"}
    assert more_labels(first) == [{"team": "none", "tier": "events"}] * 2

    for n, team in enumerate(("blue", "red", None), start=2):
        label(ns, {"team": team, "other": f"n{n}"})
        changed = wait_for_labels(ns, {"team": team or "none", "tier": "events"})
        assert changed["spec"]["selector"] == selector
        eventually(ns.revision, lambda number, wanted=n: number >= wanted, f"rollout {n}", details=ns.describe)
        ns.wait_until_ready()
        assert ns.revision() == n

    before = ns.deployment()["metadata"]["generation"]
    label(ns, {"other": "again"})
    sync(ns)
    assert ns.deployment()["metadata"]["generation"] == before


def label(ns: SourceNamespace, labels: Object) -> None:
    ns.api.patch(*ns.sources, "hello", {"metadata": {"labels": labels}}, ns.name)


def wait_for_labels(ns: SourceNamespace, wanted: Object) -> Object:
    """The Deployment once it and its pods have these labels."""
    both = [wanted, wanted]
    found = eventually(ns.deployment, lambda seen: more_labels(seen) == both, f"labels {wanted}", details=ns.describe)
    return dict(found)


def more_labels(deployment: Object) -> list[Object]:
    """The labels of the Deployment and of its pods, without those of the hook and of Metacontroller."""
    metadata = deployment["metadata"], deployment["spec"]["template"]["metadata"]
    own = ("knative-eventing-source", "knative-eventing-source-name", "controller-uid")
    return [{name: text for name, text in each["labels"].items() if name not in own} for each in metadata]
