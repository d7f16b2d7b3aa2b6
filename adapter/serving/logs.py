"""The adapter's log: one JSON object a line on stderr, never an event's data, never a flood."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

LEVELS = {  # zap's names
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "dpanic": logging.CRITICAL,
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
}
_NAMES = {logging.WARNING: "warn", logging.CRITICAL: "fatal"}
QUIET = timedelta(minutes=1)


class JsonLines(logging.Formatter):
    """Puts what stands in ``extra={"fields": {...}}`` beside ts, level, msg, namespace and name."""

    def __init__(self, namespace: str, name: str) -> None:
        super().__init__()
        self._who = {"namespace": namespace, "name": name}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": _NAMES.get(record.levelno, record.levelname.lower()),
            "msg": record.getMessage(),
            **self._who,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class LogThrottle:
    """Says each message at most once a minute: the first at once, those in between as the next one's ``count``.

    The counts add up: what a minute held back comes with the next call, be it :meth:`settle` when all is well again.
    """

    def __init__(self, log: logging.Logger, now: Callable[[], datetime]) -> None:
        self._log = log
        self._now = now
        self._said: dict[str, datetime] = {}
        self._held: dict[str, tuple[int, int, dict[str, Any]]] = {}  # message -> level, count, last fields

    def warning(self, message: str, count: int = 1, **fields: Any) -> bool:
        """Whether the line was written."""
        return self._say(logging.WARNING, message, count, fields)

    def error(self, message: str, count: int = 1, **fields: Any) -> bool:
        return self._say(logging.ERROR, message, count, fields)

    def flush(self) -> None:
        """Say what was held back and whose minute is over."""
        for message, (level, _, fields) in list(self._held.items()):
            self._say(level, message, 0, fields)

    def _say(self, level: int, message: str, count: int, fields: dict[str, Any]) -> bool:
        now = self._now()
        _, held, _ = self._held.pop(message, (level, 0, fields))
        if message in self._said and timedelta(0) <= now - self._said[message] < QUIET:
            self._held[message] = level, held + count, fields
            return False
        self._said[message] = now
        self._log.log(level, message, extra={"fields": {"count": held + count, **fields}})
        return True


def configure(namespace: str, name: str, logging_config: str, stream: TextIO = sys.stderr) -> logging.Logger:
    """The logger ``adapter`` at the level of ``K_LOGGING_CONFIG``; a config that cannot be read is a warning."""
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
        log.warning("K_LOGGING_CONFIG is not usable; logging at info", extra={"fields": {"error": str(error)}})
    return log


def level_of(logging_config: str) -> int:
    """``{"zap-logger-config": "{\\"level\\": \\"debug\\", …}"}`` -> ``logging.DEBUG``; info where nothing is said."""
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
    """The file and line that raised, instead of a traceback."""
    traceback = error.__traceback__
    while traceback and traceback.tb_next:
        traceback = traceback.tb_next
    return f"{os.path.basename(traceback.tb_frame.f_code.co_filename)}:{traceback.tb_lineno}" if traceback else ""


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)
