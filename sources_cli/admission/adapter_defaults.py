"""Reads defaults for ``spec.adapter`` and ``spec.checkpoint``, and checks them as the API server checks a source."""

from __future__ import annotations

from pathlib import Path

from adapter.contract.formats import Json, quoted
from hooks.checkpoint import Checkpoint, read_checkpoint
from hooks.pod_settings.read import read
from hooks.pod_settings.settings import InvalidSettings
from sources_cli.admission import yaml
from sources_cli.admission.files import text_of
from sources_cli.admission.validate import violations
from sources_cli.problem import Problem
from sources_cli.schema.pod_settings import checkpoint_schema, settings_schema

_ADAPTER = "write a map with the fields of spec.adapter, such as resources"
_CHECKPOINT = "write a map with one field of spec.checkpoint, such as pod: {}"


def read_adapter_defaults(path: Path | None) -> Json:
    """The map in the file; empty if there is no file. ``Problem`` names the file, the line, the field and a remedy."""
    if path is None:
        return {}
    value = _read(text_of(path), str(path), settings_schema(), _ADAPTER)
    try:
        read(value, "adapter")
    except InvalidSettings as error:
        raise Problem(f"{path}: {error}") from None
    return value or {}


def read_checkpoint_default(text: str | None) -> Checkpoint | None:
    """``text``: the name of a file, or the map itself, such as ``{"pod":{}}``. ``Problem`` as for a file."""
    if text is None:
        return None
    is_map = text.lstrip().startswith("{")
    place, content = ("--checkpoint", text) if is_map else (text, text_of(Path(text)))
    value = _read(content, place, checkpoint_schema(), _CHECKPOINT)
    return None if value is None else read_checkpoint(value, "checkpoint")


def _read(text: str, place: str, schema: Json, wanted: str) -> Json:
    """The one document of a text, which satisfies ``schema``; None if there is none. ``place``: its name in errors."""
    try:
        documents = yaml.load(text)
    except yaml.BrokenYAML as error:
        raise Problem(f"{place}:{error.line}: broken YAML: {error}") from None
    if len(documents) > 1:
        raise Problem(f"{place}:{documents[1].line(())}: a second document begins here; write one map")
    for document in documents:
        value = document.value
        if not isinstance(value, dict):
            raise Problem(f"{place}:{document.line(())}: the document is {quoted(value)}: {wanted}")
        if found := violations(schema, value):
            texts = [each.text if each.path else each.problem for each in found]
            raise Problem(
                *(f"{place}:{document.line(each.path)}: {text}" for each, text in zip(found, texts, strict=True))
            )
    return documents[0].value if documents else None
