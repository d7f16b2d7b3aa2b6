"""Defaults for spec.adapter: of the class of a kind, and of the file of --adapter-defaults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hooks.app import options_from
from sources_cli.admission.adapter_defaults import read_adapter_defaults
from sources_cli.kind import MAX_DEFAULTS, QUERY_SAFE, ClusterOptions
from sources_cli.manifests import urlencode
from sources_cli.problem import Problem
from tests.unit.sources_cli.kinds import kind_with

CLASS = {"resources": {"requests": {"cpu": "20m"}, "limits": {"memory": "256Mi"}}, "nodeSelector": {"pool": "a"}}


def read(tmp_path: Path, text: str) -> Any:
    file = tmp_path / "defaults.yaml"
    file.write_text(text)
    return read_adapter_defaults(file)


def problem(tmp_path: Path, text: str) -> str:
    with pytest.raises(Problem) as raised:
        read(tmp_path, text)
    return str(raised.value).replace(f"{tmp_path}/", "")


def test_defaults_of_the_cluster_are_merged_over_those_of_the_class() -> None:
    cluster = {"resources": {"limits": {"memory": None}}, "nodeSelector": None}
    query = kind_with({}, adapter=CLASS).query(ClusterOptions(cluster, ("team", "example.com/team")))
    merged = {"nodeSelector": None, "resources": {"limits": {"memory": None}, "requests": {"cpu": "20m"}}}
    assert query["adapter"] == json.dumps(merged, separators=(",", ":"))
    options = options_from(urlencode(query, safe=QUERY_SAFE).encode())
    assert (options.adapter, options.copied_labels) == (merged, ("team", "example.com/team"))


def test_kind_without_defaults_and_labels_has_no_parameters_for_them() -> None:
    assert kind_with({}).query(ClusterOptions()) == {}


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}"])
def test_empty_file_has_no_defaults(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == {}


def test_file_keeps_null(tmp_path: Path) -> None:
    assert read(tmp_path, "nodeSelector: {pool: null}\ntolerations:\n") == {
        "nodeSelector": {"pool": None},
        "tolerations": None,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("- a\n", "defaults.yaml:1: the document is a list with 1 item: write a map", id="list"),
        pytest.param("nodeSelector: {a: b}\n---\na: 1\n", "defaults.yaml:3: a second document begins here", id="two"),
        pytest.param("a: [\n", "defaults.yaml:2: broken YAML: ", id="broken"),
        pytest.param(
            "labels: {}\nresource: {}\n",
            "defaults.yaml:2: resource: unknown field; known fields: resources, nodeSelector, ",
            id="unknown field",
        ),
        pytest.param(
            "resources:\n  limits:\n    memory: lots\n",
            'defaults.yaml:3: resources.limits.memory: Invalid value: "lots": write bytes like "256Mi"',
            id="quantity",
        ),
        pytest.param(
            "env:\n- name: K_SINK\n  value: x\n", 'defaults.yaml:2: env[0].name: Invalid value: "K_SINK": ', id="name"
        ),
        pytest.param("securityContext: {}\n", "defaults.yaml:1: securityContext: unknown field", id="not in the list"),
    ],
)
def test_invalid_file_names_file_line_field_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    assert problem(tmp_path, text).startswith(message)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"none\.yaml: No such file or directory"):
        read_adapter_defaults(tmp_path / "none.yaml")


def test_levels_that_are_valid_alone_may_not_fit_together() -> None:
    cluster = ClusterOptions({"resources": {"requests": {"memory": "512Mi"}}})
    with pytest.raises(Problem, match=r"TinySource\.adapter with the defaults of the file: adapter\.resources"):
        kind_with({}, adapter=CLASS).query(cluster)


def test_longest_defaults_are_accepted_and_longer_ones_are_refused_with_the_length() -> None:
    def query(text: str) -> str:
        return kind_with({}).query(ClusterOptions({"annotations": {f"n{n}": text for n in range(4)}}))["adapter"]

    def length(text: str) -> int:
        return len(quote(query(text), safe=QUERY_SAFE))

    spare = (MAX_DEFAULTS - length("x")) // 4
    assert MAX_DEFAULTS - 4 < length("x" * (spare + 1)) <= MAX_DEFAULTS
    with pytest.raises(Problem, match=rf"TinySource take \d+ characters .*; write at most {MAX_DEFAULTS}$"):
        query("x" * (spare + 2))
