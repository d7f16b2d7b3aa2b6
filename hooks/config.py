"""The mounted config-logging and config-observability ConfigMaps -> K_* values. The only file reading of the hook.

Read anew at each sync, so a change reaches a source at its next one. A broken file keeps the last good value.
Source: Knative's ``ConfigAccessor.ToEnvVars`` (eventing ``config_watcher.go``).
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from adapter.contract import go_json
from hooks.deployments import Observability
from hooks.resources import kebab

log = logging.getLogger("hooks.config")

_SECTIONS = {
    "tracing": {"protocol": "tracing-protocol", "endpoint": "tracing-endpoint"},
    "metrics": {"protocol": "metrics-protocol", "endpoint": "metrics-endpoint"},
}
_PROTOCOLS = {
    "tracing": ("none", "grpc", "http/protobuf", "stdout"),
    "metrics": ("none", "grpc", "http/protobuf", "prometheus"),
}


class MountedConfig:
    """Callable: kind -> Observability. ``problems`` names what is broken at present, one sentence each."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._good: dict[str, str] = {}
        self.problems: dict[str, str] = {}

    def __call__(self, kind: str) -> Observability:
        if self._directory is None:
            return Observability()
        component = kebab(kind)
        return Observability(
            logging=self._kept("config-logging", component, self._logging),
            klog_verbosity=self._kept("klog-verbosity", component, self._klog),
            observability=self._kept("config-observability", component, self._observability),
        )

    def _kept(self, name: str, component: str, read: object) -> str:
        key = f"{name}/{component}"
        try:
            value: str = read(component)  # type: ignore[operator]
        except (ValueError, OSError) as error:
            sentence = f"{name}: {error}; the last good value stays in force"
            if self.problems.get(key) != sentence:
                log.error(sentence)
            self.problems[key] = sentence
            return self._good.get(key, "")
        self.problems.pop(key, None)
        self._good[key] = value
        return value

    def _text(self, name: str, key: str) -> str:
        assert self._directory is not None
        file = self._directory / name / key
        return file.read_text(encoding="utf-8").strip() if file.is_file() else ""

    def _logging(self, component: str) -> str:
        zap = self._text("config-logging", "zap-logger-config")
        if not zap:
            return ""
        parsed = _json_object("zap-logger-config", zap)
        if level := self._text("config-logging", f"loglevel.{component}"):
            zap = json.dumps({**parsed, "level": level}, separators=(",", ":"))
        return go_json({"zap-logger-config": zap})

    def _klog(self, component: str) -> str:
        text = self._text("config-logging", "klog-verbosity")
        if text and not (text.isdecimal() and 0 <= int(text) <= 9):
            raise ValueError(f'klog-verbosity is "{text}", write a number from 0 to 9')
        return text

    def _observability(self, component: str) -> str:
        answer: dict[str, dict[str, str]] = {}
        for section, keys in _SECTIONS.items():
            values = {field: self._text("config-observability", key) for field, key in keys.items()}
            values = {"protocol": "none"} | {field: value for field, value in values.items() if value}
            if values["protocol"] not in _PROTOCOLS[section]:
                allowed = ", ".join(_PROTOCOLS[section])
                raise ValueError(f'{section}-protocol is "{values["protocol"]}", write one of {allowed}')
            answer[section] = values
        unset = all(values == {"protocol": "none"} for values in answer.values())
        return "" if unset else go_json(answer)


def _json_object(name: str, text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not a JSON object")
    return value
