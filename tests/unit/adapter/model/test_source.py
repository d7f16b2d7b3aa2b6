"""What is refused when a kind's class is defined, each with a sentence."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest
from pydantic import Field

from adapter.sdk import Event, Interval, Listener, Source, Timer
from adapter.sources.sample_source import SampleSource
from tests.unit.sources_cli.kinds import of


@pytest.mark.parametrize(
    ("name", "type", "sentence"),
    [
        pytest.param("sink", str, 'every source has "sink" in its spec already; choose another name', id="sink"),
        pytest.param("delivery", str, 'every source has "delivery" in its spec already', id="delivery"),
        pytest.param("interval", int, "is of type int: write `interval: Interval`", id="an interval that is a number"),
        pytest.param("interval", str, "is of type str: write `interval: Interval`", id="an interval that is text"),
    ],
)
def test_a_field_that_clashes_is_refused_when_the_class_is_defined(name: str, type: Any, sentence: str) -> None:
    with pytest.raises(TypeError, match=f"TinySource.{name}.*{re.escape(sentence)}"):
        of({name: (type, Field(description="A field."))}, (Source,))


@pytest.mark.parametrize(
    ("base", "name", "type", "default", "sentence"),
    [
        pytest.param(Timer, "max_in_flight", str, "1", "is of type str: write `max_in_flight: int`", id="lanes-text"),
        pytest.param(Timer, "max_in_flight", int, 0, "may be 0, and then nothing is sent: write", id="no-lane"),
        pytest.param(Listener, "path", int, 3, "is of type int: write `path: str`", id="path"),
        pytest.param(Listener, "replicas", str, "x", "is of type str: write `replicas: int`", id="replicas"),
        pytest.param(Listener, "answer_within", Interval, "8s", 'in spec: write alias="answerWithin"', id="alias"),
    ],
)
def test_a_field_of_a_parent_keeps_its_type_and_its_name(
    base: type, name: str, type: Any, default: Any, sentence: str
) -> None:
    with pytest.raises(TypeError, match=f"TinySource.{name}.*{re.escape(sentence)}.*, or choose another name"):
        of({name: (type, Field(default, description="A field."))}, (base,))


def test_a_field_of_a_parent_may_have_another_default() -> None:
    field = Field(4, ge=1, alias="maxInFlight", description="A field.")
    assert of({"max_in_flight": (int, field)}, (Listener,)).source_class.model_fields["max_in_flight"].default == 4


def test_two_fields_have_two_names() -> None:
    with pytest.raises(TypeError, match='"a" is another field\'s name in spec; choose another name'):
        of({"a": (str, Field("", description="A.")), "b": (str, Field("", alias="a", description="B."))})


@pytest.mark.parametrize("methods", [("get",), (), ("POST", "")], ids=["lower-case", "none", "empty"])
def test_methods_that_no_request_has_are_refused(methods: tuple[str, ...]) -> None:
    with pytest.raises(TypeError, match=r"TinySource\.methods is .*: write HTTP methods as they are sent"):
        of({}, (Listener,), methods=methods)


@pytest.mark.filterwarnings("ignore:Field name")
@pytest.mark.parametrize(("name", "base"), [("events", Source), ("tick", Timer), ("event_types", Source)])
def test_a_field_must_not_hide_what_the_class_is_made_of(name: str, base: type) -> None:
    with pytest.raises(TypeError, match=f'"{name}" is a name of the class {base.__name__}; choose another name'):
        of({name: (str, Field("x", description="A field."))}, (base,))


def test_a_clash_by_alias_is_refused_too() -> None:
    with pytest.raises(TypeError, match='every source has "serviceAccountName" in its spec already'):
        of({"account": (str, Field("x", alias="serviceAccountName", description="A field."))})


def test_class_variables_are_no_fields() -> None:
    class PlainSource(Timer):
        """Plain."""

        api_version: ClassVar[str] = "example.com/v1"

        def tick(self, n: int) -> Event:
            return Event(type="a")

    assert set(PlainSource.model_fields) == {"interval"} == set(SampleSource.model_fields)
