"""What a kind's own class says of a spec that the API server would take: the adapter would refuse it.

Secrets are not known here: what a class says of one, or in words that might repeat one, is left to the adapter.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from adapter.contract.environment import SHARED_FIELDS
from adapter.contract.secret_refs import fill, split_references
from adapter.loading import describe_error
from sources_cli.admission.go_values import shown
from sources_cli.admission.validate import Path, Violation, stored, written
from sources_cli.kind import Kind
from sources_cli.schema.crd import object_schema

Json = Any
_UNKNOWN = "a secret that is not known"


def own_violations(kind: Kind, value: Json) -> list[Violation]:
    """``value``: a whole source without a violation of its CRD."""
    spec = stored(object_schema(kind), value).get("spec", {})
    own = {name: it for name, it in spec.items() if name not in SHARED_FIELDS}
    if own.get("interval") == "":
        del own["interval"]  # as the hook does: the class's default counts
    config, references = split_references(own)
    try:
        kind.source_class.model_validate(fill(config, dict.fromkeys(references, _UNKNOWN)))
    except ValidationError as error:
        errors = error.errors(include_url=False)
        return [_violation(kind, it["loc"], it["input"], it["msg"]) for it in errors if not _holds_secret(it["input"])]
    except Exception as error:  # an author's check that says no in its library's words
        return [] if references else [_violation(kind, (), None, describe_error(error))]
    return []


def _violation(kind: Kind, place: Path, value: Json, message: str) -> Violation:
    path = ("spec", *place)
    value_shown = "" if value is None or isinstance(value, dict | list) else f"{shown(value)}: "
    text = f"{written(path)}: Invalid value: {value_shown}{message.removeprefix('Value error, ')}"
    return Violation(path, f"{text} ({kind.name} itself says so: the API server takes it, and the adapter ends)")


def _holds_secret(value: Json) -> bool:
    return _UNKNOWN in str(value)
