"""``sources run`` on a terminal: events scroll, and below them a table says how the sources are."""

from __future__ import annotations

import re
import signal
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from tests.process.local import QUICKSTART, ROOT, edited
from tests.process.terminal import Terminal, terminal
from tests.process.test_sources_run import EVENT

HEADER = re.compile(r"^NAME +READY +SINKPROVIDED +DEPLOYED +SINK +EVENTS +AGE$", re.MULTILINE)
READY = re.compile(r"^hello +True +True +True +http://event-display\.\S+ +(\d+) +\d+s$", re.MULTILINE)


def counted(text: str) -> int:
    """The number of events in the table's row of a source that is ready; 0 if there is none."""
    return int(found[1]) if (found := READY.search(text)) else 0


def live(
    *arguments: str | Path, columns: int = 100, rows: int = 24, **environ: str
) -> AbstractContextManager[Terminal]:
    command = [sys.executable, "-m", "sources_cli", "run", *map(str, arguments)]
    return terminal(command, ROOT, columns=columns, rows=rows, **environ)


def test_events_scroll_above_a_table_with_both_conditions() -> None:
    with live(QUICKSTART) as screen:
        screen.wait_for("dev.knative.sample", "True     True")
        assert HEADER.search(screen.text), screen.text
        screen.wait_until(lambda: counted(screen.text) == len(EVENT.findall(screen.text)) > 0, "equal counts")
        last_event = max(n for n, line in enumerate(screen.lines) if "dev.knative.sample" in line)
        assert last_event < next(n for n, line in enumerate(screen.lines) if line.startswith("NAME"))


def test_ctrl_c_leaves_the_last_state_and_the_terminal_as_it_was() -> None:
    with live(QUICKSTART) as screen:
        screen.wait_for("dev.knative.sample")
        assert screen.cursor_is_hidden
        assert screen.signal(signal.SIGINT) == 0
        assert not screen.cursor_is_hidden
        assert re.search(r"^hello: [1-9]\d* events? arrived; its adapter's exit code: 0$", screen.text, re.MULTILINE)
        assert HEADER.search(screen.text), screen.text
        assert sum("NAME" in line for line in screen.lines + screen.history) == 1  # drawn over, not again and again


def test_what_is_wrong_is_said_in_a_sentence_below_the_table(tmp_path: Path) -> None:
    file = tmp_path / "no-service.yaml"
    file.write_text(QUICKSTART.read_text().split("---")[-1])
    with live(file) as screen:
        screen.wait_for("hello: NotFound: Service default/event-display does not exist; create it")
        assert re.search(r"^hello +False +False +Unknown ", screen.text, re.MULTILINE), screen.text


def test_an_edit_shows_up_in_the_table_and_a_broken_one_above_it(tmp_path: Path) -> None:
    file = edited(tmp_path, "interval: 1s", "interval: 200ms")
    with live(file, columns=140) as screen:
        screen.wait_for("200ms  ", '"heartbeat": "200ms"')
        good = file.read_text()
        file.write_text("kind: [")
        screen.wait_for("not applied: ", "broken YAML")
        file.write_text(good.replace("interval: 200ms", "interval: 300ms"))
        screen.wait_for('"heartbeat": "300ms"')
        screen.wait_for("True     True          True")


def test_on_a_narrow_terminal_no_line_wraps() -> None:
    with live(QUICKSTART, columns=64) as screen:
        screen.wait_for("dev.knative.sample", "True     True")
        header = next(n for n, line in enumerate(screen.lines) if line.startswith("NAME"))
        assert screen.lines[header].endswith("AGE")
        assert screen.lines[header + 1].startswith("hello ")
        assert not any(screen.lines[header + 2 :])


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines() -> None:
    with live(QUICKSTART, TERM="dumb", columns=140) as screen:
        screen.wait_for("NAME    KIND          READY    REASON", "dev.knative.sample")
