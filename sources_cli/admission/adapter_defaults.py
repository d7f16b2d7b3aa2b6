"""Reads a file with defaults for ``spec.adapter``, and checks it as the API server checks a source."""

from __future__ import annotations

from pathlib import Path

from adapter.contract.formats import Json, quoted
from hooks.pod_settings.read import read
from hooks.pod_settings.settings import InvalidSettings
from sources_cli.admission import yaml
from sources_cli.admission.files import text_of
from sources_cli.admission.validate import violations
from sources_cli.problem import Problem
from sources_cli.schema.pod_settings import settings_schema


def read_adapter_defaults(path: Path | None) -> Json:
    """The map in the file; empty if there is no file. ``Problem`` names the file, the line, the field and a remedy."""
    if path is None:
        return {}
    try:
        documents = yaml.load(text_of(path))
    except yaml.BrokenYAML as error:
        raise Problem(f"{path}:{error.line}: broken YAML: {error}") from None
    if len(documents) > 1:
        raise Problem(f"{path}:{documents[1].line(())}: a second document begins here; write one map")
    for document in documents:
        _check(path, document)
    return documents[0].value if documents else {}


def _check(path: Path, document: yaml.YamlDocument) -> None:
    value = document.value
    if not isinstance(value, dict):
        wanted = "write a map with the fields of spec.adapter, such as resources"
        raise Problem(f"{path}:{document.line(())}: the document is {quoted(value)}: {wanted}")
    found = [f"{path}:{document.line(each.path)}: {each.text}" for each in violations(settings_schema(), value)]
    if found:
        raise Problem(*found)
    try:
        read(value, "adapter")
    except InvalidSettings as error:
        raise Problem(f"{path}: {error}") from None
