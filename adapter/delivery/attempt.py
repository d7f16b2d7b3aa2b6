"""The result of one delivery attempt, what its status code means, and what the dead letter sink gets. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from adapter.cloudevents.encode import Message, with_extensions
from adapter.serving.failures import without_secrets

ERROR_DATA_LIMIT = 1024
_CONTROL = bytes([*range(32), 127])


class Disposition(Enum):
    """What to do with the event after an attempt: it is delivered, sent again, or never sent again."""

    ACCEPT = "accept"
    RETRY = "retry"
    REJECT = "reject"


@dataclass(frozen=True)
class Attempt:
    """``code``: the status code, or ``timeout``, ``transport``, ``token``, ``tls`` or ``stopped`` without a response.

    ``body``: the beginning of the response's body, for the dead letter sink.
    """

    disposition: Disposition
    code: str
    reason: str = ""
    retry_after_s: float = 0.0
    body: bytes = b""


def answered(status: int, retry_after_s: float = 0.0, body: bytes = b"") -> Attempt:
    """The attempt that ended with a response. The body of a success is not kept."""
    verdict = disposition(status)
    kept = b"" if verdict is Disposition.ACCEPT else body
    return Attempt(verdict, str(status), f"answered {status}", retry_after_s, kept)


def disposition(status: int) -> Disposition:
    """Knative data-plane spec, "Event acknowledgement and delivery retry"; codes that it does not list are retried."""
    if 200 <= status < 300:
        return Disposition.ACCEPT
    if status in (404, 408, 409, 429) or status >= 500:
        return Disposition.RETRY
    return Disposition.REJECT


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
