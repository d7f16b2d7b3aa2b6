"""Reads YAML files as the Kubernetes objects that an API server would store."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapter.contract.formats import Json, format_time
from adapter.contract.kind_names import plural
from hooks.checkpoint import Checkpoint
from sources_cli.admission import others, yaml
from sources_cli.admission.files import text_of
from sources_cli.admission.resource import object_violations, pool_violations
from sources_cli.admission.validate import Violation, stored
from sources_cli.arguments import files_of
from sources_cli.kind import Kind, UnknownKind, kind_named, kinds_in
from sources_cli.problem import Problem
from sources_cli.schema.crd import spec_schema
from sources_cli.schema.pool_crds import GROUP, POOL, VERSION

Identity = Callable[[dict[str, Json]], dict[str, Json]]  # object -> its uid and creationTimestamp
NO_SOURCE = "no sources found; add an object whose kind ends in Source"
_NO_OBJECT = "not a Kubernetes object; each document needs apiVersion, kind and metadata"


@dataclass(frozen=True)
class Documents:
    """All objects of the files. The hook gets those in ``sources``."""

    objects: Sequence[dict[str, Json]]
    package: str

    @property
    def sources(self) -> list[dict[str, Json]]:
        return [document for document in self.objects if is_source(document)]

    @property
    def pools(self) -> list[dict[str, Json]]:
        return [document for document in self.objects if is_pool(document)]

    @property
    def pool_namespace(self) -> str:
        """The namespace of the SourcePools, as that of the hook. ``default`` if there are none."""
        return next((str(pool["metadata"]["namespace"]) for pool in self.pools), "default")

    @property
    def values(self) -> dict[tuple[str, str, str], dict[str, str]]:
        """(kind, namespace, name) of each Secret and ConfigMap -> its data, decoded as for a container."""
        return {
            (document["kind"], document["metadata"]["namespace"], document["metadata"]["name"]): _data(document)
            for document in self.objects
            if document["apiVersion"] == "v1" and document["kind"] in ("Secret", "ConfigMap")
        }

    @property
    def sink_kinds(self) -> list[str]:
        """``v1/Service`` and each kind in the files with ``status.address``, as ``<apiVersion>/<Kind>``."""
        kinds = [f"{document['apiVersion']}/{document['kind']}" for document in self.objects if _has_address(document)]
        return list(dict.fromkeys(("v1/Service", *kinds)))

    def of_resource(self, api_version: str, resource: str) -> list[dict[str, Json]]:
        return [item for item in self.objects if (item["apiVersion"], plural(item["kind"])) == (api_version, resource)]

    def of_kind(self, api_version: str, kind: str) -> list[dict[str, Json]]:
        return [item for item in self.objects if (item["apiVersion"], item["kind"]) == (api_version, kind)]


def is_source(document: dict[str, Json]) -> bool:
    return str(document["kind"]).endswith("Source")


def is_pool(document: dict[str, Json]) -> bool:
    return (document["apiVersion"], document["kind"]) == (f"{GROUP}/{VERSION}", POOL)


def needs_kind(document: dict[str, Json], package: str) -> bool:
    """Whether the package must contain the object's kind: a source, or an object in an API group of the package.

    An object with ``status.address`` can be a sink of the same group.
    """
    group = str(document["apiVersion"]).partition("/")[0]
    if is_source(document) or is_pool(document):
        return is_source(document)
    if "." not in group:  # a group of Kubernetes itself, like apps
        return False
    return any(group == kind.group for kind in kinds_in(package)) and not _has_address(document)


def key(document: dict[str, Json]) -> str:
    """``<namespace>/<name>``: Metacontroller's key of an object within its kind."""
    return f"{document['metadata']['namespace']}/{document['metadata']['name']}"


def new_identity(document: dict[str, Json]) -> dict[str, Json]:
    """What the API server would set in the metadata of a new object."""
    return {"uid": str(uuid.uuid4()), "creationTimestamp": format_time(datetime.now(UTC))}


class Files:
    """The files of a command, which can be read again after an edit.

    ``paths``: files and directories. ``package``: the package with the sources' classes. ``sink``: a URL that replaces
    the sink of every source. ``identity``: the uid and the creation time of an object whose file has none.
    ``checkpoint``: the default of the cluster for ``spec.checkpoint``.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        package: str,
        *,
        sink: str | None = None,
        identity: Identity = new_identity,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.paths = paths
        self._package = package
        self._sink = sink
        self._identity = identity
        self._checkpoint = checkpoint
        self._objects: dict[Path, list[dict[str, Json]]] = {}  # of each file when it was valid last

    def read(self) -> tuple[Documents, list[str]]:
        """The objects, and the problems in all files. A file with a problem, or a deleted one, keeps its last objects.

        So an edit does what ``kubectl apply`` would do. Of two objects with the same name, the later one is used.
        """
        problems: list[str] = []
        present = files_of(self.paths)
        for path in present:
            objects, failed = self._read(path)
            problems += failed
            if not failed:
                self._objects[path] = objects
        deleted = [path for path in self._objects if path not in present]  # first: its objects may have moved
        named = {_identity(each): each for path in (*deleted, *present) for each in self._objects.get(path, ())}
        return Documents(list(named.values()), self._package), problems

    def _read(self, path: Path) -> tuple[list[dict[str, Json]], list[str]]:
        objects: list[dict[str, Json]] = []
        problems: list[str] = []
        try:
            documents = read_yaml(path)
        except Problem as problem:
            return [], [str(problem)]
        for document in documents:
            try:
                check_object(path, document)
                objects.append(self._stored(path, document))
            except Problem as problem:
                problems.extend(str(problem).splitlines())
        return objects, problems

    def _stored(self, path: Path, written: yaml.YamlDocument) -> dict[str, Json]:
        """The object as the API server stores it. ``Problem`` if the API server would reject the object."""
        document = written.value
        metadata = document.get("metadata")
        if not isinstance(metadata, dict):
            raise Problem(f"{path}: {_NO_OBJECT}")
        if not metadata.get("name"):
            raise Problem(f"{path}: {document['kind']} needs metadata.name")
        if needs_kind(document, self._package):
            if self._sink and isinstance(document.get("spec"), dict | None):
                document["spec"] = {**(document.get("spec") or {}), "sink": {"uri": self._sink}}
            kind = _kind(path, written, self._package).in_cluster(self._checkpoint)
            document = _as_source(path, written, kind)
        elif is_pool(document):
            _require_none(path, written, pool_violations(document))
        else:
            _require_none(path, written, others.violations(document))
            document = others.stored_object(document)
        given = {name: value for name, value in metadata.items() if value is not None}
        stored = {**document, "metadata": {"namespace": "default", "generation": 1, **given}}
        return {**stored, "metadata": {**self._identity(stored), **stored["metadata"]}}


def read_documents(files: Files) -> Documents:
    """``Problem`` with one line for each problem in the files, or if they contain no source."""
    documents, problems = files.read()
    if problems or not documents.sources:
        raise Problem(*(problems or [f"{', '.join(map(str, files.paths))}: {NO_SOURCE}"]))
    return documents


def _identity(document: dict[str, Json]) -> tuple[str, str, str]:
    return document["apiVersion"], document["kind"], key(document)


def read_yaml(path: Path) -> list[yaml.YamlDocument]:
    """The documents of a file, and the items of its lists, which ``kubectl get -o yaml`` prints."""
    try:
        documents = yaml.load(text_of(path))
    except yaml.BrokenYAML as error:
        raise Problem(f"{path}:{error.line}: broken YAML: {error}") from None
    return [item for document in documents for item in _items(document)]


def check_object(path: Path, document: yaml.YamlDocument) -> None:
    if not _is_object(document.value):
        raise Problem(f"{path}:{document.line(())}: {_NO_OBJECT}")


def _items(document: yaml.YamlDocument) -> Iterator[yaml.YamlDocument]:
    """The objects in a ``List`` or ``SampleSourceList``, also in nested ones. Any other document itself."""
    if not _is_object(document.value) or not document.value["kind"].endswith("List"):
        yield document
        return
    for item in document.items("items"):
        yield from _items(item)


def _is_object(value: Json) -> bool:
    names = (value.get("apiVersion"), value.get("kind")) if isinstance(value, dict) else ("",)
    return all(isinstance(name, str) and name for name in names)


def _kind(path: Path, written: yaml.YamlDocument, package: str) -> Kind:
    try:
        return kind_named(written.value["kind"], package)
    except UnknownKind as problem:
        raise Problem(f"{path}:{written.line(('kind',))}: {problem}") from None


def _as_source(path: Path, written: yaml.YamlDocument, kind: Kind) -> dict[str, Json]:
    _require_none(path, written, object_violations(kind, written.value))
    return {**written.value, "spec": stored(spec_schema(kind), written.value["spec"])}


def _require_none(path: Path, written: yaml.YamlDocument, violations: Sequence[Violation]) -> None:
    name = f"{written.value['kind']} {written.value['metadata']['name']}"
    lines = [f"{path}:{written.line(violation.path)}: {name}: {violation.text}" for violation in violations]
    if lines:
        raise Problem(*lines)


def _data(document: dict[str, Json]) -> dict[str, str]:
    data = {key: str(value) for key, value in (document.get("data") or {}).items()}
    if document["kind"] == "ConfigMap":
        return data
    decoded = {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in data.items()}
    return decoded | {key: str(value) for key, value in (document.get("stringData") or {}).items()}


def _has_address(document: dict[str, Json]) -> bool:
    status = document.get("status")
    return isinstance(status, dict) and bool(status.get("address") or status.get("addresses"))
