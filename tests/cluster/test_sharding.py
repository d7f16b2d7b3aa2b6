"""Two Metacontrollers divide the sources by a label, as docs/metacontroller.md shows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from tests.cluster.api import Object, eventually
from tests.cluster.explained import explained, reasons
from tests.cluster.local_cluster import CONTROLLERS, KIND, ROOT, SOURCES, LocalCluster, with_hook_url
from tests.cluster.metacontroller import Metacontroller
from tests.cluster.namespace import SourceNamespace
from tests.pages import blocks

SHARDS = ("a", "b")
UNDIVIDED = f"{KIND.plural}.{KIND.group}"
STARTED = re.compile(r'"Starting CompositeController".*?"name":"([^"]+)"')


@pytest.fixture(scope="module")
def overlays(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Object]]:
    """The objects of each overlay of the page."""
    directory = tmp_path_factory.mktemp("pages") / "metacontroller"
    shutil.copytree(ROOT / "metacontroller", directory)
    found = {}
    for block in blocks("docs/metacontroller.md", "## Divide the sources"):
        if block.language == "yaml":
            [shard] = set(re.findall(r"shard: (\w)\b", block.text))
            overlay = directory / f"overlays/shard-{shard}"
            overlay.mkdir()
            (overlay / "kustomization.yaml").write_text(block.text)
            code, text, errors = cluster.plane.kubectl("kustomize", str(overlay))
            assert (code, errors) == (0, ""), errors
            found[shard] = list(yaml.safe_load_all(text))
    assert tuple(found) == SHARDS
    return found


@pytest.fixture
def shards(
    ns: SourceNamespace, overlays: dict[str, list[Object]], tmp_path: Path
) -> Iterator[dict[str, Metacontroller]]:
    """One Metacontroller for each overlay, instead of the one of the session."""
    cluster = ns.cluster
    cluster.metacontroller.stop()
    cluster.api.delete(*CONTROLLERS, UNDIVIDED)
    names, running = [], {}
    try:
        for shard, documents in overlays.items():
            controller = with_hook_url(cluster.hook_proxy, deepcopy(controller_of(documents)))
            names.append(cluster.api.apply(controller)["metadata"]["name"])
            directory = tmp_path / shard
            directory.mkdir()
            running[shard] = Metacontroller(cluster.plane, directory)
            running[shard].start("dynamic-apply", flag_of(documents))
        yield running
    finally:
        for each in running.values():
            each.stop()
        for name in names:
            cluster.api.delete(*CONTROLLERS, name)
        cluster.install()


def controller_of(documents: list[Object]) -> Object:
    [found] = [
        document
        for document in documents
        if document["kind"] == "CompositeController" and document["spec"]["parentResource"]["resource"] == KIND.plural
    ]
    return found


def flag_of(documents: list[Object]) -> str:
    [flag] = [
        argument
        for document in documents
        if document["kind"] == "Deployment" and document["metadata"]["name"].startswith("metacontroller")
        for argument in document["spec"]["template"]["spec"]["containers"][0]["args"]
        if argument.startswith("--target-label-selector")
    ]
    return str(flag)


def set_label(ns: SourceNamespace, name: str, shard: str) -> None:
    ns.api.patch(*SOURCES, name, {"metadata": {"labels": {"shard": shard}}}, ns.name)


def callers(ns: SourceNamespace, name: str, path: str) -> list[str]:
    """For each call about the source in turn: the shard of the CompositeController that caused it."""
    calls = ns.cluster.hook_proxy.calls(ns.name, name, path)
    return [call.request["controller"]["metadata"]["labels"]["shard"] for call in calls]


def syncs(ns: SourceNamespace, name: str) -> list[str]:
    return callers(ns, name, "/sync")


def test_only_the_second_overlay_leaves_out_what_the_first_one_installs(overlays: dict[str, list[Object]]) -> None:
    """Their objects have different names, and no selector of a Deployment matches the pods of another one."""
    first, second = (
        {(document["kind"], document["metadata"]["name"]) for document in overlays[shard]} for shard in SHARDS
    )
    assert {kind for kind, _ in second} == {"CompositeController", "Deployment"}
    assert len([kind for kind, _ in second if kind == "Deployment"]) == 1
    assert not first & second
    deployments = [
        document["spec"] for shard in SHARDS for document in overlays[shard] if document["kind"] == "Deployment"
    ]
    for one in deployments:
        selector = one["selector"]["matchLabels"].items()
        assert [other for other in deployments if selector <= other["template"]["metadata"]["labels"].items()] == [one]


def test_each_source_is_synced_by_the_metacontroller_of_its_label(
    ns: SourceNamespace, shards: dict[str, Metacontroller]
) -> None:
    """A source without the label gets no status and no event. `sources explain` says why."""
    ns.service()
    ns.source("unlabelled")
    expected = {f"s{number}": {SHARDS[number % 2]} for number in range(6)}
    for name, [shard] in expected.items():
        ns.source(name, labels={"shard": shard})
    for name in expected:
        ns.wait_until_ready(name)
    assert {name: set(syncs(ns, name)) for name in expected} == expected
    started = {shard: set(STARTED.findall(each.log.read_text())) for shard, each in shards.items()}
    assert started == {"a": {UNDIVIDED}, "b": {f"{UNDIVIDED}-b"}}
    assert (ns.read("unlabelled").get("status"), syncs(ns, "unlabelled"), ns.events("SyncError")) == (None, [], [])
    messages = {finding.reason: finding.message for finding in explained(ns, "unlabelled").findings}
    assert "labelSelector" in messages["ControllerMissing"]
    set_label(ns, "unlabelled", "a")
    ns.wait_until_ready("unlabelled")
    assert "ControllerMissing" not in reasons(ns, "unlabelled")


def test_source_moves_with_its_label_and_keeps_its_deployment(
    ns: SourceNamespace, shards: dict[str, Metacontroller]
) -> None:
    """No Metacontroller syncs a version of the source that has the label of the other one."""
    ns.service()
    ns.source(labels={"shard": "a"})
    ns.wait_until_ready()
    uid, revision = ns.deployment()["metadata"]["uid"], ns.revision()
    set_label(ns, "hello", "b")
    eventually(lambda: syncs(ns, "hello"), lambda found: found[-1:] == ["b"], "a sync by b", details=ns.describe)
    ns.edit(interval="20s")
    ns.wait_until_ready()
    calls = ns.cluster.hook_proxy.calls(ns.name, "hello")
    assert [call.request["parent"]["metadata"]["labels"]["shard"] for call in calls] == syncs(ns, "hello")
    assert (ns.deployment()["metadata"]["uid"], ns.revision()) == (uid, revision + 1)


def test_each_metacontroller_asks_about_all_sources_when_a_service_changes(
    ns: SourceNamespace, shards: dict[str, Metacontroller]
) -> None:
    """It asks before it looks at the label, so the customize hook is not divided. Only one of them syncs the source."""
    ns.service()
    for shard in SHARDS:
        ns.source(shard, labels={"shard": shard})
        ns.wait_until_ready(shard)
    ns.api.patch("v1", "services", "display", {"spec": {"ports": [{"port": 8080, "name": "http"}]}}, ns.name)
    for shard in SHARDS:
        eventually(
            lambda shard=shard: set(callers(ns, shard, "/customize")),
            lambda found: found == {*SHARDS},
            "both ask",
            details=ns.describe,
        )
        eventually(
            lambda shard=shard: ns.read(shard)["status"]["sinkUri"],
            lambda uri: uri.endswith(":8080"),
            "the new port",
            details=ns.describe,
        )
        assert set(syncs(ns, shard)) == {shard}


def test_two_metacontrollers_call_the_hook_after_a_controller_got_the_label_of_the_other_one(
    ns: SourceNamespace, shards: dict[str, Metacontroller]
) -> None:
    """Metacontroller ignores a controller that no longer matches, and does not stop it. So the page says to restart."""
    ns.service()
    ns.source(labels={"shard": "a"})
    ns.wait_until_ready()
    ns.api.patch(*CONTROLLERS, UNDIVIDED, {"metadata": {"labels": {"shard": "b"}}})
    eventually(lambda: syncs(ns, "hello"), lambda found: "b" in found, "a sync by b", details=ns.describe)
    before = len(syncs(ns, "hello"))
    ns.edit(interval="20s")
    eventually(lambda: set(syncs(ns, "hello")[before:]), lambda found: found == {"a", "b"}, "both", details=ns.describe)
    ns.wait_until_ready()
