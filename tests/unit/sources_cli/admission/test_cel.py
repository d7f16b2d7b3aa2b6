"""CEL rules that cel-python cannot evaluate are reported, and no rule stops lint. The verdicts: test_lint_table.py."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel

from adapter.sdk import Field, HttpUrl, Interval, SecretText
from sources_cli.admission import cel
from sources_cli.admission.validate import unchecked_rules, violations
from sources_cli.schema.crd import object_schema
from tests.deadline import DEADLINE_S
from tests.unit.sources_cli.kinds import kind_with

INTEGER = {"type": "integer"}


def failure(rule: str, schema: Any, value: Any, **more: Any) -> cel.Failure | None:
    return cel.failure({"rule": rule, "message": "m", **more}, schema, value)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        pytest.param("self.lowerAscii() == 'a'", "cel-python does not support lowerAscii", id="method"),
        pytest.param("ip(self) == ip('::1')", "cel-python does not support ip", id="function"),
        pytest.param("sets.contains([1], [self])", "cel-python does not support sets", id="namespace"),
        pytest.param("[1].map(x, x > 1, x) == []", "cel-python does not support x", id="macro"),
        pytest.param("[1].reduce(a, b, 0, a + b) == 1", "cel-python does not support a, b, reduce", id="not CEL"),
        pytest.param("self.?a.hasValue()", "cel-python cannot parse it", id="optional field"),
        pytest.param("self == 'a", "cel-python cannot parse it", id="string without end"),
        pytest.param("self.matches('" + r"\\d" * 50 + ")", "cel-python cannot parse it", id="long string without end"),
        pytest.param("", "cel-python cannot parse it", id="empty"),
        pytest.param("(" * 20 + "1" + ")" * 20 + " == 1", "cel-python cannot evaluate so deep a nesting", id="deep"),
    ],
)
def test_unsupported_rule_is_reported_and_not_evaluated(rule: str, reason: str) -> None:
    schema = {"type": "integer", "x-kubernetes-validations": [{"rule": rule}]}
    assert unchecked_rules({"properties": {"a": {"items": schema}}}) == [f"{rule} ({reason})"]
    assert violations(schema, 1) == []


def test_rule_with_optional_old_self_is_reported_and_not_evaluated() -> None:
    schema = {**INTEGER, "x-kubernetes-validations": [{"rule": "!oldSelf.hasValue()", "optionalOldSelf": True}]}
    assert unchecked_rules(schema) == ["!oldSelf.hasValue() (cel-python does not support optionalOldSelf)"]
    assert violations(schema, 1) == []


@pytest.mark.parametrize(
    "rule",
    [
        "self.all(x, x.all(y, y > 0) && has(x.size))",
        "'''it's''' != \"a'b\"",
        "r'\\d' != 'a' // 1",
        "type(self) == list",
        "false || " * 99 + "true",
    ],
    ids=["nested macros", "quotes in strings", "raw string", "type", "long chain"],
)
def test_rule_with_known_names_only_is_supported(rule: str) -> None:
    assert cel.unsupported({"rule": rule}) is None


def test_evaluation_stops_at_the_step_limit() -> None:
    rule = "self.all(a, self.all(b, self.all(c, self.all(d, a + b + c + d < 1000))))"
    found = failure(rule, {"type": "array", "items": INTEGER}, list(range(64)))
    assert found == cel.Failure("m", f"more than {cel.STEP_LIMIT} steps")


@pytest.mark.parametrize(
    ("rule", "schema", "value", "error"),
    [
        pytest.param("self.a == 1", {"properties": {"a": INTEGER}}, {}, "no such member in mapping: 'a'", id="member"),
        pytest.param("1 / self == 1", INTEGER, 0, "integer division or modulo by zero", id="division"),
        pytest.param("duration(self) > duration('1s')", {}, "1 day", 'unknown unit " day" in duration', id="duration"),
        pytest.param("isURL(self) || url(self).getHost() == ''", {}, "a", "not a URL", id="url"),
    ],
)
def test_error_during_the_evaluation_counts_as_a_broken_rule(rule: str, schema: Any, value: Any, error: str) -> None:
    found = failure(rule, schema, value)
    assert found is not None
    assert found.message == "m"
    assert error in found.error


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        pytest.param({}, "failed rule: self > 1", id="no message"),
        pytest.param({"messageExpression": "'is ' + string(self)"}, "is 1", id="expression"),
        pytest.param({"message": "m", "messageExpression": "' '"}, "m", id="blank expression"),
        pytest.param({"message": "m", "messageExpression": "'a\\nb'"}, "m", id="expression with two lines"),
        pytest.param({"message": "m", "messageExpression": "string(1 / 0)"}, "m", id="expression with an error"),
        pytest.param({"message": "m", "messageExpression": "'a"}, "m", id="expression that is not CEL"),
    ],
)
def test_message_comes_from_the_expression_or_the_rule(entry: dict[str, str], message: str) -> None:
    assert cel.failure({"rule": "self > 1", **entry}, INTEGER, 1) == cel.Failure(message)


def test_lint_names_the_rule_that_could_not_be_evaluated() -> None:
    schema = {**INTEGER, "x-kubernetes-validations": [{"rule": "1 / self == 1", "message": "write 1"}]}
    [violation] = violations(schema, 0, ("spec", "a"))
    error = "the rule 1 / self == 1 could not be evaluated: integer division or modulo by zero"
    assert violation.text == f"spec.a: Invalid value: 0: write 1 ({error})"


def test_rules_of_a_kind_come_from_its_class_and_its_fields() -> None:
    kind = kind_with(
        {}, model_config={"json_schema_extra": {"x-kubernetes-validations": [{"rule": "self.interval != '2s'"}]}}
    )
    rules = [rule["rule"] for rule in object_schema(kind)["properties"]["spec"]["x-kubernetes-validations"]]
    assert rules[0] == "has(self.sink) && (has(self.sink.ref) || has(self.sink.uri))"
    assert rules[-1] == "self.interval != '2s'"


def rule(text: str) -> dict[str, Any]:
    return {"x-kubernetes-validations": [{"rule": text}]}


class Part(BaseModel, json_schema_extra=rule("1 == 1")):
    """A part."""

    size: int = Field(1, description="A size.")


@pytest.mark.parametrize("type", [Interval, Interval | None, HttpUrl, SecretText, Part, Part | None])
def test_rules_of_a_field_do_not_replace_those_of_its_type(type: Any) -> None:
    fields = {
        "plain": (type, Field(None, description="A field.")),
        "f": (type, Field(None, description="A field.", json_schema_extra=rule("2 == 2"))),
    }
    properties = object_schema(kind_with(fields))["properties"]["spec"]["properties"]
    plain, own = (properties[name]["x-kubernetes-validations"] for name in ("plain", "f"))
    assert len(plain) >= 1
    assert own == [*plain, {"rule": "2 == 2"}]


def test_empty_interval_is_valid_beside_a_rule_of_the_author() -> None:
    kind = kind_with(
        {"interval": (Interval, Field(description="An interval.", json_schema_extra=rule("self != '2s'")))}
    )
    spec = object_schema(kind)["properties"]["spec"]
    assert violations(spec, {"interval": "", "sink": {"uri": "http://h"}}) == []
    assert len(violations(spec, {"interval": "2s", "sink": {"uri": "http://h"}})) == 1


def test_generating_a_crd_loads_no_http_server_and_no_cel() -> None:
    code = "import sources_cli.schema.crd, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=DEADLINE_S
    ).stdout
    assert "sources_cli.schema.crd" in loaded.split()
    assert not {"h11", "uvicorn", "httpx2", "celpy"} & set(loaded.split())
