"""The event as the dead letter sink gets it. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable

from adapter.cloudevents.encode import Message, with_extensions
from adapter.delivery.attempt import Attempt
from adapter.serving.failures import without_secrets

ERROR_DATA_LIMIT = 1024
_CONTROL = bytes([*range(32), 127])


def dead_letter(message: Message, destination: str, attempt: Attempt, secrets: Iterable[str] = ()) -> Message:
    """The event with the three extensions that Knative's dispatcher adds to a dead letter.

    ``attempt`` is the last one at ``destination``. Without a response the code is 500. The data is the response's body
    without control characters and ``secrets``, in base64, cut to 1024 characters.
    """
    body = attempt.body if attempt.code.isdecimal() else f"dispatch error: {attempt.reason}".encode()
    octets = [each.encode(errors="surrogateescape").decode("latin-1") for each in secrets]
    shown = without_secrets(body[: 2 * ERROR_DATA_LIMIT].translate(None, _CONTROL).decode("latin-1"), octets)
    data = b64encode(shown.encode("latin-1")).decode()[:ERROR_DATA_LIMIT]
    code = attempt.code if attempt.code.isdecimal() else "500"
    extensions = {"knativeerrordest": destination, "knativeerrorcode": code, "knativeerrordata": data}
    return with_extensions(message, {name: value for name, value in extensions.items() if value})
