"""Reduces the answers of an API server and of ``sources lint`` to what both must agree on: fields and rule messages.

Not compared: the wording of errors that are not CEL rules, and how often a field has such an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sources_cli.admission.validate import Violation
from sources_cli.kind import Kind
from sources_cli.schema.crd import object_schema

_UNKNOWN = re.compile(r'unknown field "(?P<field>.*)"')
_UNDECODED = re.compile(r"json: cannot unmarshal \w+ into Go struct field ObjectMeta\.(?P<field>\w+) of type \S+")
_ERROR = re.compile(
    r"(?P<field>.*?): (Duplicate value|Forbidden|Invalid value|Required value|Too long|Too many|Unsupported value)\b"
)
Findings = set[tuple[str, str]]  # (field, message of the rule or "")


def server_findings(kind: Kind, answers: Iterable[str], found: Iterable[Violation]) -> Findings:
    """``answers``: the API server's errors about a source. ``found``: lint's, whose messages may be computed."""
    messages = {*rule_messages(object_schema(kind)), *(violation.rule_message for violation in found)} - {""}
    return {_server_finding(answer, sorted(messages, key=len)) for answer in answers}


def lint_findings(violations: Iterable[Violation]) -> Findings:
    return {(_field(violation), violation.rule_message) for violation in violations}


def rule_messages(schema: Any) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield rule.get("message", f"failed rule: {rule['rule']}")
    for inner in [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]:
        if isinstance(inner, dict):
            yield from rule_messages(inner)


def _server_finding(answer: str, messages: list[str]) -> tuple[str, str]:
    if undecoded := _UNDECODED.fullmatch(answer):
        return f"metadata.{undecoded['field']}", ""
    found = _UNKNOWN.fullmatch(answer) or _ERROR.match(answer)
    assert found, f"an answer without field: {answer}"
    longest = [message for message in messages if answer.endswith(f": {message}")][-1:]
    return _normal(found["field"]), "".join(longest)


def _field(violation: Violation) -> str:
    field = violation.text.partition(f": {violation.problem}")[0]
    # The API server does not name the key of a label or annotation that is not a string.
    in_metadata = re.fullmatch(r"(metadata\.(?:labels|annotations))\..*", field)
    return in_metadata[1] if in_metadata else _normal(field)


def _normal(field: str) -> str:
    """The API server writes the key of a map as ``.key`` or ``[key]``."""
    return field.replace("[", ".").replace("]", "")
