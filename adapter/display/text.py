"""Events as lines of text, and what a dead letter says about its delivery. Pure."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import datetime

from adapter.contract.formats import Json, printable

NO_ANSWER = "dispatch error: "


def as_text(event: dict[str, Json], answered: int | None, headers: dict[str, str]) -> str:
    name = event["source"].rstrip("/").rpartition("/")[2]
    note = "" if answered == 202 else f"  -> {answered or 'no answer'}"
    data = json.dumps(event.get("data"), ensure_ascii=False)
    note += dead_letter_note(event)
    return printable(f"{datetime.now().astimezone():%H:%M:%S}  {name}  {event['type']}  {data}{note}")


def as_json(event: dict[str, Json], answered: int | None, headers: dict[str, str]) -> str:
    """One line of JSON. ``status``: the status code of the response; null if there is no response."""
    return json.dumps({**event, "status": answered, "headers": headers})


def dead_letter_note(event: dict[str, Json]) -> str:
    """The sink that did not accept the event, and its answer or the error; empty if the event is not a dead letter."""
    extensions = event.get("extensions", {})
    if "knativeerrordest" not in extensions:
        return ""
    failure = _delivery_error(str(extensions.get("knativeerrordata", "")))  # JSON allows an integer, too
    answer = f": {failure}" if failure else f" answered {extensions.get('knativeerrorcode')}"
    return f"  dead letter: {extensions['knativeerrordest']}{answer}"


def _delivery_error(data: str) -> str:
    """Why there was no answer; empty if there was one. Knative marks the error in this way, too, beside code 500."""
    try:
        text = b64decode(data + "==").decode("utf-8", "replace")
    except ValueError:
        return ""
    return text.removeprefix(NO_ANSWER) if text.startswith(NO_ANSWER) else ""
