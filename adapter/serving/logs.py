"""JSON logs on stderr, one object per line. They never contain event data, and a repeated message is throttled."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

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


class JsonLines(logging.Formatter):
    """Writes ts, level, msg, namespace and name, and the fields of ``extra={"fields": {...}}``."""

    def __init__(self, namespace: str, name: str) -> None:
        super().__init__()
        self._source = {"namespace": namespace, "name": name}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": _NAMES.get(record.levelno, record.levelname.lower()),
            "msg": record.getMessage(),
            **self._source,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


@dataclass
class _Held:
    """Calls of one message that no line shows yet."""

    level: int
    count: int
    fields: dict[str, Any]
    last_at: datetime


class LogThrottle:
    """Logs each message at most once a minute. ``count`` is the number of calls that a line represents.

    Calls within the minute are held, and the next line of the message counts them. If their cause ends first, call
    :meth:`recovered`. ``with LogThrottle(...)`` writes the rest at the end, so the counts of all lines add up to the
    number of calls. A line that is written after its last call has the time of this call as ``last_at``.
    """

    def __init__(self, log: logging.Logger, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._logged: dict[str, datetime] = {}  # message -> when it was last logged
        self._held: dict[str, _Held] = {}  # message -> its calls
        self._has_new_lines = False  # since the last recovery
        self._recovery: tuple[str, dict[str, Any]] | None = None  # not logged yet; it came after the last held call

    def __enter__(self) -> LogThrottle:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def warning(self, message: str, count: int = 1, **fields: Any) -> None:
        self._throttled(logging.WARNING, message, count, fields)

    def error(self, message: str, count: int = 1, **fields: Any) -> None:
        self._throttled(logging.ERROR, message, count, fields)

    def recovered(self, message: str = "", **fields: Any) -> bool:
        """The cause of all messages has ended: write the held lines, then ``message`` at level info.

        Nothing is written, and the result is False, if no line was written since the last recovery and no held line is
        due. So a cause that comes and goes does not write two lines each time.
        """
        if not self._has_new_lines and not self._held:
            return False
        self._recovery = message, fields
        if not self._has_new_lines and not any(self._is_due(held) for held in self._held):
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Write all held lines now, and the recovery after them."""
        for message, held in self._held.items():
            last_at = held.last_at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
            self._write(held.level, message, held.count, {**held.fields, "last_at": last_at})
        self._held.clear()
        if self._recovery:
            (message, fields), self._recovery, self._has_new_lines = self._recovery, None, False
            if message:
                self._log.info(message, extra={"fields": fields})

    def _throttled(self, level: int, message: str, count: int, fields: dict[str, Any]) -> None:
        held, self._recovery = self._held.pop(message, None), None
        count += held.count if held else 0
        if self._is_due(message):
            self._write(level, message, count, fields)
        else:
            self._held[message] = _Held(level, count, fields, self._now())

    def _is_due(self, message: str) -> bool:
        logged = self._logged.get(message)
        return logged is None or not timedelta(0) <= self._now() - logged < THROTTLE_PERIOD

    def _write(self, level: int, message: str, count: int, fields: dict[str, Any]) -> None:
        self._logged[message] = self._now()
        self._has_new_lines = True
        self._log.log(level, message, extra={"fields": {"count": count, **fields}})


def configure(namespace: str, name: str, logging_config: str, stream: TextIO | None = None) -> logging.Logger:
    """Set up the root logger, and return the logger ``adapter`` at the level of ``K_LOGGING_CONFIG``.

    An invalid config is logged as a warning. ``stream``: default ``sys.stderr``.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(namespace, name))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    log = logging.getLogger("adapter")
    log.setLevel(logging.INFO)
    try:
        log.setLevel(level_of(logging_config))
    except (ValueError, RecursionError) as error:
        log.warning("K_LOGGING_CONFIG is invalid; the level is info", extra={"fields": {"error": str(error)}})
    return log


def level_of(logging_config: str) -> int:
    """``{"zap-logger-config": "{\\"level\\": \\"debug\\", …}"}`` -> ``logging.DEBUG``; default info."""
    outer = json.loads(logging_config or "{}")
    if not isinstance(outer, dict):
        raise ValueError("write a JSON object")
    zap = json.loads(outer.get("zap-logger-config") or "{}") if _is_text(outer.get("zap-logger-config")) else None
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


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)
