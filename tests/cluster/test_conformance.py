"""Sources meet Knative's conformance rules, and clients that know only the duck type can read them.

The rules: Knative eventing ``docs/spec/sources.md`` (contract §8.1), knative.dev/pkg ``duckv1.Source`` (contract §1).
"""

from __future__ import annotations

import json
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, StringConstraints

from adapter.contract.formats import parse_time
from tests.cluster.api import Api, Object
from tests.cluster.local_cluster import KIND
from tests.cluster.namespace import SourceNamespace

RBAC = "rbac.authorization.k8s.io/v1"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def crd_of(api: Api) -> Object:
    name = f"{KIND.plural}.{KIND.group}"
    return api.get("apiextensions.k8s.io/v1", "customresourcedefinitions", name)


def test_crd_has_the_duck_type_label_the_category_and_the_columns(ns: SourceNamespace) -> None:
    crd = crd_of(ns.api)
    assert crd["metadata"]["labels"]["duck.knative.dev/source"] == "true"
    assert "sources" in crd["status"]["acceptedNames"]["categories"]
    assert [column["name"] for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]][:2] == [
        "Ready",
        "Reason",
    ]


def test_crd_annotation_lists_the_event_types(ns: SourceNamespace) -> None:
    listed = json.loads(crd_of(ns.api)["metadata"]["annotations"]["registry.knative.dev/eventTypes"])
    assert [event_type["type"] for event_type in listed] == list(KIND.event_types)
    for event_type in listed:
        assert event_type.keys() == {"type", "schema", "description"}
        assert urlsplit(event_type["schema"]).scheme
        assert event_type["description"]


def test_role_aggregated_by_knative_can_read_sources(ns: SourceNamespace) -> None:
    roles = ns.api.list(RBAC, "clusterroles", labelSelector="duck.knative.dev/source=true")
    rules = [rule for role in roles for rule in role["rules"] if KIND.group in rule["apiGroups"]]
    assert any(KIND.plural in rule["resources"] and {"get", "list", "watch"} <= {*rule["verbs"]} for rule in rules), (
        roles
    )


def _is_url(text: str) -> str:
    assert urlsplit(text).scheme in ("http", "https")
    assert urlsplit(text).hostname
    return text


Url = Annotated[str, AfterValidator(_is_url)]
Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"), AfterValidator(parse_time)]
NonEmpty = Annotated[str, StringConstraints(min_length=1)]


class KReference(BaseModel):
    kind: NonEmpty
    name: NonEmpty
    apiVersion: str = ""
    namespace: str = ""
    address: str | None = None


class Destination(BaseModel):
    ref: KReference | None = None
    uri: str | None = None
    CACerts: str | None = None
    audience: str | None = None


class Overrides(BaseModel):
    extensions: dict[str, str] = {}


class Spec(BaseModel):
    sink: Destination
    ceOverrides: Overrides | None = None


class Condition(BaseModel):
    type: NonEmpty
    status: Literal["True", "False", "Unknown"]
    severity: Literal["", "Warning", "Info"] = ""
    lastTransitionTime: Time
    reason: str = ""
    message: str = ""


class CloudEventAttributes(BaseModel):
    type: NonEmpty
    source: NonEmpty


class AuthStatus(BaseModel):
    serviceAccountName: str | None = None
    serviceAccountNames: list[str] = []


class Status(BaseModel):
    observedGeneration: int
    conditions: list[Condition]
    sinkUri: Url | None = None
    sinkCACerts: str | None = None
    sinkAudience: str | None = None
    auth: AuthStatus | None = None
    ceAttributes: list[CloudEventAttributes] = []


class DuckSource(BaseModel):
    """``duckv1.Source``. Like Go, it ignores unknown fields and converts no types."""

    spec: Spec
    status: Status


def test_duck_type_client_reads_a_ready_source(ns: SourceNamespace) -> None:
    ns.service(port=443)
    reference = {"apiVersion": "v1", "kind": "Service", "name": "display"}
    sink = {"ref": reference, "uri": "/p", "CACerts": PEM, "audience": "aud"}
    ns.source(sink=sink, ceOverrides={"extensions": {"region": "eu"}})
    seen = ns.wait_until_ready()
    duck = DuckSource.model_validate(seen, strict=True)
    assert duck.spec.sink.model_dump(exclude_defaults=True) == sink
    assert duck.spec.ceOverrides == Overrides(extensions={"region": "eu"})
    assert duck.status.sinkUri == f"https://display.{ns.name}.svc.cluster.local/p"
    assert (duck.status.sinkCACerts, duck.status.sinkAudience) == (PEM, "aud")
    assert duck.status.auth == AuthStatus(serviceAccountName="default")  # an EventPolicy allows this account
    source = f"/apis/{KIND.api_version}/namespaces/{ns.name}/{KIND.plural}/hello"
    assert duck.status.ceAttributes == [CloudEventAttributes(type="dev.knative.sample", source=source)]
    assert duck.status.observedGeneration == seen["metadata"]["generation"]
    assert {condition.type: condition.status for condition in duck.status.conditions} == dict.fromkeys(
        ("Deployed", "Ready", "SinkProvided"), "True"
    )


def test_duck_type_client_reads_why_a_source_is_not_ready(ns: SourceNamespace) -> None:
    ns.source()
    ns.wait_for_condition("Ready", "False", "NotFound")
    status = DuckSource.model_validate(ns.read(), strict=True).status
    assert status.sinkUri is None
    assert status.auth == AuthStatus(serviceAccountName="default")
    types = [condition.type for condition in status.conditions]
    assert sorted(set(types)) == sorted(types)
    assert all(condition.reason and condition.message for condition in status.conditions if condition.status != "True")
