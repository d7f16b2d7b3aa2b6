"""What a log shows of an exception in the code of a kind. Values of secrets are replaced. Pure."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import traceback
from collections.abc import Awaitable, Iterable, Iterator
from types import FrameType, FunctionType
from typing import Any, TypeVar
from urllib.parse import quote

T = TypeVar("T")
PLACEHOLDER = "(secret)"
ERROR_LENGTH, READ_LENGTH, TRACEBACK_FRAMES = 300, 1000, 20  # characters shown, characters read, frames
METHODS = ("receive", "tick", "poll", "events")  # of kinds; the first one that the author defined makes the events
SHORTEST_SECRET = 4  # characters; many words contain a shorter text, so a replacement would reveal it
PART_LENGTH = 8  # so many characters of a secret in a row are replaced, because a message may show only a part of it


class SourceExit(Exception):
    """The source's code raised its cause: SystemExit, KeyboardInterrupt, CancelledError or GeneratorExit.

    asyncio would end the process or the task without an error.
    """


async def as_source(code: Awaitable[T]) -> T:
    """Await the source's ``code``. Raises :class:`SourceExit`, but passes on that this task is cancelled."""
    try:
        return await code
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        raise SourceExit from error
    except asyncio.CancelledError as error:
        if cancels_this_task(error):
            raise
        raise SourceExit from error


def cancels_this_task(error: BaseException) -> bool:
    """True if the error is the cancellation of this task; False if the code that it runs raised the error itself."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and (task is None or task.cancelling() > 0)


def failure_fields(
    error: BaseException, package: str, secrets: Iterable[str], kind: type | None = None
) -> dict[str, Any]:
    """Fields of a log line: ``error`` is type and message, ``at`` is ``file:line``, and ``traceback``.

    ``at`` is in ``package``, the module or package of the kind. If no frame is there, the author's code has returned
    already, for example with a wrong value. Then ``at`` is the definition of its method in the class ``kind``, or the
    last frame. The traceback has frames only: it shows the code, but no values.
    """
    if isinstance(error, SourceExit) and error.__cause__:
        error = error.__cause__
    frames = list(traceback.walk_tb(error.__traceback__))
    stack = traceback.StackSummary.extract(iter(frames[-TRACEBACK_FRAMES:]))
    defined = next(_definitions(kind, package), "")
    return {
        "error": without_secrets(_text(error), secrets)[:ERROR_LENGTH],
        "at": author_line(error, package) or defined or place(frames),
        "traceback": "".join(stack.format()),
    }


def author_line(error: BaseException, package: str) -> str:
    """``file:line`` of the last line that ran in ``package``, a module or package; empty if there is none."""
    cause = error.__cause__ or error.__context__
    causes = list(traceback.walk_tb(cause.__traceback__)) if cause else []
    return place([*causes, *traceback.walk_tb(error.__traceback__)], package)


def place(frames: Iterable[tuple[FrameType, int]], package: str = "") -> str:
    """``file:line`` of the last of ``frames`` (with their lines) that is in ``package``; empty if there is none."""

    def is_own(frame: FrameType) -> bool:
        return not package or str(frame.f_globals.get("__name__")).partition(".")[0] == package.partition(".")[0]

    places = [f"{os.path.basename(frame.f_code.co_filename)}:{line}" for frame, line in frames if is_own(frame)]
    return places[-1] if places else ""


def _definitions(kind: type | None, package: str) -> Iterator[str]:
    """Where the author defined a method that makes events."""
    for name in METHODS:
        function = getattr(kind, name, None)
        if isinstance(function, FunctionType) and function.__module__.partition(".")[0] == package.partition(".")[0]:
            yield f"{os.path.basename(function.__code__.co_filename)}:{function.__code__.co_firstlineno}"


def _text(error: BaseException) -> str:
    from pydantic import ValidationError

    try:
        message = str(error)
    except Exception:  # the text of an author's exception may fail, too
        message = "its text cannot be read"
    if isinstance(error, ValidationError):  # its text shows the input
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        message = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems)
    return " ".join(f"{type(error).__name__}: {message[:READ_LENGTH]}".split()).rstrip(":")


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text with each secret replaced, also in the notation of Python, JSON or a URL, and also a part of one."""
    return without(text, spellings(secrets), PLACEHOLDER)


def spellings(secrets: Iterable[str]) -> set[str]:
    """How a text may spell the secrets: as they are, on one line, and in the notation of Python, JSON or a URL.

    Secrets of fewer than ``SHORTEST_SECRET`` characters are left out.
    """
    long_enough = (secret for secret in secrets if len(secret.strip()) >= SHORTEST_SECRET)
    return {spelling for secret in long_enough for spelling in _spellings(secret)}


def without(text: str, others: Iterable[str], placeholder: str) -> str:
    """The text with ``placeholder`` for each part of at least ``PART_LENGTH`` characters that is in one of ``others``.

    Of a shorter text in ``others``, all of it is replaced.
    """
    hidden = [False] * len(text)
    for other in filter(None, others):
        width = min(len(other), PART_LENGTH)
        for start in range(len(text) - width + 1):
            if text[start : start + width] in other:
                hidden[start : start + width] = [True] * width
    runs = itertools.groupby(zip(text, hidden, strict=True), key=lambda pair: pair[1])
    return "".join(placeholder if hide else "".join(character for character, _ in run) for hide, run in runs)


def _spellings(secret: str) -> tuple[str, ...]:
    text = secret.strip()
    return text, " ".join(text.split()), repr(text)[1:-1], json.dumps(text)[1:-1], quote(text), quote(text, safe="")
