"""The CRD of a kind is structural, described and bounded; a class that cannot have one raises a Problem."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import core_schema

from adapter.sdk import EventType, Interval, SecretText, Source
from hooks.status import Status
from sources_cli.admission.validate import unchecked_rules, violations
from sources_cli.arguments import ManifestsOptions
from sources_cli.generate.rbac import rbac
from sources_cli.generate.sample import sample
from sources_cli.kind import Kind, kind_named
from sources_cli.manifests import controller
from sources_cli.problem import Problem
from sources_cli.schema.crd import crd, object_schema, registry, spec_schema
from tests.unit.hooks.hook import answer
from tests.unit.sources_cli.kinds import kind_with

KINDS = [
    kind_named("SampleSource", "adapter.sources"),
    kind_named("QueueDepthSource", "tests.kinds"),
    kind_named("EveryFieldSource", "tests.kinds"),
]
kinds = pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name) for kind in KINDS])
STRUCTURAL = {
    "type", "description", "default", "enum", "pattern", "format", "minLength", "maxLength", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "minProperties", "maxProperties",
    "required", "nullable", "properties", "additionalProperties", "items", "x-kubernetes-validations",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
}  # fmt: skip


def nodes(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[*]")


def test_change_of_a_crd_does_not_change_the_next_one() -> None:
    """The schema is cached, and a caller may edit its document."""
    kind = KINDS[0]
    crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"].clear()
    assert "spec" in crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]


@kinds
def test_schema_has_only_keywords_of_structural_schemas(kind: Kind) -> None:
    for path, schema in nodes(object_schema(kind)):
        assert schema.keys() <= STRUCTURAL, path
        assert "type" in schema or "x-kubernetes-int-or-string" in schema or path.startswith(".spec.free"), path


@kinds
def test_every_field_has_a_description(kind: Kind) -> None:
    for path, schema in nodes(object_schema(kind)):
        assert path.endswith("[*]") or len(schema.get("description", "")) > 5, path


@kinds
def test_strings_lists_and_maps_in_spec_are_bounded(kind: Kind) -> None:
    bounds = {"string": ("maxLength", "enum"), "array": ("maxItems",)}
    for path, schema in nodes(spec_schema(kind)):
        wanted = bounds.get(schema.get("type", ""), ())
        if "additionalProperties" in schema:
            wanted = ("maxProperties",)
        assert not wanted or any(key in schema for key in wanted), path


@kinds
def test_lint_can_evaluate_every_rule_and_each_has_a_message(kind: Kind) -> None:
    schema = object_schema(kind)
    assert unchecked_rules(schema) == []
    for path, node in nodes(schema):
        for rule in node.get("x-kubernetes-validations", ()):
            assert re.fullmatch(r"[a-z][^{}]*", rule["message"]), (path, rule["message"])


@kinds
def test_schema_accepts_its_own_defaults(kind: Kind) -> None:
    for path, schema in nodes(spec_schema(kind)):
        if "default" in schema:
            assert violations(schema, schema["default"]) == [], path


@kinds
def test_class_accepts_the_defaults_of_the_schema(kind: Kind) -> None:
    properties = spec_schema(kind)["properties"]
    defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    own = {field.alias or name for name, field in kind.source_class.model_fields.items()}
    required = {"url": "http://a", "queue": "q", "token": "t"}
    fields = {name: value for name, value in (required | defaults).items() if name in own}
    assert kind.source_class.model_validate(fields)


@kinds
def test_generated_sample_is_valid(kind: Kind) -> None:
    assert violations(spec_schema(kind), sample(kind)["spec"]) == []


def test_crd_has_the_labels_and_annotation_of_a_knative_source() -> None:
    made = crd(KINDS[0])
    labels = made["metadata"]["labels"]
    assert labels == {"duck.knative.dev/source": "true", "eventing.knative.dev/source": "true"}
    assert made["spec"]["names"]["categories"] == ["all", "knative", "eventing", "sources"]
    [event] = json.loads(made["metadata"]["annotations"]["registry.knative.dev/eventTypes"])
    assert event["type"] == "dev.knative.sample"
    assert event["description"]
    assert event["schema"].startswith("data:application/schema+json,{%22type%22:%22object%22")


def test_printer_columns_are_ready_reason_sink_interval_age_and_message() -> None:
    columns = crd(KINDS[0])["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [(column["name"], column.get("priority", 0)) for column in columns] == [
        ("Ready", 0), ("Reason", 0), ("Sink", 0), ("Interval", 0), ("Age", 0), ("Message", 1)
    ]  # fmt: skip


def test_kind_without_interval_has_no_interval_column() -> None:
    columns = crd(kind_with({}, (Source,)))["spec"]["versions"][0]["additionalPrinterColumns"]
    assert "Interval" not in [column["name"] for column in columns]


def test_defaults_of_interval_and_service_account() -> None:
    properties = spec_schema(KINDS[0])["properties"]
    assert properties["interval"]["default"] == "10s"
    assert properties["serviceAccountName"]["default"] == "default"


def test_status_schema_describes_all_fields_that_the_hook_writes() -> None:
    sink = {
        "uri": "https://h",
        "CACerts": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "audience": "a",
    }
    status = {
        **answer({"sink": sink, "delivery": {"deadLetterSink": sink}}, types=("t",))["status"],
        "observedGeneration": 1,
    }
    schema = object_schema(KINDS[0])["properties"]["status"]
    assert violations(schema, status) == []
    assert TypeAdapter(Status).validate_python(status) == status
    assert schema["properties"].keys() == status.keys() | {"address", "pool"}  # of kinds that listen; in a pool


@pytest.mark.parametrize(
    ("types", "registered"),
    [
        pytest.param((), [], id="none"),
        pytest.param(("a.b",), [{"type": "a.b"}], id="a string"),
        pytest.param(
            (EventType("a", "An a.", "http://h/s"),),
            [{"type": "a", "schema": "http://h/s", "description": "An a."}],
            id="with the URL of a schema",
        ),
    ],
)
def test_event_types_are_in_the_registry_annotation(types: tuple[str, ...], registered: Any) -> None:
    assert json.loads(registry(kind_with({}, event_types=types))) == registered


@pytest.mark.parametrize(
    ("name", "short"),
    [("SampleSource", "ssrc"), ("QueueDepthSource", "qdsrc"), ("EveryFieldSource", "efs")],
)
def test_short_name_is_the_initials_or_that_of_the_class(name: str, short: str) -> None:
    assert next(kind for kind in KINDS if kind.name == name).short_name == short


class Leaf(BaseModel):
    """A leaf."""

    inner: list[Leaf] = Field([], description="More of it.")


class Mixed(Enum):
    ONE = 1
    TWO = "two"


@pytest.mark.parametrize(
    ("type", "problem"),
    [
        pytest.param(int | dict[str, str], "spec.f has several types; a field of a CRD has one type", id="a union"),
        pytest.param(Mixed, "spec.f has several types; a field of a CRD has one type", id="an enum of two types"),
        pytest.param(list[Any], "spec.f is a list without a type for its items; write one like list[str]", id="a list"),
        pytest.param(
            Leaf, "spec.f.inner[*] is a Leaf inside a Leaf; a CRD cannot describe a recursive type", id="recursion"
        ),
    ],
)
def test_type_that_a_crd_cannot_describe_raises_a_problem(type: Any, problem: str) -> None:
    with pytest.raises(Problem, match=re.escape(problem)):
        crd(kind_with({"f": (type, Field(description="A field."))}))


class Own:
    """A type whose own schema raises an error."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.any_schema()

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        raise RuntimeError("not\ntoday")


class Holder(BaseModel):
    own: Own = Field(description="A field.")


@pytest.mark.parametrize(
    ("type", "reason"),
    [
        pytest.param(
            Callable[[], int],
            "PydanticInvalidForJsonSchema: Cannot generate a JsonSchema for core_schema.CallableSchema",
            id="a function",
        ),
        pytest.param(Own, "RuntimeError: not today", id="a type of the author's"),
        pytest.param(Holder, "RuntimeError: not today", id="inside another"),
    ],
)
def test_type_without_json_schema_raises_a_problem_that_names_the_field(type: Any, reason: str) -> None:
    kind = kind_with(
        {"a": (str, Field("", description="A field.")), "f": (type, Field(alias="eff", description="A field."))}
    )
    with pytest.raises(Problem) as problem:
        crd(kind)
    assert str(problem.value) == (
        f"spec.eff has a type without JSON schema ({reason}); "
        "choose a type that a CRD can describe, like str, int or list[str]"
    )


def test_field_without_description_raises_a_problem() -> None:
    with pytest.raises(Problem, match=r'TinySource\.f has no description; write Field\(description="..."\)'):
        crd(kind_with({"f": (int, 1)}))


def test_class_without_docstring_raises_a_problem() -> None:
    with pytest.raises(Problem, match="TinySource has no docstring"):
        crd(kind_with({}, __doc__=None))


def test_sample_that_cannot_be_generated_raises_a_problem() -> None:
    kind = kind_with({"f": (str, Field(description="A field.", pattern="^[0-9]+$"))})
    with pytest.raises(Problem, match=r"spec\.f: Invalid value: .*; write Field\(examples=\[\.\.\.\]\) for f"):
        sample(kind)


def test_field_that_may_be_none_is_optional() -> None:
    fields = {"f": (Interval | None, Field(None, description="A field."))}
    schema = spec_schema(kind_with(fields))
    assert "required" not in schema
    assert schema["properties"]["f"]["maxLength"] == 16
    assert "default" not in schema["properties"]["f"]


def test_secret_is_a_string_for_the_class_and_hidden_in_repr() -> None:
    kind = kind_with({"token": (SecretText, Field(description="A secret."))})
    source = kind.source_class.model_validate({"token": "hush"})
    assert source.token.get_secret_value() == "hush"  # type: ignore[attr-defined]  # a class made in the test
    assert "hush" not in repr(source)


def test_literal_of_one_value_is_an_enum_with_one_value() -> None:
    kind = kind_with({"f": (Literal["a"], Field("a", description="A field."))})
    assert spec_schema(kind)["properties"]["f"]["enum"] == ["a"]


def test_each_sink_kind_is_a_rule_of_the_role_in_the_order_of_the_list() -> None:
    kinds = ("v1/Service", "flows.knative.dev/v1/Sequence", "eventing.knative.dev/v1/Broker")
    roles = [role for role in rbac(KINDS[0], kinds, "ns/account") if role["kind"] == "ClusterRole"]
    [rules] = [role["rules"] for role in roles if role["metadata"]["name"].endswith("-metacontroller")]
    assert [(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in rules[-3:]] == [
        ([""], ["services"], ["list", "watch"]),
        (["flows.knative.dev"], ["sequences"], ["list", "watch"]),
        (["eventing.knative.dev"], ["brokers"], ["list", "watch"]),
    ]


def test_kind_without_event_types_has_no_types_in_its_query() -> None:
    made = controller(kind_with({}), ManifestsOptions("tests"))
    assert made["spec"]["hooks"]["sync"]["webhook"]["path"] == "/sync?sinkKinds=v1/Service"
