"""JSON logs on stderr, one object per line. They never contain event data, and a repeated message is throttled."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
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


class LogThrottle:
    """Logs each message at most once a minute. ``count`` is the number of calls that a line represents.

    Calls within the minute are not logged at once; the next line counts them. Call :meth:`flush` on success, so that
    the last ones are logged too.
    """

    def __init__(self, log: logging.Logger, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._logged: dict[str, datetime] = {}  # message -> when it was last logged
        self._held: dict[str, tuple[int, int, dict[str, Any]]] = {}  # message -> level, count, last fields

    def warning(self, message: str, count: int = 1, **fields: Any) -> bool:
        """True if the line was written."""
        return self._throttled(logging.WARNING, message, count, fields)

    def error(self, message: str, count: int = 1, **fields: Any) -> bool:
        return self._throttled(logging.ERROR, message, count, fields)

    def flush(self) -> None:
        """Log the messages that were held back and whose minute is over."""
        for message, (level, _, fields) in list(self._held.items()):
            self._throttled(level, message, 0, fields)

    def _throttled(self, level: int, message: str, count: int, fields: dict[str, Any]) -> bool:
        now = self._now()
        _, held, _ = self._held.pop(message, (level, 0, fields))
        if message in self._logged and timedelta(0) <= now - self._logged[message] < THROTTLE_PERIOD:
            self._held[message] = level, held + count, fields
            return False
        self._logged[message] = now
        self._log.log(level, message, extra={"fields": {"count": held + count, **fields}})
        return True


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
