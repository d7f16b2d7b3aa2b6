"""The files of control groups, version 1 and 2: a machine has only one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.process.cgroup import MIB, Group, set_limits, version_at

# The contents are those of Linux 6.1.
EVENTS_2 = "low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 0\n"
EVENTS_1 = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"


@pytest.mark.parametrize(
    ("directories", "files", "peak", "events", "limits"),
    [
        pytest.param(
            [],
            ["cgroup.controllers"],
            "memory.peak",
            ("memory.events", EVENTS_2),
            {"memory.max": 128 * MIB, "memory.swap.max": 0},
            id="version-2",
        ),
        pytest.param(
            ["memory", "unified"],
            ["unified/cgroup.controllers"],
            "memory.max_usage_in_bytes",
            ("memory.oom_control", EVENTS_1),
            {"memory.limit_in_bytes": 128 * MIB, "memory.memsw.limit_in_bytes": 128 * MIB},
            id="version-1-and-an-empty-version-2",
        ),
    ],
)
def test_limit_peak_and_kills_of_both_versions(
    tmp_path: Path, directories: list[str], files: list[str], peak: str, events: tuple[str, str], limits: dict[str, int]
) -> None:
    for name in directories:
        (tmp_path / name).mkdir()
    for name in files:
        (tmp_path / name).touch()
    version = version_at(tmp_path)
    group = version.parent / "group"
    group.mkdir()
    for name, text in {peak: f"{64 * MIB}\n", events[0]: events[1], **dict.fromkeys(limits, "max\n")}.items():
        (group / name).write_text(text)
    set_limits(group, version, 128)
    assert {name: int((group / name).read_text()) for name in limits} == limits
    start: Any = None
    assert (Group(start, group, version).peak_mib(), Group(start, group, version).killed()) == (64, 3)
