"""Builds kinds for tests."""

from __future__ import annotations

from typing import Any

from adapter.sdk import Timer
from sources_cli.kind import Kind


def kind_with(fields: dict[str, Any], bases: tuple[type, ...] = (Timer,), **values: Any) -> Kind:
    """A kind with these fields: name -> (type, default)."""
    body = {name: default for name, (_, default) in fields.items()}
    annotations = {name: type for name, (type, _) in fields.items()}
    namespace = {"__doc__": "A kind.", "__module__": __name__, **values, **body, "__annotations__": annotations}
    return Kind(type("TinySource", bases, namespace), "tests")
