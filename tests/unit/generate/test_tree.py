"""Trees of the generator: plain documents, templates, patches and replacements."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from metacontroller.generate import helm, overlays
from metacontroller.generate.__main__ import files
from metacontroller.generate.changes import differences
from metacontroller.generate.objects.kinds import controllers, crds, kinds, roles
from metacontroller.generate.tree import ITEM, Each, If, Leaf, Value, documents, has, plain, text
from metacontroller.generate.values import OPTIONS, defaults, with_values
from sources_cli.arguments import ManifestsOptions
from sources_cli.generate.rbac import rbac
from sources_cli.manifests import controller
from sources_cli.schema.crd import crd

VALUES = {"on": True, "off": False, "names": ["a", "b"], "tls": {"port": 443}, "namespace": "n"}
METADATA = {"name": "x"}


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"a": Value("tls.port")}, {"a": 443}),
        ({"a": If("on", 1), "b": If("off", 2), "c": If("off", 3, 4)}, {"a": 1, "c": 4}),
        ([If("off", 1), If(has("names", "b"), 2), If(has("names", "c"), 3)], [2]),
        ([0, Each("names", {"n": Leaf(".", lambda values: values[ITEM])})], [0, {"n": "a"}, {"n": "b"}]),
        (text("hook.", Value("namespace"), If("off", "!"), If("on", "?")), "hook.n?"),
    ],
)
def test_plain_documents_follow_values(tree: Any, expected: Any) -> None:
    assert plain(tree, VALUES) == expected


def test_missing_document_is_left_out() -> None:
    assert documents([If("off", {"kind": "A"}), If("on", {"kind": "B"})], VALUES) == [{"kind": "B"}]


def test_template_escapes_braces_and_keeps_texts() -> None:
    tree = {"kind": "A", "metadata": METADATA, "text": "{{ x }}", "more": [Value("on"), text('"{{', Value("off"))]}
    template = helm.template([tree], "header")
    shown = template.partition("---\n")[2].replace(helm.LABELS, "").replace('{{ "{{" }}', "{{")
    assert "{{ x }}" not in template
    assert "text: '{{ x }}'" in shown
    assert 'more:\n  - {{ $.Values.on | toJson }}\n  - "\\"{{{{ $.Values.off }}"' in shown


def test_conditions_stand_around_lines_of_the_same_indentation() -> None:
    tree = {"metadata": METADATA, "spec": {"a": 1, "b": If("on", {"c": Value("off")}, 2)}}
    lines = helm.template([If("on", tree), If("on", tree)], "header").splitlines()
    assert lines.count("{{- if $.Values.on }}") == 1
    assert "\n".join(lines[-9:]) == (
        "spec:\n  a: 1\n  {{- if $.Values.on }}\n  b:\n    c: {{ $.Values.off | toJson }}\n  {{- else }}\n  b: 2\n"
        "  {{- end }}\n{{- end }}"
    )


def test_map_of_conditions_only_is_refused() -> None:
    with pytest.raises(ValueError, match="write If around the whole"):
        helm.template([{"metadata": METADATA, "spec": {"a": If("on", 1)}}], "header")


def test_patches_give_the_new_document() -> None:
    old = {"a/b": 1, "list": [{"n": 1}, 2], "gone": 1, "shorter": [1, 2]}
    new = {"a/b": 2, "list": [{"n": 3}, 2, 4], "shorter": [1], "added": {}}
    assert [change.operation for change in differences(old, new)] == [
        {"op": "replace", "path": "/a~1b", "value": 2},
        {"op": "replace", "path": "/list/0/n", "value": 3},
        {"op": "add", "path": "/list/-", "value": 4},
        {"op": "remove", "path": "/gone"},
        {"op": "replace", "path": "/shorter", "value": [1]},
        {"op": "add", "path": "/added", "value": {}},
    ]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_kinds_are_those_of_sources_manifests(kind: Any) -> None:
    """For the options of the command that are values of the chart."""
    sink_kinds = ("v1/Service", "eventing.knative.dev/v1/Broker", "example.com/v1/Policy")
    changed = {"sinkKinds": list(sink_kinds), "diagnosePods": True, "namespace": "hooks"}
    values = with_values({**changed, "metacontroller.namespace": "ns", "metacontroller.serviceAccount": "account"})
    options = ManifestsOptions(
        "",
        sink_kinds=sink_kinds,
        hook="hooks/sources-hook",
        metacontroller="ns/account",
        diagnose_pods=True,
    )
    expected = [crd(kind), controller(kind, options), *rbac(kind, sink_kinds, "ns/account", diagnose_pods=True)]
    assert documents([*crds(kind), *controllers(kind), *roles(kind)], values) == expected


def test_every_setting_of_kustomize_is_a_value() -> None:
    [settings] = yaml.safe_load_all(files()["settings/settings.yaml"])
    values = defaults()
    assert settings["data"] == {
        "image": values["image"],
        "namespace": values["namespace"],
        "metacontrollerNamespace": values["metacontroller"]["namespace"],
        "metacontrollerServiceAccount": values["metacontroller"]["serviceAccount"],
    }
    assert settings["data"].keys() == overlays.SETTINGS.keys()


def test_values_file_has_the_defaults_and_a_description_of_each() -> None:
    text = files()["chart/values.yaml"]
    assert {**yaml.safe_load(text), "namespace": "sample-source"} == defaults()
    assert len([line for line in text.splitlines() if line.lstrip().startswith("# ")]) > len(OPTIONS)
