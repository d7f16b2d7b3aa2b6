"""Reads the mounted ConfigMaps config-logging and config-observability.

Each sync checks whether the files have changed, so a change applies from the next sync of each source. If a ConfigMap
is invalid, its last valid content stays in use.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from adapter.contract.kind_names import kebab
from hooks.observability import ConfigProblem, Observability, logging_json, observability_json, verbosity

log = logging.getLogger("hooks")

LOGGING, OBSERVABILITY = "config-logging", "config-observability"
Values = Mapping[str, str]
Stamp = tuple[tuple[str, int, int, int], ...]


class MountedConfig:
    """The mounted ConfigMaps. ``problems``: name of each invalid ConfigMap -> error message."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._scanned = [str(directory / name) for name in (LOGGING, OBSERVABILITY)] if directory else []
        self._last_stamp: Stamp | None = None
        self._maps: dict[str, Values] = {LOGGING: {}, OBSERVABILITY: {}}
        self._by_component: dict[str, Observability] = {}
        self.problems: dict[str, str] = {}

    def for_kind(self, kind: str) -> Observability:
        stamp = self._stamp()
        if stamp != self._last_stamp:
            self._last_stamp = stamp
            self._by_component.clear()
            self._read_all()
        component = kebab(kind)
        if component not in self._by_component:
            logging_map, observability_map = self._maps[LOGGING], self._maps[OBSERVABILITY]
            self._by_component[component] = Observability(
                logging=logging_json(logging_map, component),
                klog_verbosity=verbosity(logging_map),
                observability=observability_json(observability_map),
            )
        return self._by_component[component]

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
                problem = f"{name}: {error}; the last valid content stays in use"
                if self.problems.get(name) != problem:
                    fields = {"config_map": name, "error": str(error)}
                    log.error("a ConfigMap is invalid; its last valid content stays in use", extra={"fields": fields})
                self.problems[name] = problem
            else:
                if self.problems.pop(name, None):
                    log.info("the ConfigMap is valid again", extra={"fields": {"config_map": name}})
                self._maps[name] = values

    def _read(self, name: str) -> Values:
        return {file.name: file.read_text(encoding="utf-8").strip() for file in self._files(name)}

    def _files(self, name: str) -> list[Path]:
        """The files of one ConfigMap, one per key, without the kubelet's links ``..data`` and ``..2026_…``."""
        if self._directory is None or not (self._directory / name).is_dir():
            return []
        files = sorted((self._directory / name).iterdir())
        return [file for file in files if not file.name.startswith(".") and file.is_file()]

    def _stamp(self) -> Stamp:
        """A value that differs after each change of a file, including an update by the kubelet (new inodes)."""
        stamps = []
        for path in self._scanned:
            try:
                with os.scandir(path) as entries:
                    stats = [(entry.path, entry.stat()) for entry in entries]
            except OSError:  # not mounted, or being replaced: the next sync reads the new files
                continue
            stamps += [(file, stat.st_mtime_ns, stat.st_size, stat.st_ino) for file, stat in stats]
        return tuple(sorted(stamps))
