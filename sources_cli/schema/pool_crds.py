"""The CustomResourceDefinitions of SourcePool and TroubledSource."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from adapter.contract.formats import Json
from adapter.contract.kind_names import plural
from hooks.pool.spec import NAME_PATTERN, NAME_REMEDY, SourcePoolSpec, TroubledSourceSpec
from hooks.status import Condition
from sources_cli.schema.structural import structural

GROUP, VERSION = "samples.knative.dev", "v1alpha1"
POOL, TROUBLED = "SourcePool", "TroubledSource"
_READY = ".status.conditions[?(@.type=='Ready')]"


def pool_crds() -> list[Json]:
    return [_source_pool(), _troubled_source()]


def source_pool_schema() -> Json:
    """The schema of a whole SourcePool."""
    status = structural(TypeAdapter(list[Condition]).json_schema(), bounded=False, at="status")
    status |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    name = {"rule": f"self.metadata.name.matches('^{NAME_PATTERN}$')", "message": f"metadata.name: {NAME_REMEDY}"}
    return {
        "type": "object",
        "description": "One process that runs all sources of some kinds, in place of a Deployment for each source.",
        "required": ["spec"],
        "x-kubernetes-validations": [name],
        "properties": {
            "spec": structural(SourcePoolSpec.model_json_schema()),
            "status": {
                "type": "object",
                "description": "The state of the pool.",
                "properties": {
                    "conditions": {**status, "description": "The conditions Deployed and Ready."},
                    "observedGeneration": {
                        "type": "integer",
                        "description": "The metadata.generation that this status was computed from.",
                    },
                },
            },
        },
    }


def _source_pool() -> Json:
    columns = [
        {"name": "Ready", "type": "string", "jsonPath": f"{_READY}.status"},
        {"name": "Reason", "type": "string", "jsonPath": f"{_READY}.reason"},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        {"name": "Message", "type": "string", "jsonPath": f"{_READY}.message", "priority": 1},
    ]
    return _crd(POOL, "srcpool", source_pool_schema(), columns, subresources={"status": {}})


def _troubled_source() -> Json:
    schema = {
        "type": "object",
        "description": "A source in a SourcePool that has a problem. The hook creates and deletes it; its name is the "
        "uid of the source.",
        "required": ["spec"],
        "properties": {"spec": structural(TroubledSourceSpec.model_json_schema())},
    }
    columns = [{"name": "Problem", "type": "string", "jsonPath": ".spec.problem"}]
    return _crd(TROUBLED, "", schema, columns)


def _crd(kind: str, short_name: str, schema: Json, columns: list[Json], **more: Any) -> Json:
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        **more,
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": schema},
    }
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural(kind), "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural(kind)}.{GROUP}", "annotations": {}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {**names, **({"shortNames": [short_name]} if short_name else {})},
            "versions": [version],
        },
    }
