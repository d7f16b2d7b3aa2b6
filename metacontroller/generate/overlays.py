"""The directories for kustomize: ``base``, ``settings``, and a component for each feature.

A component consists of patches: the difference that the values of the feature make.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from adapter.contract.formats import Json
from adapter.loading import module_name
from metacontroller.generate.changes import Change, Id, changes, differences, identity
from metacontroller.generate.installation import FEATURES, HEADER, Feature, parts, trees
from metacontroller.generate.objects import quickstart
from metacontroller.generate.tree import NAMESPACE, Tree, Values, documents, value_at
from metacontroller.generate.values import KINDS, defaults, with_values
from sources_cli.admission import yaml

# Key of settings.yaml -> the path of the value that it replaces.
SETTINGS = {
    "image": "image",
    "namespace": NAMESPACE,
    "metacontrollerNamespace": "metacontroller.namespace",
    "metacontrollerServiceAccount": "metacontroller.serviceAccount",
}
_OTHER = "OTHER"
SETTINGS_OBJECT = {"kind": "ConfigMap", "name": "sample-source-settings"}


@dataclass(frozen=True)
class Place:
    """A field. If ``delimiter`` is set: the part with ``index`` of the text between the delimiters."""

    field: str
    delimiter: str = ""
    index: int = 0


def files() -> dict[str, str]:
    """The text of each file, by its path below ``metacontroller``."""
    texts = {**_base(), **_metacontroller(), **_settings(), "overlays/default/kustomization.yaml": _default()}
    for name, feature in FEATURES.items():
        texts |= _component(name, feature)
        if feature.overlay:
            directories = ["../default", *([f"../../{feature.directory}"] if feature.directory else [])]
            overlay = _kustomization(resources=directories, components=[f"../../components/{name}"])
            texts[f"overlays/{name}/kustomization.yaml"] = _dump([overlay], f"default, and: {feature.title}")
    return texts


def _base() -> dict[str, str]:
    found = {name: documents(part, defaults()) for name, part in parts().items()}
    listed = {f"{name}.yaml": content for name, content in found.items() if content}
    title = "The hook, and what Metacontroller needs for all kinds. metacontroller/sources/KIND adds a kind."
    return {
        "base/kustomization.yaml": _dump([_kustomization(resources=[*listed])], title),
        **{f"base/{name}": _dump(content) for name, content in listed.items()},
    }


def _metacontroller() -> dict[str, str]:
    documents_ = documents(parts()["metacontroller"], with_values({"metacontroller.install": True}))
    title = "Metacontroller without roles and CRDs. The roles are in base and in metacontroller/sources/KIND."
    return {
        "metacontroller/kustomization.yaml": _dump([_kustomization(resources=["metacontroller.yaml"])], title),
        "metacontroller/metacontroller.yaml": _dump(documents_),
    }


def _default() -> str:
    directories = [f"../../sources/{module_name(kind)}" for kind in KINDS]
    content = _kustomization(resources=["../../base", *directories], components=["../../settings"])
    return _dump([content], "The hook and all kinds.")


def _component(name: str, feature: Feature) -> dict[str, str]:
    """The differences that the values of a feature make. Settings in them are replaced here: patches come later."""
    values = with_values(feature.values)
    old, new = documents(trees(), with_values(feature.needs)), documents(trees(), values)
    known = {identity(document) for document in old}
    if known - {identity(document) for document in new}:
        raise ValueError(f"{name} removes an object; a component of kustomize only adds and changes them")
    added = [document for document in new if identity(document) not in known]
    changed = {id: yaml.dump([[each.operation for each in found]]) for id, found in changes(old, new).items() if found}
    content = _kustomization(
        kind="Component",
        resources=["added.yaml"] if added else [],
        patches=[{"target": _selector(ids), "patch": patch} for patch, ids in _grouped(changed)],
        replacements=list(_replacements(trees(), values, without=defaults())),
    )
    texts = {f"components/{name}/kustomization.yaml": _dump([content], feature.title)}
    return {**texts, f"components/{name}/added.yaml": _dump(added)} if added else texts


def _settings() -> dict[str, str]:
    """A component: the values of one file replace the defaults in all objects."""
    config_map = {
        "apiVersion": "v1",
        "kind": SETTINGS_OBJECT["kind"],
        "metadata": {
            "name": SETTINGS_OBJECT["name"],
            "annotations": {"config.kubernetes.io/local-config": "true"},
        },
        "data": {key: value_at(defaults(), path) for key, path in SETTINGS.items()},
    }
    replaced = [*trees(), *quickstart.trees()]
    everywhere = with_values({"quickstart.enabled": True})
    component = _kustomization(
        kind="Component", resources=["settings.yaml"], replacements=list(_replacements(replaced, everywhere))
    )
    return {
        "settings/settings.yaml": yaml.dump(
            [config_map], header="Edit this file: the image, and the names of namespaces. It is not applied itself."
        ),
        "settings/kustomization.yaml": _dump([component], "Puts the values of settings.yaml into all objects."),
    }


def _replacements(part: list[Tree], values: Values, without: Values | None = None) -> Iterator[Json]:
    """For each setting: the places that depend on it, except those that do so with the values ``without``."""
    for key, path in SETTINGS.items():
        places = _places(part, values, path)
        known = _places(part, without, path) if without is not None else {}
        new = {id: [place for place in found if place not in known.get(id, [])] for id, found in places.items()}
        targets = [
            _target(ids, group)
            for whole in (True, False)
            for group, ids in _grouped({id: _fields(found, whole) for id, found in new.items()})
            if group
        ]
        if targets:
            yield {"source": {**SETTINGS_OBJECT, "fieldPath": f"data.{key}"}, "targets": targets}


def _places(part: list[Tree], values: Values, path: str) -> dict[Id, list[Place]]:
    """The fields of each object that depend on the value at ``path``."""
    changed = deepcopy(dict(values))
    *outer, last = path.split(".")
    place = changed
    for name in outer:
        place = place[name]
    place[last] = _OTHER
    pairs = zip(documents(part, values), documents(part, changed), strict=True)
    return {
        identity(old): [_place(old, change) for change in differences(old, new)] for old, new in pairs if old != new
    }


def _place(document: Json, change: Change) -> Place:
    """Of a text that contains the value, kustomize replaces one of the parts between delimiters."""
    names, inner = [], document
    for name in change.path:
        in_list = isinstance(name, int) and isinstance(inner[name], dict) and "name" in inner[name]
        names.append(f"[name={inner[name]['name']}]" if in_list and len(inner) > 1 else str(name).replace(".", r"\."))
        inner = inner[name]
    before, _, after = change.new.partition(_OTHER)
    if not before and not after:
        return Place(".".join(names))
    delimiter = before[-1:] or after[:1]
    if before[-1:] not in ("", delimiter) or after[:1] not in ("", delimiter):
        raise ValueError(f"{change.path}: kustomize cannot replace a part of {change.old}")
    return Place(".".join(names), delimiter, before.count(delimiter))


def _fields(found: Sequence[Place], whole: bool) -> tuple[Place, ...]:
    return tuple(place for place in found if (place.delimiter == "") is whole)


def _target(ids: Sequence[Id], places: tuple[Place, ...]) -> Json:
    """``places`` have the same delimiter."""
    [(delimiter, index)] = {(place.delimiter, place.index) for place in places}
    options = {"options": {"delimiter": delimiter, "index": index}} if delimiter else {}
    return {"select": _selector(ids), "fieldPaths": [place.field for place in places], **options}


def _grouped(found: Mapping[Id, Any]) -> list[tuple[Any, list[Id]]]:
    """Each value with the objects that have it. The objects of a group are of one kind."""
    groups: dict[tuple[str, Any], list[Id]] = {}
    for id, value in found.items():
        groups.setdefault((id[0], value), []).append(id)
    return [(value, ids) for (_, value), ids in groups.items()]


def _selector(ids: Sequence[Id]) -> Json:
    """Of several objects, the name is a regular expression."""
    names = [name for _, name in ids]
    return {"kind": ids[0][0], "name": names[0] if len(names) == 1 else f"({'|'.join(names)})"}


def _kustomization(kind: str = "Kustomization", **fields: Sequence[Json]) -> Json:
    version = "v1alpha1" if kind == "Component" else "v1beta1"
    filled = {key: value for key, value in fields.items() if value}
    return {"apiVersion": f"kustomize.config.k8s.io/{version}", "kind": kind, **filled}


def _dump(content: Sequence[Json], title: str = "") -> str:
    return yaml.dump(content, header=f"{title}\n{HEADER}".strip())
