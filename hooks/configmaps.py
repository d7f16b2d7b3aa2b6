"""The mounted config-logging and config-observability ConfigMaps -> K_* values. The only file reading of the hook.

Looked at anew at each sync, so a change reaches a source at its next one. A broken ConfigMap keeps the last good value.
Source of names, order and defaults: Knative's ``ConfigAccessor.ToEnvVars`` (eventing ``config_watcher.go``).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from hooks.names import kebab
from hooks.observability import ConfigProblem, Observability, logging_json, observability_json, verbosity

log = logging.getLogger("hooks.configmaps")

LOGGING, OBSERVABILITY = "config-logging", "config-observability"
Values = Mapping[str, str]
Stamp = tuple[tuple[str, int, int, int], ...]


class MountedConfig:
    """Callable: kind -> Observability. ``problems`` names what is broken at present, one sentence each."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._seen: Stamp | None = None
        self._maps: dict[str, Values] = {LOGGING: {}, OBSERVABILITY: {}}
        self._answers: dict[str, Observability] = {}
        self.problems: dict[str, str] = {}

    def __call__(self, kind: str) -> Observability:
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            self._answers.clear()
            self._read_all()
        component = kebab(kind)
        if component not in self._answers:
            logging_map, observability_map = self._maps[LOGGING], self._maps[OBSERVABILITY]
            self._answers[component] = Observability(
                logging=logging_json(logging_map, component),
                klog_verbosity=verbosity(logging_map),
                observability=observability_json(observability_map),
            )
        return self._answers[component]

    def _read_all(self) -> None:
        checks: dict[str, Callable[[Values], object]] = {
            LOGGING: lambda values: (logging_json(values, ""), verbosity(values)),
            OBSERVABILITY: observability_json,
        }
        for name, check in checks.items():
            try:
                values = self._read(name)
                check(values)
            except (ConfigProblem, OSError, UnicodeDecodeError) as error:
                sentence = f"{name}: {error}; the last good value stays in force"
                if self.problems.get(name) != sentence:
                    log.error(sentence)
                self.problems[name] = sentence
            else:
                if self.problems.pop(name, None):
                    log.info("%s: can be read again", name)
                self._maps[name] = values

    def _read(self, name: str) -> Values:
        return {file.name: file.read_text(encoding="utf-8").strip() for file in self._files(name)}

    def _files(self, name: str) -> list[Path]:
        """The keys of one ConfigMap; the kubelet's ``..data`` and ``..2026_…`` are not keys."""
        if self._directory is None or not (self._directory / name).is_dir():
            return []
        return [it for it in sorted((self._directory / name).iterdir()) if not it.name.startswith(".") and it.is_file()]

    def _stamp(self) -> Stamp:
        """Differs after any change: the kubelet swaps in new files behind the same names."""
        if self._directory is None:
            return ()
        stamps = []
        for name in (LOGGING, OBSERVABILITY):
            try:
                with os.scandir(self._directory / name) as entries:
                    stats = [(f"{name}/{entry.name}", entry.stat()) for entry in entries]
            except OSError:  # not mounted, or swapped at this moment: the next sync sees it
                continue
            stamps += [(path, stat.st_mtime_ns, stat.st_size, stat.st_ino) for path, stat in stats]
        return tuple(sorted(stamps))
