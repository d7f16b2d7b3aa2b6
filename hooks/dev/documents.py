"""YAML files -> Kubernetes objects as the API server would have stored them. Reads files; starts nothing."""

from __future__ import annotations

import base64
import importlib
import pkgutil
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

import adapter.sources
from adapter.contract import format_time
from adapter.source import Source
from hooks.dev.problem import Problem
from hooks.resources import plural

Json = Any
CORE_API_VERSIONS = ("v1", "apps/v1")


class _Loader(yaml.SafeLoader):
    """Times stay text, as in the JSON an API server gets."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True)
class Documents:
    """Everything the files hold; ``sources`` is the part that is run through the hook."""

    objects: Sequence[dict[str, Json]]

    @property
    def sources(self) -> list[dict[str, Json]]:
        return [document for document in self.objects if is_source(document)]

    @property
    def values(self) -> dict[tuple[str, str, str], dict[str, str]]:
        """What Secrets and ConfigMaps hold, as a container sees it."""
        return {
            (it["kind"], it["metadata"]["namespace"], it["metadata"]["name"]): _texts(it)
            for it in self.objects
            if it["apiVersion"] == "v1" and it["kind"] in ("Secret", "ConfigMap")
        }

    @property
    def sink_kinds(self) -> list[str]:
        """``v1/Service`` and every other kind in the files that has an address; ``<apiVersion>/<Kind>``."""
        kinds = [f"{it['apiVersion']}/{it['kind']}" for it in self.objects if _has_address(it)]
        return list(dict.fromkeys(("v1/Service", *kinds)))

    def of_resource(self, api_version: str, resource: str) -> list[dict[str, Json]]:
        return [it for it in self.objects if (it["apiVersion"], plural(it["kind"])) == (api_version, resource)]

    def of_kind(self, api_version: str, kind: str) -> list[dict[str, Json]]:
        return [it for it in self.objects if (it["apiVersion"], it["kind"]) == (api_version, kind)]


def is_source(document: dict[str, Json]) -> bool:
    return document["apiVersion"] not in CORE_API_VERSIONS and document["kind"].endswith("Source")


def key(document: dict[str, Json]) -> str:
    """How Metacontroller v2 names an object within its kind."""
    return f"{document['metadata']['namespace']}/{document['metadata']['name']}"


def read_documents(files: Iterable[Path]) -> Documents:
    paths = list(files)
    documents = Documents([document for path in paths for document in _read(path)])
    if not documents.sources:
        raise Problem(f"{', '.join(map(str, paths))}: no source in it; add an object whose kind ends with Source")
    for source in documents.sources:
        event_types(source["kind"])
    return documents


def event_types(kind: str) -> tuple[str, ...]:
    """The types a kind emits, from its class in ``adapter.sources``."""
    module = _WORD.sub("_", kind).lower()
    known = [info.name for info in pkgutil.iter_modules(adapter.sources.__path__)]
    cls = getattr(importlib.import_module(f"adapter.sources.{module}"), kind, None) if module in known else None
    if not (isinstance(cls, type) and issubclass(cls, Source)):
        kinds = ", ".join(sorted("".join(word.capitalize() for word in name.split("_")) for name in known))
        raise Problem(f'kind "{kind}" has no class in adapter.sources; there are: {kinds}')
    return cls.event_types


def _read(path: Path) -> list[dict[str, Json]]:
    try:
        parsed = list(yaml.load_all(path.read_text(encoding="utf-8"), _Loader))
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Problem(f"{path}: is not UTF-8 text") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise Problem(f"{path}:{mark.line + 1 if mark else 1}: broken YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise Problem(f"{path}: broken YAML: {str(error).splitlines()[0]}") from None
    return [_stored(path, document) for document in parsed if document is not None]


def _stored(path: Path, document: Json) -> dict[str, Json]:
    """What the API server adds at creation."""
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) and value for value in (document.get("apiVersion"), document.get("kind"))
    ):
        raise Problem(f"{path}: not a Kubernetes object; each document needs apiVersion, kind and metadata")
    if not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise Problem(f"{path}: {document['kind']} needs metadata.name")
    if document["kind"] == "Deployment" and not _has_container(document):
        raise Problem(f"{path}: Deployment {metadata['name']} needs spec.template.spec.containers")
    if document["kind"] in ("Secret", "ConfigMap") and (problem := _secret_problem(document)):
        raise Problem(f"{path}: {document['kind']} {metadata['name']}: {problem}")
    created = {
        "namespace": "default",
        "uid": str(uuid.uuid4()),
        "creationTimestamp": format_time(datetime.now(UTC)),
        "generation": 1,
    }
    return {**document, "metadata": {**created, **metadata}}


def _texts(document: dict[str, Json]) -> dict[str, str]:
    data = {key: str(value) for key, value in (document.get("data") or {}).items()}
    if document["kind"] == "ConfigMap":
        return data
    decoded = {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}
    return decoded | {key: str(value) for key, value in (document.get("stringData") or {}).items()}


def _secret_problem(document: dict[str, Json]) -> str | None:
    for field in ("data", "stringData"):
        entries = document.get(field) or {}
        if not isinstance(entries, dict):
            return f"{field} is no mapping; write key: value"
        for key, value in entries.items():
            if not isinstance(value, str):
                return f"{field}.{key} is not a string; put it in quotes"
            if document["kind"] == "Secret" and field == "data" and not _is_base64(value):
                return f"data.{key} is not base64; encode it, or write it under stringData"
    return None


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _has_address(document: dict[str, Json]) -> bool:
    status = document.get("status")
    return isinstance(status, dict) and bool(status.get("address") or status.get("addresses"))


def _has_container(deployment: dict[str, Json]) -> bool:
    try:
        return isinstance(deployment["spec"]["template"]["spec"]["containers"][0], dict)
    except (KeyError, TypeError, IndexError):
        return False
