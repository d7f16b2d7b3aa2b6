"""Which kinds a cluster serves, and which source a word of the command line means."""

from __future__ import annotations

from typing import Any

import pytest

from sources_cli.cluster.kinds import ServedKind, ambiguous, not_found, served_kinds, source_kinds, wanted
from sources_cli.problem import Problem


def resource(
    kind: str, plural: str, *short: str, categories: Any = ("all", "sources"), scope: str = "Namespaced"
) -> Any:
    return {
        "resource": plural, "responseKind": {"group": "", "version": "", "kind": kind}, "scope": scope,
        "singularResource": kind.lower(), "shortNames": list(short), "categories": list(categories),
    }  # fmt: skip


def group(name: str, **versions: list[Any]) -> Any:
    listed = [{"version": version, "resources": resources} for version, resources in versions.items()]
    return {"metadata": {"name": name} if name else {}, "versions": listed}


SAMPLE = resource("SampleSource", "samplesources", "ssrc")
DISCOVERY = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        group("samples.knative.dev", v1=[SAMPLE], v1alpha1=[SAMPLE]),
        group("example.com", v1=[resource("QueueSource", "queuesources", "qs")]),
        group("", v1=[resource("Service", "services", "svc", categories=("all",))]),
        group(
            "rbac.authorization.k8s.io", v1=[resource("ClusterRole", "clusterroles", categories=(), scope="Cluster")]
        ),
    ],
}
KINDS = source_kinds(served_kinds(DISCOVERY))


def test_sources_are_the_kinds_of_the_category_each_once() -> None:
    assert [(kind.api_version, kind.kind) for kind in KINDS] == [
        ("example.com/v1", "QueueSource"),
        ("samples.knative.dev/v1", "SampleSource"),
    ]


def test_paths_follow_group_and_scope() -> None:
    paths = {kind.kind: kind.path("default", "x") for kind in served_kinds(DISCOVERY)}
    assert paths["SampleSource"] == "/apis/samples.knative.dev/v1/namespaces/default/samplesources/x"
    assert paths["Service"] == "/api/v1/namespaces/default/services/x"
    assert paths["ClusterRole"] == "/apis/rbac.authorization.k8s.io/v1/clusterroles/x"


@pytest.mark.parametrize(
    "word", ["SampleSource", "samplesource", "samplesources", "ssrc", "samplesources.samples.knative.dev", "SSRC"]
)
def test_kind_is_found_by_each_of_its_names(word: str) -> None:
    target = wanted(f"{word}/hello", KINDS)
    assert (target.name, [kind.kind for kind in target.kinds]) == ("hello", ["SampleSource"])


def test_name_alone_can_be_of_each_kind() -> None:
    assert [kind.kind for kind in wanted("hello", KINDS).kinds] == ["QueueSource", "SampleSource"]


@pytest.mark.parametrize("text", ["", "/", "/hello", "ssrc/", "ssrc/a/b"])
def test_malformed_word_is_a_problem_that_shows_an_example(text: str) -> None:
    with pytest.raises(Problem, match="write KIND/NAME or NAME, like queuesource/hello"):
        wanted(text, KINDS)


def test_unknown_kind_lists_the_kinds_and_suggests_one() -> None:
    with pytest.raises(Problem, match=r"the kinds are QueueSource, SampleSource; did you mean SampleSource\?"):
        wanted("samplesorce/hello", KINDS)


def test_cluster_without_sources_is_a_problem() -> None:
    with pytest.raises(Problem, match="no kinds of sources"):
        source_kinds([ServedKind("v1", "Service", "services")])


def test_missing_source_suggests_a_name() -> None:
    text = str(not_found(wanted("ssrc/helo", KINDS), "default", [(KINDS[1], "hello"), (KINDS[1], "other")]))
    assert text == (
        'there is no SampleSource "helo" in namespace default; it has samplesource/hello, samplesource/other; '
        "did you mean hello?"
    )
    assert str(not_found(wanted("hello", KINDS), "default", [])).endswith(
        "`sources list` shows those of all namespaces"
    )


def test_name_of_several_sources_lists_them() -> None:
    assert str(ambiguous("hello", KINDS)).endswith("write one of: queuesource/hello, samplesource/hello")
