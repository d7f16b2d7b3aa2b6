"""A logger that keeps its lines in memory, for tests."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

from adapter.serving.logs import JsonLines


class Logbook:
    """``log`` is the logger. ``text`` is its output, ``lines`` the JSON objects of its lines."""

    def __init__(self, level: int = logging.DEBUG) -> None:
        self._text = io.StringIO()
        handler = logging.StreamHandler(self._text)
        handler.setFormatter(JsonLines({"namespace": "ns", "name": "name"}))
        self.log = logging.Logger("test", level)
        self.log.addHandler(handler)

    @property
    def text(self) -> str:
        return self._text.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def logged(self, words: str) -> list[dict[str, Any]]:
        """The lines whose message contains ``words``."""
        return [line for line in self.lines if words in line["msg"]]
