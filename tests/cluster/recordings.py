"""Save responses of real servers for tests without a cluster: ``RECORD=1 pytest tests/cluster``.

Recorded are exchanges between Metacontroller and the hook, and the API server's errors in the table of specs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.cluster.hook_proxy import Exchange

CONTRACT = Path(__file__).parents[1] / "contract"
DIRECTORY = CONTRACT / "recordings"
TABLE = CONTRACT / "specs.yaml"
_NOISE = ("managedFields",)


def save(situation: str, exchange: Exchange) -> None:
    """Write the exchange as JSON, without ``managedFields`` and ``controller``, which the hook does not read."""
    query = exchange.path.partition("?")[2]
    document = {"query": query, "at": exchange.time, "request": _quiet(exchange.request), "response": exchange.response}
    DIRECTORY.mkdir(exist_ok=True)
    (DIRECTORY / f"{situation}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def save_row(name: str, says: Sequence[str]) -> None:
    TABLE.write_text(with_says(TABLE.read_text(), name, says))


def with_says(table: str, name: str, says: Sequence[str]) -> str:
    """The table of specs with ``says`` in the row of this name. Without ``says`` the API server accepts the spec."""
    names = "|".join(re.escape(spelling) for spelling in (name, json.dumps(name, ensure_ascii=False)))
    row = rf"^(- name: (?:{names})\n(?:  (?:kind|spec|object): .*\n)+)(?:  says:\n(?:    - .*\n)+)?"
    words = "".join(f"    - {json.dumps(text, ensure_ascii=False)}\n" for text in says)
    block = f"  says:\n{words}" if says else ""
    written, count = re.subn(row, lambda found: found[1] + block, table, flags=re.MULTILINE)
    assert count == 1, f"{count} rows are named {name}"
    return written


def _quiet(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _quiet(item) for key, item in value.items() if key not in (*_NOISE, "controller")}
    return [_quiet(item) for item in value] if isinstance(value, list) else value
