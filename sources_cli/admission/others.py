"""Checks the objects that are not sources, as far as ``sources run`` uses them. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from adapter.contract.formats import Json
from sources_cli.admission import metadata as metadata_checks
from sources_cli.admission.validate import Violation, stored, value_violations

_TEXT: Json = {"type": "string"}
_TEXTS: Json = {"type": "object", "additionalProperties": _TEXT}


def _object(required: tuple[str, ...] = (), **properties: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


_KEY = _object(("name", "key"), name=_TEXT, key=_TEXT, optional={"type": "boolean"})
_VALUE_FROM = _object(secretKeyRef=_KEY, configMapKeyRef=_KEY, fieldRef=_object(fieldPath=_TEXT))
_CONTAINER = _object(
    command=_list(_TEXT),
    args=_list(_TEXT),
    env=_list(_object(("name",), name=_TEXT, value=_TEXT, valueFrom=_VALUE_FROM)),
)
# `sources run` writes a file of this name, which must not be outside its own directory.
_FILE = {"type": "string", "pattern": "^[A-Za-z0-9_][-A-Za-z0-9_.]*$"}
_TOKEN = _object(("audience", "path"), audience=_TEXT, path=_FILE)
_VOLUME = _object(projected=_object(sources=_list(_object(serviceAccountToken=_TOKEN))))
_POD = _object(
    ("containers",),
    containers={**_list(_CONTAINER), "minItems": 1},
    volumes=_list(_VOLUME),
    terminationGracePeriodSeconds={"type": "integer", "minimum": 0, "maximum": 86400},
)
_TEMPLATE = _object(("spec",), metadata=_object(labels=_TEXTS), spec=_POD)
_SCHEMAS = {
    ("apps/v1", "Deployment"): _object(("spec",), spec=_object(("template",), template=_TEMPLATE)),
    ("v1", "Service"): _object(spec=_object(selector=_TEXTS)),
}


def violations(document: dict[str, Json]) -> list[Violation]:
    """Why an API server would reject the object. Only what ``sources run`` needs is checked."""
    metadata = document["metadata"]
    if undecodable := list(metadata_checks.undecodable(metadata)):
        return undecodable[:1]
    data = data_violations(document) if document["kind"] in ("Secret", "ConfigMap") else ()
    return [*metadata_checks.namespace_mistakes(metadata), *data, *value_violations(_schema(document), document)]


def stored_object(document: dict[str, Json]) -> dict[str, Json]:
    """``document``: without violations. The result has no nulls where the API server stores none."""
    kept: dict[str, Json] = stored(_schema(document), document)
    return kept


def _schema(document: dict[str, Json]) -> Json:
    return _SCHEMAS.get((document["apiVersion"], document["kind"]), {})


def data_violations(document: dict[str, Json]) -> Iterator[Violation]:
    """Of a Secret or a ConfigMap. Shows no value."""
    for field in ("data", "stringData"):
        entries = document.get(field) or {}
        if not isinstance(entries, dict):
            yield Violation((field,), "is not a mapping; write key: value")
            return
        for key, value in entries.items():
            if not isinstance(value, str):
                yield Violation((field, key), "is not a string; put the value in quotes")
            elif document["kind"] == "Secret" and field == "data" and not _is_base64(value):
                yield Violation((field, key), "is not base64; encode the value, or write it under stringData")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True
