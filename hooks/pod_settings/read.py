"""Checks the settings of a pod and makes them canonical."""

from __future__ import annotations

from functools import lru_cache

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from adapter.contract.formats import Json, quoted, sorted_json
from hooks.names import get_in
from hooks.pod_settings.fields import AdapterFields
from hooks.pod_settings.resources import LIMITS, REQUESTS, with_defaults
from hooks.pod_settings.settings import InvalidSettings, PodSettings

DEFAULT = PodSettings(resources={"requests": REQUESTS, "limits": LIMITS})
_POD = (
    "nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName", "imagePullSecrets",
)  # fmt: skip
_REMEDIES = {
    "missing": "it is required",
    "model_type": "write an object",
    "model_attributes_type": "write an object",
    "dict_type": "write an object",
    "list_type": "write a list",
    "string_type": "write a string in quotes",
    "int_type": "write a whole number",
    "bool_type": "write true or false",
    "literal_error": "write {expected}",
    "greater_than_equal": "write at least {ge}",
    "less_than_equal": "write at most {le}",
    "too_long": "write at most {max_length} entries",
    "too_short": "write at least {min_length}",
    "string_too_long": "write at most {max_length} characters",
    "wrong": "{remedy}",
}


def read(value: Json, field: str) -> PodSettings:
    """The settings in ``value``, of all levels merged. ``field``: its path in messages, like ``spec.adapter``.

    A field that is missing has the default of this project. A field that is null has no value at all: with
    ``resources.limits.memory: null`` there is no limit. So a merge of two levels keeps null. ``InvalidSettings`` for
    values that the CRD of this version rejects.
    """
    if value is None:
        return DEFAULT
    try:
        return _read(sorted_json(value))
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        raise InvalidSettings(sentence(details, field, "setting of an adapter's pod")) from None


def grace_period_problem(settings: PodSettings, derived_s: int) -> str | None:
    """What to write in place of ``terminationGracePeriodSeconds``, or None.

    ``derived_s``: how long the adapter needs to deliver its last event.
    """
    if settings.grace_period_s is None or settings.grace_period_s >= derived_s:
        return None
    return f"write at least {derived_s}: this source needs this time for its last event (see spec.delivery.timeout)"


@lru_cache(maxsize=256)
def _read(text: str) -> PodSettings:
    fields = AdapterFields.model_validate_json(text)
    found = fields.canonical()
    return PodSettings(
        resources=with_defaults(
            fields.resources, cleared=fields.resources is None and "resources" in fields.model_fields_set
        ),
        pod={name: found[name] for name in _POD if name in found},
        labels=found.get("labels", {}),
        annotations=found.get("annotations", {}),
        env=tuple(found.get("env", ())),
        volumes=tuple(found.get("volumes", ())),
        volume_mounts=tuple(found.get("volumeMounts", ())),
        grace_period_s=fields.terminationGracePeriodSeconds,
    )


def sentence(error: ErrorDetails, field: str, member: str, *, hidden: bool = False) -> str:
    """``member``: what the fields of the shape are called. ``hidden``: show no text of the value."""
    context = error.get("ctx", {})
    remedy = _REMEDIES.get(error["type"], error["msg"]).format(**context)
    path, value = _path(error["loc"]), error["input"]
    if inner := context.get("field"):
        path, value = f"{path}.{inner}", get_in(value, *inner.split("."))
    if error["type"] == "missing":
        return f"{field}{path} is missing: {remedy}"
    if error["type"] == "extra_forbidden":
        return f"{field}{path} is not a {member}: remove it"
    shown = "a text" if hidden and isinstance(value, str) else _shown(value, path)
    return f"{field}{path} is {shown}: {remedy}"


def _shown(value: Json, path: str) -> str:
    """Without the text of a variable, which may be a secret, wherever in ``env`` someone has written it."""
    if not path.startswith(".env") or path.endswith((".name", ".key")):
        return quoted(value)
    if path.endswith(".value"):
        return "not a text that can be used"
    return "a text" if isinstance(value, str) else quoted(value)


def _path(place: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
