"""What may be shown of a value that is not usable: everything but a secret's text. Pure.

A sentence that does not hold a secret is shown even if it is about one: it says what to write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

Json = Any
INSTEAD = "(secret)"
SHORT = 4  # a secret of fewer characters stands in every other sentence; it counts only as a word of its own


def contains_secret(text: str, secrets: Iterable[str]) -> bool:
    """Whether one of the secrets, or a line of one, stands in the text: as it is, trimmed, escaped, in any case."""
    folded = text.casefold()
    return any(_stands_in(folded, form.casefold()) for secret in secrets for form in _forms(secret))


def redacted(value: Json, secrets: Iterable[str]) -> Json:
    """The value, with ``(secret)`` in the place of each text that is a secret or holds one."""
    known = frozenset(secrets)
    if isinstance(value, dict):
        return {key: redacted(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [redacted(item, known) for item in value]
    return INSTEAD if isinstance(value, str) and (value in known or contains_secret(value, known)) else value


def _stands_in(text: str, secret: str) -> bool:
    if len(secret) >= SHORT:
        return secret in text
    return re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", text) is not None


def _forms(secret: str) -> set[str]:
    plain = {secret, secret.strip(), " ".join(secret.split()), *(line.strip() for line in secret.splitlines())}
    quoted = {repr(it)[1:-1] for it in plain} | {json.dumps(it)[1:-1] for it in plain}
    return {it for it in plain | quoted if it.strip()}
