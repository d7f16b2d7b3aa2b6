"""Metacontroller hook v2 messages. Requests: unknown fields ignored; responses: exactly its fields.

Source: Metacontroller 4.17 ``pkg/controller/composite/api/v2``; it refuses a response with an unknown field.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from pydantic import BaseModel, ConfigDict, Field

Object = dict[str, Any]  # a Kubernetes object as it stands on the wire
Objects = dict[str, dict[str, Object]]  # "Kind.apiVersion" -> "namespace/name" -> object


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Metadata(_Wire):
    name: str = Field(min_length=1, max_length=253)
    namespace: str = Field(min_length=1, max_length=63)
    uid: str = Field(min_length=1, max_length=128)
    creationTimestamp: str | None = None
    annotations: dict[str, str] | None = None


class Parent(_Wire):
    """A source as Metacontroller sends it; ``spec`` and ``status`` are read leniently, they may be anybody's."""

    apiVersion: str = Field(pattern=r"^[a-z0-9.-]+/[a-z0-9]+$", max_length=300)
    kind: str = Field(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=63)
    metadata: Metadata
    spec: Object | None = None
    status: Object | None = None


class SyncRequest(_Wire):
    parent: Parent
    children: Objects = {}
    related: Objects | None = None


class CustomizeRequest(_Wire):
    parent: Parent


class SyncResponse(TypedDict):
    status: Object
    children: list[Object]
    resyncAfterSeconds: NotRequired[float]


class RelatedRule(TypedDict):
    apiVersion: str
    resource: str
    namespace: str
    names: NotRequired[list[str]]
    labelSelector: NotRequired[Object]


class CustomizeResponse(TypedDict):
    relatedResources: list[RelatedRule]
