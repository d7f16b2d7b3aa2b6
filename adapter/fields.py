"""Types for the fields of a kind beyond pydantic's own: how they stand in ``spec``, what an author's code gets."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr


class SecretText(SecretStr):
    """A text that stands in a Secret or ConfigMap: ``spec`` names the place, ``get_secret_value()`` is the text.

    In ``spec``: ``{secretKeyRef: {name, key}}`` or ``{configMapKeyRef: {name, key}}``. The kubelet fills it in; neither
    the hook nor a log sees it.
    """

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return {"type": "object", "format": "key-reference"}
