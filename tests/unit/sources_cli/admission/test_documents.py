"""Files are read again after an edit, as ``kubectl apply`` would read them."""

from __future__ import annotations

from pathlib import Path

from sources_cli.admission.documents import Documents, Files, key


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
