"""The structural schemas of ``spec.adapter`` and ``spec.checkpoint``, for files of defaults."""

from __future__ import annotations

from functools import cache

from adapter.contract.formats import Json
from hooks.checkpoint import Checkpoint
from hooks.pod_settings.fields import AdapterFields
from sources_cli.schema.structural import structural


@cache
def settings_schema() -> Json:
    """For ``violations()`` of ``sources_cli.admission.validate``. It is cached: callers must not modify it."""
    return structural(AdapterFields.model_json_schema(), at="adapter")


@cache
def checkpoint_schema() -> Json:
    """Like ``settings_schema``."""
    return structural(Checkpoint.model_json_schema(), at="checkpoint")
