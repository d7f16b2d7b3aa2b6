"""Real exchanges between Metacontroller and the hook, kept for the fast tests: ``RECORD=1 pytest tests/cluster``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cluster.gate import Exchange

DIRECTORY = Path(__file__).parents[1] / "contract/recordings"
_NOISE = ("managedFields",)


def save(situation: str, exchange: Exchange) -> None:
    """What the hook does not read and what is another at each run (the gate's port) is left out or named alike."""
    query = exchange.path.partition("?")[2]
    document = {"query": query, "at": exchange.time, "request": _quiet(exchange.request), "response": exchange.response}
    DIRECTORY.mkdir(exist_ok=True)
    (DIRECTORY / f"{situation}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def _quiet(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _quiet(it) for key, it in value.items() if key not in (*_NOISE, "controller")}
    return [_quiet(it) for it in value] if isinstance(value, list) else value
