"""The structural schema of ``spec.adapter``, for the CRDs and for a file of defaults."""

from __future__ import annotations

from functools import cache

from adapter.contract.formats import Json
from hooks.pod_settings.fields import AdapterFields
from sources_cli.schema.structural import structural


@cache
def settings_schema() -> Json:
    """For ``violations()`` of ``sources_cli.admission.validate``. It is cached: callers must not modify it."""
    return structural(AdapterFields.model_json_schema(), at="adapter")
