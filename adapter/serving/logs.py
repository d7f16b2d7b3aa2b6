"""JSON logs on stderr, one object per line. They never contain event data, and a repeated message is throttled."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from adapter.serving.failures import PLACEHOLDER, spellings

LEVELS = {  # names of the Go logger zap
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "dpanic": logging.CRITICAL,
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
_NAMES = {logging.WARNING: "warn", logging.CRITICAL: "fatal"}
THROTTLE_PERIOD = timedelta(minutes=1)
BURST = 10  # lines with the id of each event, before one line counts many
CAUSES = 1000  # of one throttle


class JsonLines(logging.Formatter):
    """Writes ts, level, msg, the members of ``source``, and the fields of ``extra={"fields": {...}}``.

    Of an exception in ``exc_info`` it writes only the type and the place: its text may hold an address or data. Each of
    ``secrets`` is replaced in the message and in the fields.
    """

    def __init__(self, source: Mapping[str, str], secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._source = dict(source)
        self._secrets = sorted(spellings(secrets), key=len, reverse=True)  # a long one may contain a short one

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": _NAMES.get(record.levelno, record.levelname.lower()),
            "msg": self._public(record.getMessage()),
            **self._source,
            **{name: self._public(value) for name, value in fields_of(record).items()},
        }
        return json.dumps(line, default=lambda value: self._public(str(value)))

    def _public(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, PLACEHOLDER)
        return value


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of a log record. Of an exception: its type as ``error``, and ``at``, which is ``file:line``."""
    fields: dict[str, Any] = dict(getattr(record, "fields", {}))
    error = record.exc_info[1] if record.exc_info else None
    return {**fields, "error": type(error).__name__, "at": error_location(error)} if error else fields


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes each line of ``log``. Warnings and errors of other loggers, such as those of libraries, are throttled.

    Each place in the code that logs them is a cause of its own. :meth:`close` writes the held lines.
    """

    def __init__(self, log: logging.Logger, lines: JsonLines, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self.setFormatter(lines)
        self._own = log.name
        self._others = LogThrottle(log, lambda: datetime.now(UTC))

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == self._own or record.levelno < logging.WARNING:
            super().emit(record)
        else:
            place, fields = f"{record.pathname}:{record.lineno}", {"logger": record.name, **fields_of(record)}
            self._others.log(record.levelno, record.getMessage(), fields, cause=place, burst=BURST)

    def close(self) -> None:
        self._others.flush()
        super().close()


@dataclass
class _Minute:
    """When the lines of a cause began to be counted, and how many may still be written within this minute."""

    since: datetime
    left: int


@dataclass
class _Held:
    """Calls of one cause that no line shows yet. The first one has ``first_event_id``, the last one ``fields``."""

    level: int
    message: str
    count: int
    fields: dict[str, Any]
    first_event_id: Any
    last_at: datetime


class LogThrottle:
    """Logs each cause at most once a minute. ``count`` is the number of calls that a line represents.

    The cause is the message, or ``cause`` of :meth:`log`. Calls within the minute are held, and the next line of the
    cause counts them. With ``burst``, so many lines are written before calls are held. A line that counts several
    events has the id of the first held one as ``first_event_id``, and that of the last one as ``event_id``. The field
    ``from``, the beginning of a time, is that of the first held call.

    If all causes end, call :meth:`recovered`; if one ends, :meth:`ended`. ``with LogThrottle(...)`` writes the rest at
    the end, so the counts of all lines add up to the number of calls. A line that is written after its last call has
    the time of this call as ``last_at``. The memory is bounded: of more than ``CAUSES`` causes, the oldest is written
    and forgotten.
    """

    def __init__(self, log: logging.Logger, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._minutes: dict[str, _Minute] = {}  # cause -> its minute; the oldest comes first
        self._held: dict[str, _Held] = {}  # cause -> its calls
        self._has_new_lines = False  # since the last recovery
        self._recovery: tuple[str, dict[str, Any]] | None = None  # not logged yet; it came after the last held call

    def __enter__(self) -> LogThrottle:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def warning(self, message: str, count: int = 1, burst: int = 1, **fields: Any) -> None:
        self.log(logging.WARNING, message, fields, count=count, burst=burst)

    def error(self, message: str, count: int = 1, burst: int = 1, **fields: Any) -> None:
        self.log(logging.ERROR, message, fields, count=count, burst=burst)

    def log(
        self, level: int, message: str, fields: dict[str, Any], *, cause: str = "", count: int = 1, burst: int = 1
    ) -> None:
        cause = cause or message
        held, self._recovery = self._held.pop(cause, None), None
        first_id = held.first_event_id if held else fields.get("event_id")
        count += held.count if held else 0
        if held and "from" in held.fields:
            fields = {**fields, "from": held.fields["from"]}
        if self._may_write(cause, 1 if held else burst):
            self._write(level, message, count, _digest(fields, first_id))
        else:
            self._held[cause] = _Held(level, message, count, fields, first_id, self._now())
        if len(self._minutes) > CAUSES:
            oldest = next(iter(self._minutes))
            self.ended(oldest)
            del self._minutes[oldest]

    def recovered(self, message: str = "", **fields: Any) -> bool:
        """All causes have ended: write the held lines, then ``message`` at level info.

        Nothing is written, and the result is False, if no line was written since the last recovery and no held line is
        due. So a cause that comes and goes does not write two lines each time.
        """
        if not self._has_new_lines and not self._held:
            return False
        self._recovery = message, fields
        if not self._has_new_lines and not any(self._is_due(cause) for cause in self._held):
            return False
        self.flush()
        return True

    def ended(self, cause: str) -> None:
        """Write the line of this cause that is held."""
        if held := self._held.pop(cause, None):
            last_at = held.last_at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
            self._begin_minute(cause, left=0)
            fields = {**_digest(held.fields, held.first_event_id), "last_at": last_at}
            self._write(held.level, held.message, held.count, fields)

    def flush(self) -> None:
        """Write all held lines now, and the recovery after them."""
        for cause in tuple(self._held):
            self.ended(cause)
        if self._recovery:
            (message, fields), self._recovery, self._has_new_lines = self._recovery, None, False
            if message:
                self._log.info(message, extra={"fields": fields})

    def _may_write(self, cause: str, burst: int) -> bool:
        if self._is_due(cause):
            self._begin_minute(cause, burst)
        self._minutes[cause].left -= 1
        return self._minutes[cause].left >= 0

    def _is_due(self, cause: str) -> bool:
        minute = self._minutes.get(cause)
        return minute is None or not timedelta(0) <= self._now() - minute.since < THROTTLE_PERIOD

    def _begin_minute(self, cause: str, left: int) -> None:
        self._minutes.pop(cause, None)
        self._minutes[cause] = _Minute(self._now(), left)

    def _write(self, level: int, message: str, count: int, fields: dict[str, Any]) -> None:
        self._has_new_lines = True
        self._log.log(level, "%s", message, extra={"fields": {"count": count, **fields}})


def _digest(fields: dict[str, Any], first_event_id: Any) -> dict[str, Any]:
    return fields if first_event_id == fields.get("event_id") else {**fields, "first_event_id": first_event_id}


def configure(
    namespace: str, name: str, logging_config: str, stream: TextIO | None = None, secrets: Iterable[str] = ()
) -> logging.Logger:
    """Set up the root logger, and return the logger ``adapter`` at the level of ``K_LOGGING_CONFIG``.

    An invalid config is logged as a warning. ``stream``: default ``sys.stderr``. No line shows one of ``secrets``.
    """
    log = logging.getLogger("adapter")
    install(log, JsonLines({"namespace": namespace, "name": name}, secrets), stream)
    log.setLevel(logging.INFO)
    try:
        log.setLevel(level_of(logging_config))
    except (ValueError, RecursionError) as error:
        log.warning("K_LOGGING_CONFIG is invalid; the level is info", extra={"fields": {"error": str(error)}})
    return log


def install(log: logging.Logger, lines: JsonLines, stream: TextIO | None = None) -> None:
    """Write the lines of all loggers as JSON; those of loggers other than ``log`` from level warning on."""
    root = logging.getLogger()
    root.handlers[:] = [JsonHandler(log, lines, stream)]
    root.setLevel(logging.WARNING)


def log_interpreter_messages(log: logging.Logger) -> None:
    """Log what Python would print itself: warnings, and exceptions that end a thread or that nobody can catch."""

    others = log.getChild("interpreter")  # a name of its own: JsonHandler throttles its lines

    def on_thread(failed: threading.ExceptHookArgs) -> None:
        others.error("a thread failed", exc_info=failed.exc_value)

    def on_unraisable(failed: sys.UnraisableHookArgs) -> None:
        others.error("an exception was ignored", exc_info=failed.exc_value)

    threading.excepthook, sys.unraisablehook = on_thread, on_unraisable
    logging.captureWarnings(True)


def level_of(logging_config: str) -> int:
    """``{"zap-logger-config": "{\\"level\\": \\"debug\\", …}"}`` -> ``logging.DEBUG``; default info."""
    outer = json.loads(logging_config or "{}")
    if not isinstance(outer, dict):
        raise ValueError("write a JSON object")
    text = outer.get("zap-logger-config")
    zap = json.loads(text or "{}") if isinstance(text, str | None) else None
    if not isinstance(zap, dict):
        raise ValueError("write zap-logger-config as a string that holds a JSON object")
    level = zap.get("level", "info")
    if not isinstance(level, str) or level.lower() not in LEVELS:
        raise ValueError(f"level is {json.dumps(level)}; write one of {', '.join(LEVELS)}")
    return LEVELS[level.lower()]


def error_location(error: BaseException) -> str:
    """``file:line`` that raised the error; it replaces a traceback, which could show event data."""
    traceback = error.__traceback__
    while traceback and traceback.tb_next:
        traceback = traceback.tb_next
    return f"{os.path.basename(traceback.tb_frame.f_code.co_filename)}:{traceback.tb_lineno}" if traceback else ""
