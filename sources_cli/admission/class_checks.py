"""Checks a spec with the class of the kind. Finds values that the API server accepts and the adapter would reject.

The values of secrets are not known here. So errors about secrets, or that may contain one, are not reported; the
adapter reports them.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from adapter.contract.auth.problems import problems
from adapter.contract.environment import SHARED_FIELDS
from adapter.contract.formats import Json
from adapter.contract.secret_refs import fill, split_references
from adapter.loading import describe_error
from sources_cli.admission.validate import Path, Violation, invalid, stored
from sources_cli.kind import AUTHOR_ERRORS, Kind
from sources_cli.schema.crd import object_schema

_UNKNOWN = "a secret that is not known"


def class_violations(kind: Kind, value: Json) -> list[Violation]:
    """``value``: a whole source without violations of its CRD."""
    spec = stored(object_schema(kind), value).get("spec", {})
    return [*_auth_violations(spec), *_kind_violations(kind, spec)]


def _auth_violations(spec: Json) -> Iterator[Violation]:
    """What the CRD cannot express: two headers whose names differ only in case."""
    delivery = spec.get("delivery") or {}
    for path, auth in (
        (("sinkAuth",), spec.get("sinkAuth")),
        (("delivery", "deadLetterSinkAuth"), delivery.get("deadLetterSinkAuth")),
    ):
        for field, problem in problems(auth) if auth else ():
            note = "the API server would accept it, but the hook would answer InvalidSpec"
            yield Violation(("spec", *path, *field), f"{invalid(None, problem)} ({note})")


def _kind_violations(kind: Kind, spec: Json) -> list[Violation]:
    fields = {name: field for name, field in spec.items() if name not in SHARED_FIELDS}
    if fields.get("interval") == "":  # as in the hook, the default of the class applies
        del fields["interval"]
    config, references = split_references(fields)
    try:
        kind.source_class.model_validate(fill(config, dict.fromkeys(references, _UNKNOWN)))
    except ValidationError as error:
        errors = error.errors(include_url=False)
        known = [detail for detail in errors if not _contains_secret(detail["input"])]
        return [_violation(kind, detail["loc"], detail["input"], detail["msg"]) for detail in known]
    except AUTHOR_ERRORS as error:  # of a validator in the class
        return [] if references else [_violation(kind, (), None, describe_error(error))]
    return []


def _violation(kind: Kind, place: Path, value: Json, message: str) -> Violation:
    message = message.removeprefix("Value error, ")
    problem = invalid(value, message)
    note = f"rejected by {kind.name}; the API server would accept it, but the adapter would exit"
    return Violation(("spec", *place), f"{problem} ({note})")


def _contains_secret(value: Json) -> bool:
    return _UNKNOWN in str(value)
