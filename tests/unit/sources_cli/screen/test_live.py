"""The table of ``sources run`` on a terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from adapter.contract.formats import format_time
from sources_cli.screen.live import LiveScreen


def source(name: str, ready: str = "True", reason: str = "", message: str = "") -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "reason": reason, "message": message}
    return {
        "kind": "SampleSource",
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": format_time(datetime.now(UTC))},
        "spec": {"interval": "10s"},
        "status": {"conditions": [condition], "sinkUri": "http://h"},
    }


def drawn(*sources: dict[str, Any], width: int = 100, height: int = 24) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    screen = LiveScreen(console)
    for each in sources:
        screen.row(each, 3)
    with console.capture() as captured:
        console.print(screen.render())
    return [line.rstrip() for line in captured.get().splitlines()]


def test_failing_sources_come_first_if_not_all_fit() -> None:
    lines = drawn(*(source(f"s{n}") for n in range(30)), source("broken", "False", "NotFound", "Service a/b is gone"))
    assert len(lines) <= 24
    assert lines[2].startswith("broken ")
    assert "broken: NotFound: Service a/b is gone" in lines
    assert lines[-1] == f"… and {31 - sum(' 3 ' in line for line in lines)} more"


def test_failure_wraps_but_progress_is_truncated() -> None:
    long = "because " * 20
    lines = drawn(
        source("slow", "Unknown", "AdapterStarting", long), source("bad", "False", "NotFound", long), width=80
    )
    assert sum("because" in line for line in lines if line.startswith("slow: ")) == 1
    assert next(line for line in lines if line.startswith("slow: ")).endswith("…")
    assert sum(line.count("because") for line in lines) > 20


def test_address_of_a_live_page_is_below_the_table() -> None:
    console = Console(file=io.StringIO(), width=100, height=24, force_terminal=False)
    screen = LiveScreen(console)
    screen.row(source("a"), 3)
    screen.page("event-display", "http://127.0.0.1:41234/")
    with console.capture() as captured:
        console.print(screen.render())
    lines = [line.rstrip() for line in captured.get().splitlines()]
    assert lines[-1] == "event-display: shows the events at http://127.0.0.1:41234/"


def test_wide_terminal_also_shows_kind_and_interval() -> None:
    assert not any("SampleSource" in line for line in drawn(source("a"), width=100))
    [header, row] = drawn(source("a"), width=120)[1:3]
    assert ("KIND" in header, "INTERVAL" in header) == (True, True)
    assert ("SampleSource" in row, "10s" in row) == (True, True)


def test_problems_of_the_files_are_below_the_table_until_they_are_solved() -> None:
    screen = LiveScreen(console := Console(file=io.StringIO(), width=100, height=12))
    for n in range(20):
        screen.row(source(f"s{n}"), 3)
    screen.problems([f"not applied: {n}\x1b" for n in range(5)])
    with console.capture() as captured:
        console.print(screen.render())
    lines = captured.get().splitlines()
    assert len(lines) <= 12
    assert lines[-4:] == [*(f"not applied: {n}�" for n in range(3)), "… and 2 more problems in the files"]
    screen.problems([])
    with console.capture() as captured:
        console.print(screen.render())
    assert "not applied" not in captured.get()


def test_url_of_a_source_that_listens_is_below_the_table() -> None:
    console = Console(file=io.StringIO(), width=100, height=24, force_terminal=False)
    screen = LiveScreen(console)
    screen.row(source("timer"), 0)
    for path in ("/", "/door"):
        screen.row(source("bell"), 0, f"http://127.0.0.1:8888{path}")
    with console.capture() as captured:
        console.print(screen.render())
    lines = captured.get().splitlines()
    assert [line.rstrip() for line in lines if "listens" in line] == ["bell: listens on http://127.0.0.1:8888/door"]


def test_source_without_status_has_a_row() -> None:
    assert drawn({**source("new"), "status": None})[2].startswith("new ")
