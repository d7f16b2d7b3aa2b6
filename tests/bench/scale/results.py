"""The committed results that docs/ publishes: whole runs, each with more sources than the one before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.scale.scenario import Phase

RESULTS = Path(__file__).parent / "results"
LEAST = 100  # runs with fewer sources compare settings


@dataclass(frozen=True)
class Run:
    """``hooks``: the phases of each hook, by its name and theirs."""

    n: int
    machine: Mapping[str, Any]
    hooks: Mapping[str, Mapping[str, Phase]]


def read(file: Path) -> Run:
    report = json.loads(file.read_text())
    phases = {hook: {phase["name"]: Phase(**phase) for phase in listed} for hook, listed in report["hooks"].items()}
    return Run(report["n"], report["machine"], phases)


def published(directory: Path = RESULTS) -> list[Run]:
    """From the files that a number of sources names, such as ``1000.json``."""
    files = [file for file in directory.glob("*.json") if file.stem.isdigit() and int(file.stem) >= LEAST]
    return sorted(map(read, files), key=lambda run: run.n)
