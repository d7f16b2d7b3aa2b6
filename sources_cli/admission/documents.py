"""YAML files -> Kubernetes objects as the API server would have stored them. Reads files; starts nothing."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adapter.contract.formats import format_time
from hooks.names import plural
from sources_cli.admission import yaml
from sources_cli.admission.resource import object_violations
from sources_cli.admission.validate import stored
from sources_cli.kind import Kind, kind_named
from sources_cli.problem import Problem
from sources_cli.schema.crd import spec_schema

Json = Any
NO_SOURCE = "no source in it; add an object whose kind ends with Source"
CORE_API_VERSIONS = ("v1", "apps/v1")


@dataclass(frozen=True)
class Documents:
    """Everything the files hold; ``sources`` is the part that is run through the hook."""

    objects: Sequence[dict[str, Json]]
    package: str

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


def read_documents(files: Iterable[Path], package: str, *, sink: str | None = None) -> Documents:
    """``package``: where the sources' classes are; ``sink``: the URL every source sends to, whatever it says."""
    paths = list(files)
    documents = Documents([_stored(path, it, package, sink) for path in paths for it in read_yaml(path)], package)
    if not documents.sources:
        raise Problem(f"{', '.join(map(str, paths))}: {NO_SOURCE}")
    return documents


def read_yaml(path: Path) -> list[yaml.Document]:
    """The Kubernetes objects in a file, each with apiVersion, kind and metadata."""
    try:
        documents = yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Problem(f"{path}: is not UTF-8 text") from None
    except yaml.BrokenYAML as error:
        raise Problem(f"{path}:{error.line}: broken YAML: {error}") from None
    for document in documents:
        value = document.value
        if not isinstance(value, dict) or not all(
            isinstance(it, str) and it for it in (value.get("apiVersion"), value.get("kind"))
        ):
            line = document.line(())
            raise Problem(f"{path}:{line}: not a Kubernetes object; each document needs apiVersion, kind and metadata")
    return documents


def _stored(path: Path, written: yaml.Document, package: str, sink: str | None) -> dict[str, Json]:
    """What the API server keeps of it, or a Problem where it would refuse."""
    document = written.value
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
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
    if is_source(document):
        if sink:
            document["spec"] = {**(document.get("spec") or {}), "sink": {"uri": sink}}
        document = _as_source(path, written, kind_named(document["kind"], package))
    return {**document, "metadata": {**created, **metadata}}


def _as_source(path: Path, written: yaml.Document, kind: Kind) -> dict[str, Json]:
    for violation in object_violations(kind, written.value):
        name = f"{kind.name} {written.value['metadata']['name']}"
        raise Problem(f"{path}:{written.line(violation.path)}: {name}: {violation.text}")
    return {**written.value, "spec": stored(spec_schema(kind), written.value["spec"])}


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
