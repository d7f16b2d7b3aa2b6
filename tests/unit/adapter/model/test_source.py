"""Errors at the definition of a class. Each message says what to write."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest
from pydantic import Field, ValidationError

from adapter.sdk import Event, HttpUrl, Interval, Listener, SecretText, Source, Timer
from adapter.sources.sample_source import SampleSource
from tests.unit.sources_cli.kinds import kind_with


@pytest.mark.parametrize(
    ("name", "type", "sentence"),
    [
        pytest.param("sink", str, 'every source has "sink" in its spec already; choose another name', id="sink"),
        pytest.param("delivery", str, 'every source has "delivery" in its spec already', id="delivery"),
        pytest.param("interval", int, "is of type int: write `interval: Interval`", id="an interval that is a number"),
        pytest.param("interval", str, "is of type str: write `interval: Interval`", id="an interval that is text"),
    ],
)
def test_field_with_a_reserved_name_or_another_type_is_an_error(name: str, type: Any, sentence: str) -> None:
    with pytest.raises(TypeError, match=f"TinySource.{name}.*{re.escape(sentence)}"):
        kind_with({name: (type, Field(description="A field."))}, (Source,))


@pytest.mark.parametrize(
    ("base", "name", "type", "default", "sentence"),
    [
        pytest.param(Timer, "interval", str, "1", "is of type str: write `interval: Interval`", id="interval"),
        pytest.param(Listener, "max_in_flight", str, "1", "is of type str: write `max_in_flight: int`", id="in-flight"),
        pytest.param(Listener, "path", int, 3, "is of type int: write `path: str`", id="path"),
        pytest.param(Listener, "replicas", str, "x", "is of type str: write `replicas: int`", id="replicas"),
        pytest.param(Listener, "answer_within", Interval, "8s", 'in spec: write alias="answerWithin"', id="alias"),
    ],
)
def test_redefined_field_keeps_its_type_and_its_name_in_spec(
    base: type, name: str, type: Any, default: Any, sentence: str
) -> None:
    with pytest.raises(TypeError, match=f"TinySource.{name}.*{re.escape(sentence)}.*, or choose another name"):
        kind_with({name: (type, Field(default, description="A field."))}, (base,))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("256Mi", '"256Mi"', id="text"),
        pytest.param({"tolerations": ({"key": "a"},)}, "an object with the key tolerations", id="tuple"),
        pytest.param({"env": [{1: "x"}]}, "an object with the key env", id="key that is a number"),
        pytest.param({"a": float("nan")}, "an object with the key a", id="NaN"),
        pytest.param({"labels": {"a": object()}}, "an object with the key labels", id="object"),
    ],
)
def test_defaults_of_the_pod_that_are_no_json_are_an_error(value: Any, shown: str) -> None:
    sentence = f"TinySource.adapter is {shown}: write a dict of str, int, float, bool, None, list and dict"
    with pytest.raises(TypeError, match=re.escape(sentence)):
        kind_with({}, (Source,), adapter=value)


@pytest.mark.parametrize("base", [Source, Timer])
@pytest.mark.parametrize(
    ("value", "problem"),
    [("limit", r'is a text; write a tuple, like \("limit",\)'), (("limt",), 'names "limt", which is no field')],
)
def test_keeps_checkpoint_that_names_no_fields_is_an_error(value: object, problem: str, base: type) -> None:
    field = {"limit": (int, Field(1, description="A limit."))}
    with pytest.raises(TypeError, match=rf"TinySource\.keeps_checkpoint {problem}"):
        kind_with(field, (base,), keeps_checkpoint=value)


def test_redefined_field_may_have_another_default() -> None:
    field = Field(4, ge=1, alias="maxInFlight", description="A field.")
    assert (
        kind_with({"max_in_flight": (int, field)}, (Listener,)).source_class.model_fields["max_in_flight"].default == 4
    )


def test_two_fields_with_one_name_in_spec_are_an_error() -> None:
    with pytest.raises(TypeError, match='another field is already called "a" in spec; choose another name'):
        kind_with({"a": (str, Field("", description="A.")), "b": (str, Field("", alias="a", description="B."))})


@pytest.mark.parametrize("methods", [("get",), (), ("POST", "")], ids=["lower-case", "none", "empty"])
def test_invalid_http_methods_are_an_error(methods: tuple[str, ...]) -> None:
    with pytest.raises(TypeError, match=r"TinySource\.methods is .*: write HTTP methods in capitals"):
        kind_with({}, (Listener,), methods=methods)


@pytest.mark.filterwarnings("ignore:Field name")
@pytest.mark.parametrize(
    ("name", "base"), [("events", Source), ("tick", Timer), ("event_types", Source), ("workers", Source)]
)
def test_field_that_hides_an_attribute_of_the_class_is_an_error(name: str, base: type) -> None:
    with pytest.raises(TypeError, match=f'"{name}" is an attribute of the class {base.__name__}; choose another name'):
        kind_with({name: (str, Field("x", description="A field."))}, (base,))


def test_alias_with_a_reserved_name_is_an_error() -> None:
    with pytest.raises(TypeError, match='every source has "serviceAccountName" in its spec already'):
        kind_with({"account": (str, Field("x", alias="serviceAccountName", description="A field."))})


def test_class_variables_are_not_fields() -> None:
    class PlainSource(Timer):
        """Plain."""

        api_version: ClassVar[str] = "example.com/v1"

        def tick(self, n: int) -> Event:
            return Event(type="a")

    fields = {"interval", "missed", "missed_window"}
    assert set(PlainSource.model_fields) == fields == set(SampleSource.model_fields)


def test_default_has_the_type_of_its_field() -> None:
    """An adapter always gets validated values, because the API server adds the defaults to ``spec``."""
    source = kind_with(
        {
            "interval": (Interval, Field("60s", description="A.")),
            "delay": (Interval | None, Field("250ms", description="B.")),
            "url": (HttpUrl, Field("http://h", description="C.")),
            "token": (SecretText, Field("hush", description="D.")),
        }
    ).source_class()
    assert source.interval == "1m0s"  # type: ignore[attr-defined]  # made at run time
    assert {name: type(value) for name, value in source} == {
        "missed": str,
        "missed_window": Interval,
        "interval": Interval,
        "delay": Interval,
        "url": HttpUrl,
        "token": SecretText,
    }


def test_invalid_default_is_an_error_in_tests_too() -> None:
    kind = kind_with({"delay": (Interval, Field("10", description="A."))})
    with pytest.raises(ValidationError, match='missing unit in duration "10"'):
        kind.source_class()
