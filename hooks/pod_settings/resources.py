"""The resources of the adapter's container, as in Kubernetes' ``v1.ResourceRequirements``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hooks.pod_settings import quantities
from hooks.pod_settings.shapes import NULLABLE, Quantity, Rule, Shape

NAMES = ("cpu", "memory", "ephemeral-storage")
REQUESTS: dict[str, str] = {"cpu": "10m", "memory": "48Mi"}
LIMITS: dict[str, str] = {"memory": "128Mi"}
_CPU, _BYTES = 'write a number of CPUs like "250m" or "1"', 'write bytes like "256Mi"'

CpuRequest = Annotated[str, Quantity(quantities.cpu_text, "0", _CPU)]
CpuLimit = Annotated[str, Quantity(quantities.cpu_text, "1m", _CPU)]
BytesRequest = Annotated[str, Quantity(quantities.bytes_text, "0", _BYTES)]
BytesLimit = Annotated[str, Quantity(quantities.bytes_text, "1Mi", f"{_BYTES}, at least 1Mi")]


class Requests(Shape):
    """What the scheduler reserves for the adapter. Default: cpu 10m, memory 48Mi."""

    cpu: CpuRequest | None = Field(None, description="CPUs, like 250m or 1.", json_schema_extra=NULLABLE)
    memory: BytesRequest | None = Field(None, description="Bytes, like 64Mi.", json_schema_extra=NULLABLE)
    ephemeral_storage: BytesRequest | None = Field(
        None, alias="ephemeral-storage", description="Bytes, like 100Mi.", json_schema_extra=NULLABLE
    )


class Limits(Shape):
    """What the adapter may use at most. Default: memory 128Mi, no limit of the others."""

    cpu: CpuLimit | None = Field(None, description="CPUs, like 250m or 1.", json_schema_extra=NULLABLE)
    memory: BytesLimit | None = Field(None, description="Bytes, like 256Mi.", json_schema_extra=NULLABLE)
    ephemeral_storage: BytesLimit | None = Field(
        None, alias="ephemeral-storage", description="Bytes, like 1Gi.", json_schema_extra=NULLABLE
    )


def _at_most_limit(name: str) -> Rule:
    field = name.replace("-", "__dash__")  # CEL: a name with a dash is escaped
    attribute = name.replace("-", "_")
    given = " || ".join(
        f"!has(self.{side}) || dyn(self.{side}) == null || !has(self.{side}.{field}) || "
        f"!isQuantity(string(self.{side}.{field}))"
        for side in ("requests", "limits")
    )
    compared = f"quantity(string(self.requests.{field})).compareTo(quantity(string(self.limits.{field}))) <= 0"

    def holds(resources: Resources) -> bool:
        request, limit = (getattr(side, attribute, None) for side in (resources.requests, resources.limits))
        return not request or not limit or quantities.parse(request) <= quantities.parse(limit)

    path = f"requests.{name}" if field == name else f"requests['{name}']"
    return Rule(f"{given} || {compared}", holds, "the request is larger than the limit; write at most the limit", path)


class Resources(Shape):
    """The CPU and memory of the adapter."""

    rules = tuple(map(_at_most_limit, NAMES))

    requests: Requests | None = Field(None, json_schema_extra=NULLABLE)
    limits: Limits | None = Field(None, json_schema_extra=NULLABLE)


def with_defaults(resources: Resources | None, *, cleared: bool) -> dict[str, dict[str, str]]:
    """The resources, and this project's defaults where a field is missing. A null stays without value.

    ``cleared``: ``resources`` is null. A default follows the value that it would contradict: with the limit 32Mi, the
    default request is 32Mi, too.
    """
    if cleared:
        return {}
    chosen = resources or Resources()
    found = chosen.canonical()
    requests, limits = dict(found.get("requests", {})), dict(found.get("limits", {}))
    for name in _missing(chosen, "requests", REQUESTS):
        requests[name] = min(REQUESTS[name], limits.get(name, REQUESTS[name]), key=quantities.parse)
    for name in _missing(chosen, "limits", LIMITS):
        limits[name] = max(LIMITS[name], requests.get(name, LIMITS[name]), key=quantities.parse)
    return {side: _sorted(each) for side, each in (("requests", requests), ("limits", limits)) if each}


def _missing(resources: Resources, side: str, defaults: dict[str, str]) -> list[str]:
    """The names that have a default, and neither a value nor null."""
    amounts = getattr(resources, side)
    if amounts is None and side in resources.model_fields_set:
        return []
    return [name for name in defaults if amounts is None or name not in amounts.model_fields_set]


def _sorted(values: dict[str, str]) -> dict[str, str]:
    return {name: values[name] for name in NAMES if name in values}
