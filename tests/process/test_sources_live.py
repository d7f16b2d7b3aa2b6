"""``sources run`` on a terminal: events scroll above a table of the sources."""

from __future__ import annotations

import re
import signal
from contextlib import AbstractContextManager
from pathlib import Path

from tests.process.sources import COMMAND, QUICKSTART, ROOT, quickstart_with, source_without_sink
from tests.process.terminal import Terminal, terminal

EVENT = re.compile(r"^\d\d:\d\d:\d\d  hello  dev\.knative\.sample  ", re.MULTILINE)
HEADER = re.compile(r"^NAME +READY +SINKPROVIDED +DEPLOYED +SINK +EVENTS +AGE$", re.MULTILINE)
READY = re.compile(r"^hello +True +True +True +http://event-display\.\S+ +(\d+) +\d+s$", re.MULTILINE)


def counted(text: str) -> int:
    """The number of events in the row of a source that is ready; 0 if there is no such row."""
    return int(found[1]) if (found := READY.search(text)) else 0


def live(
    *arguments: str | Path, columns: int = 100, rows: int = 24, **environ: str
) -> AbstractContextManager[Terminal]:
    return terminal([*COMMAND, "run", *map(str, arguments)], ROOT, columns=columns, rows=rows, **environ)


def test_events_scroll_above_a_table_with_both_conditions() -> None:
    with live(QUICKSTART) as screen:
        screen.wait_for("dev.knative.sample", "True     True")
        assert HEADER.search(screen.text), screen.text
        screen.wait_until(lambda: counted(screen.text) == len(EVENT.findall(screen.text)) > 0, "equal counts")
        last_event = max(n for n, line in enumerate(screen.lines) if "dev.knative.sample" in line)
        assert last_event < next(n for n, line in enumerate(screen.lines) if line.startswith("NAME"))


def test_ctrl_c_keeps_the_last_table_and_restores_the_terminal() -> None:
    with live(QUICKSTART) as screen:
        screen.wait_for("dev.knative.sample")
        assert screen.cursor_is_hidden
        assert screen.signal(signal.SIGINT) == 0
        assert not screen.cursor_is_hidden
        assert re.search(r"^hello: [1-9]\d* events? arrived; its adapter's exit code: 0$", screen.text, re.MULTILINE)
        assert HEADER.search(screen.text), screen.text
        assert sum("NAME" in line for line in screen.lines + screen.history) == 1  # redrawn in place


def test_reason_of_a_failing_source_is_below_the_table(tmp_path: Path) -> None:
    with live(source_without_sink(tmp_path)) as screen:
        screen.wait_for("hello: NotFound: Service default/event-display does not exist; create it")
        assert re.search(r"^hello +False +False +Unknown ", screen.text, re.MULTILINE), screen.text


def test_edit_changes_the_table_and_a_broken_edit_is_below_it_while_it_lasts(tmp_path: Path) -> None:
    file = quickstart_with(tmp_path, "interval: 1s", "interval: 200ms")
    with live(file, columns=140) as screen:
        screen.wait_for("200ms  ", '"heartbeat": "200ms"')
        good = file.read_text()
        file.write_text("kind: [")
        screen.wait_for("not applied: ", "broken YAML")
        header = next(n for n, line in enumerate(screen.lines) if line.startswith("NAME"))
        assert any("broken YAML" in line for line in screen.lines[header:])
        before = len(screen.history)
        screen.wait_until(lambda: len(screen.history) > before + 24, "a screen of new events")
        assert "broken YAML" in screen.text
        file.write_text(good.replace("interval: 200ms", "interval: 300ms"))
        screen.wait_for('"heartbeat": "300ms"')
        assert "not applied" not in screen.text
        screen.wait_for("True     True          True")


def test_no_line_wraps_on_a_narrow_terminal() -> None:
    with live(QUICKSTART, columns=64) as screen:
        screen.wait_for("dev.knative.sample", "True     True")
        header = next(n for n, line in enumerate(screen.lines) if line.startswith("NAME"))
        assert screen.lines[header].endswith("AGE")
        assert screen.lines[header + 1].startswith("hello ")
        assert not any(screen.lines[header + 2 :])


def test_dumb_terminal_gets_plain_lines() -> None:
    with live(QUICKSTART, TERM="dumb", columns=140) as screen:
        screen.wait_for("NAME    KIND          READY    REASON", "dev.knative.sample")
