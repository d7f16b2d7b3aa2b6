"""A logger that keeps what it is told, for tests."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

from adapter.serving.logs import JsonLines


class Logbook:
    """``log`` is the logger; ``lines`` are its lines as a person would read them, parsed."""

    def __init__(self, level: int = logging.DEBUG) -> None:
        self._text = io.StringIO()
        handler = logging.StreamHandler(self._text)
        handler.setFormatter(JsonLines("ns", "name"))
        self.log = logging.Logger("test", level)
        self.log.addHandler(handler)

    @property
    def text(self) -> str:
        return self._text.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def said(self, words: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if words in line["msg"]]
