"""The messages of Metacontroller's hook API v2, and the query parameters of this hook.

Requests may have unknown fields; they are ignored. Metacontroller rejects responses with unknown fields.
Source: Metacontroller 4.17 ``pkg/controller/composite/api/v2``.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import BaseModel, ConfigDict, Field, PlainValidator
from typing_extensions import TypedDict  # pydantic does not support typing.TypedDict before Python 3.12

from adapter.contract.kind_names import MAX_API_VERSION
from hooks.status import Condition, Status

Object = dict[str, Any]  # any Kubernetes object
Objects = dict[str, dict[str, Object]]  # "Kind.apiVersion" -> "namespace/name" -> object


class Malformed(Exception):
    """The first wrong value of a map. pydantic would describe each of them, in 1 KiB for 6 bytes of the body."""

    def __init__(self, path: str, value: Any, remedy: str) -> None:
        super().__init__(path)
        self.path, self.value, self.remedy = path, value, remedy


def _map(path: str, value_type: type, depth: int = 1, *, optional: bool = True) -> PlainValidator:
    """Accepts maps of ``value_type`` in ``depth`` levels; raises :class:`Malformed`. ``path``: of the field."""

    def check(path: str, value: Any, depth: int) -> None:
        wanted = dict if depth else value_type
        if not isinstance(value, wanted):
            raise Malformed(path, value, "write an object" if wanted is dict else "write a string")
        if depth:
            for name, each in value.items():  # type: ignore[attr-defined]  # it is a dict
                check(f"{path}.{name}", each, depth - 1)

    def validate(value: Any) -> Any:
        if value is not None or not optional:
            check(path, value, depth)
        return value

    schema: Any = dict[str, str] if value_type is str else Objects
    return PlainValidator(validate, json_schema_input_type=schema | None if optional else schema)


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Metadata(_Message):
    """The fields of ``metadata`` that the hook reads."""

    name: str = Field(min_length=1, max_length=253)
    namespace: str = Field(min_length=1, max_length=63)
    uid: str = Field(min_length=1, max_length=128)
    creationTimestamp: str | None = None
    deletionTimestamp: str | None = None
    generation: int | None = None
    annotations: Annotated[dict[str, str] | None, _map("parent.metadata.annotations", str)] = None
    labels: Annotated[dict[str, str] | None, _map("parent.metadata.labels", str)] = None


class Parent(_Message):
    """A source. The hook checks ``spec`` and ``status`` itself, because an older CRD may accept other values."""

    apiVersion: str = Field(pattern=r"^[a-z0-9.-]+/[a-z0-9]+$", max_length=MAX_API_VERSION)
    kind: str = Field(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=63)
    metadata: Metadata
    spec: Object | None = None
    status: Object | None = None


_CHILDREN = "The children, by `Kind.apiVersion` and `namespace/name`."
_RELATED = "The objects that `/customize` selected, in the same form."


class SyncRequest(_Message):
    """A source and the objects that Metacontroller observed."""

    parent: Parent
    children: Annotated[Objects, _map("children", dict, 2, optional=False)] = Field({}, description=_CHILDREN)
    related: Annotated[Objects | None, _map("related", dict, 2)] = Field(None, description=_RELATED)


class CustomizeRequest(_Message):
    """A source."""

    parent: Parent


class KindQuery(_Message):
    """Properties of a kind. `sources manifests` writes them into the webhook URLs of the CompositeController."""

    types: str = Field("", description="The CloudEvents types of the kind, comma-separated.")
    typeField: str = Field("", description="The field of `spec` that, if set, contains the type of all events.")
    polls: str = Field("", description="`true`: adapters poll, and poll once more at their shutdown.")
    image: str = Field("", description="The image of the adapters of this kind. Default: `ADAPTER_IMAGE`.")
    sinkKinds: str = Field("", description="Overrides `SINK_KINDS`, for example `v1/Service`.")
    diagnosePods: str = Field("", description="Overrides `DIAGNOSE_PODS`: `true` or `false`.")
    adapter: str = Field("", description="Defaults for `spec.adapter` of all sources of this kind, one JSON object.")
    copiedLabels: str = Field(
        "", description="Labels of the source that its Deployment and pods get, too, comma-separated."
    )
    checkpoint: str = Field("", description="The default for `spec.checkpoint` of all sources of this kind, as JSON.")
    pool: str = Field("", description="The SourcePool that runs the sources of this kind, in the hook's namespace.")


class SyncResponse(TypedDict):
    """The status of the source and its children."""

    status: Status
    children: Annotated[
        list[Object], Field(description="All children that must exist: a Deployment, perhaps a Service.")
    ]
    resyncAfterSeconds: Annotated[NotRequired[float], Field(description="When to call the hook again, in seconds.")]


class PoolStatus(TypedDict):
    """The state of a SourcePool."""

    conditions: Annotated[list[Condition], Field(description="The conditions Deployed and Ready.")]


class PoolResponse(TypedDict):
    """The status of a SourcePool and its children."""

    status: PoolStatus
    children: Annotated[
        list[Object], Field(description="A Deployment, a Service, and a TroubledSource for each source in trouble.")
    ]
    resyncAfterSeconds: NotRequired[float]


class RelatedRule(TypedDict):
    """Selects objects that Metacontroller sends with each sync. Without a namespace: those of all namespaces."""

    apiVersion: str
    resource: str
    namespace: NotRequired[str]
    names: NotRequired[list[str]]
    labelSelector: NotRequired[Object]


class CustomizeResponse(TypedDict):
    """The objects that Metacontroller sends with each sync in `related`."""

    relatedResources: list[RelatedRule]


class Error(TypedDict):
    """Why the request was rejected, in one line."""

    error: str
