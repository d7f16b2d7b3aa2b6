"""Files are read again after an edit, as ``kubectl apply`` would read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sources_cli.admission.documents import Documents, Files, key, read_documents, read_yaml
from sources_cli.admission.files import MAX_BYTES
from sources_cli.local.watch import contents_of
from sources_cli.problem import Problem


def config_map(name: str, value: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: {value}}}\n---\n"


def values(documents: Documents) -> dict[str, str]:
    return {key(each): each["data"]["key"] for each in documents.objects}


def test_broken_file_keeps_its_last_objects_and_others_are_applied(tmp_path: Path) -> None:
    files = Files([tmp_path], "adapter.sources")
    (tmp_path / "a.yaml").write_text(config_map("a", "old"))
    (tmp_path / "b.yaml").write_text(config_map("b", "old"))
    assert files.read()[1] == []
    (tmp_path / "a.yaml").write_text(config_map("a", "new") + "- 1")
    (tmp_path / "b.yaml").write_text(config_map("b", "new"))
    (tmp_path / "c.yaml").write_text(config_map("c", "new"))
    documents, problems = files.read()
    assert values(documents) == {"default/a": "old", "default/b": "new", "default/c": "new"}
    assert problems == [
        f"{tmp_path}/a.yaml:6: not a Kubernetes object; each document needs apiVersion, kind and metadata"
    ]


def test_deleted_file_keeps_its_objects_unless_they_moved(tmp_path: Path) -> None:
    files = Files([tmp_path], "adapter.sources")
    (tmp_path / "a.yaml").write_text(config_map("a", "old"))
    (tmp_path / "z.yaml").write_text(config_map("k", "old") + config_map("z", "old"))
    files.read()
    (tmp_path / "z.yaml").unlink()
    (tmp_path / "a.yaml").write_text(config_map("a", "old") + config_map("z", "moved"))
    documents, problems = files.read()
    assert (values(documents), problems) == ({"default/k": "old", "default/z": "moved", "default/a": "old"}, [])


def test_later_object_of_the_same_name_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(config_map("a", "first") + config_map("a", "second"))
    documents, _ = Files([tmp_path], "adapter.sources").read()
    assert values(documents) == {"default/a": "second"}


POD = "spec: {template: {spec: {containers: [{}], %s}}}"
DEPLOYMENT = f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a}}\n{POD}\n"
OTHERS = {
    "namespace": (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: ../../etc}\n",
        '3: Service a: metadata.namespace: Invalid value: "../../etc": write at most 63 lower-case letters',
    ),
    "name": (
        "apiVersion: v1\nkind: Service\nmetadata: {name: [a]}\n",
        "3: Service ['a']: metadata.name: Invalid value: must be a string; put it in quotes",
    ),
    "secret": (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: [x]}\n",
        "3: Secret a: metadata.namespace: Invalid value: must be a string; put it in quotes",
    ),
    "number": (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  key: 12345\n",
        "5: Secret a: data.key: is not a string; put the value in quotes",
    ),
    "selector": (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {selector: [a]}\n",
        "4: Service a: spec.selector: Invalid value: must be of type object, not array",
    ),
    "spec": (
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: x\n",
        "4: Service a: spec: Invalid value: must be of type object, not string",
    ),
    "container": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: []}}}\n",
        "4: Deployment a: spec.template.spec.containers: Invalid value: 0 items; write at least 1",
    ),
    "volumes": (
        DEPLOYMENT % "volumes: x",
        '4: Deployment a: spec.template.spec.volumes: Invalid value: "x": must be of type array, not string',
    ),
    "file": (
        DEPLOYMENT % "volumes: [{projected: {sources: [{serviceAccountToken: {audience: x, path: ../a}}]}}]",
        "4: Deployment a: spec.template.spec.volumes[0].projected.sources[0].serviceAccountToken.path: Invalid value: "
        '"../a": must match the pattern ',
    ),
}


@pytest.mark.parametrize(("text", "problem"), OTHERS.values(), ids=OTHERS)
def test_object_that_is_no_source_is_checked_as_far_as_a_run_uses_it(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    documents, [found] = Files([tmp_path], "adapter.sources").read()
    assert found.startswith(f"{tmp_path}/a.yaml:{problem}")
    assert documents.objects == []


@pytest.mark.parametrize("spec", ["x", "[a]", "1"])
def test_sink_for_all_sources_does_not_hide_a_wrong_spec(tmp_path: Path, spec: str) -> None:
    (tmp_path / "a.yaml").write_text(
        f"apiVersion: samples.knative.dev/v1alpha1\nkind: SampleSource\nmetadata: {{name: a}}\nspec: {spec}\n"
    )
    _, [found] = Files([tmp_path], "adapter.sources", sink="http://h").read()
    assert "a.yaml:4: SampleSource a: spec: Invalid value: " in found


def test_each_problem_of_a_source_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: samples.knative.dev/v1alpha1\nkind: SampleSource\nmetadata: {name: a}\n"
        "spec:\n  first: 1\n  second: 2\n  sink: {uri: http://h}\n"
    )
    with pytest.raises(Problem) as caught:
        read_documents(Files([tmp_path], "adapter.sources"))
    first, second = str(caught.value).splitlines()
    assert "a.yaml:5: SampleSource a: spec.first: unknown field" in first
    assert "a.yaml:6: SampleSource a: spec.second: unknown field" in second


def test_list_of_many_objects_has_their_lines(tmp_path: Path) -> None:
    count = 8_000
    item = "{apiVersion: v1, kind: '1'}"
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: List\nitems:\n" + f"- {item}\n" * count)
    documents = read_yaml(tmp_path / "a.yaml")
    assert [document.line(()) for document in documents[-2:]] == [count + 2, count + 3]


def test_file_that_becomes_too_large_is_an_edit(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: 1")
    before = contents_of([tmp_path])
    (tmp_path / "a.yaml").write_text("a" * (MAX_BYTES + 1))
    assert contents_of([tmp_path], before) != before
