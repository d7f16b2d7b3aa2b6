"""The reason why a program ended, from its output. Pure."""

from __future__ import annotations

import json

from adapter.contract.formats import Json


def crash_cause(output: Json) -> str:
    """Why a program ended: the last line of its output; empty if there is none.

    Of a log line in JSON, it is the message, the place in the code and the error: ``the source failed at a.py:9: …``.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()] if isinstance(output, str) else []
    if not lines:
        return ""
    try:
        entry = json.loads(lines[-1])
    except (ValueError, RecursionError):
        return lines[-1]
    if not isinstance(entry, dict) or not isinstance(entry.get("msg"), str):
        return lines[-1]
    at, error = (entry.get(name) if isinstance(entry.get(name), str) else "" for name in ("at", "error"))
    return f"{entry['msg']}{f' at {at}' if at else ''}{f': {error}' if error else ''}"
