"""``sources run`` on a terminal: events scroll above a table of the sources."""

from __future__ import annotations

import re
import signal
from contextlib import AbstractContextManager
from pathlib import Path

from tests.process.sources import COMMAND, ENVIRON, QUICKSTART, ROOT, quickstart_with, source_without_sink, write_kind
from tests.process.terminal import Terminal, terminal

EVENT = re.compile(r"^\d\d:\d\d:\d\d  hello  dev\.knative\.sample  ", re.MULTILINE)
HEADER = re.compile(r"^NAME +READY +SINKPROVIDED +DEPLOYED +SINK +EVENTS +AGE$", re.MULTILINE)
HEADER_WIDE = re.compile(r"^NAME +KIND +READY ", re.MULTILINE)
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
        [below] = filter(None, screen.lines[header + 2 :])
        assert below.startswith("event-display: shows the events at http://127.0.0.1:")


def test_dumb_terminal_gets_plain_lines() -> None:
    with live(QUICKSTART, TERM="dumb", columns=140) as screen:
        screen.wait_for("NAME    KIND          READY    REASON", "dev.knative.sample")


def test_address_in_brackets_is_shown_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(
        "apiVersion: samples.knative.dev/v1alpha1\nkind: SampleSource\nmetadata: {name: hello}\n"
        "spec: {interval: 1s, delivery: {retry: 0}, sink: {uri: 'http://[fd00::1]:9/'}}\n"
    )
    with live(file) as screen:
        screen.wait_for("hello ", "http://[fd00::1]:9/")


def test_last_line_of_an_adapter_is_text(tmp_path: Path) -> None:
    """Markup in it must not stop the drawing, and a command for the terminal must not change the screen."""
    line = r"http://[fd00::1]:9/ [/x] \x1b[2J\x1b]0;title\x07 \u202eend"
    ending = f"import os, sys; print('{line}', file=sys.stderr, flush=True); os._exit(3)"
    write_kind(tmp_path, f"def workers(self): {ending}")
    (tmp_path / "a.yaml").write_text(
        "apiVersion: samples.knative.dev/v1alpha1\nkind: TinySource\nmetadata: {name: hello}\n"
        "spec: {interval: 1s, sink: {uri: 'http://127.0.0.1:9/'}}\n"
    )
    with terminal([*COMMAND, "run", "--package", "kinds", "a.yaml"], tmp_path, columns=200, **ENVIRON) as screen:
        screen.wait_for("hello: ProgressDeadlineExceeded", "code 3: http://[fd00::1]:9/ [/x] �[2J�]0;title� �end")
        assert HEADER_WIDE.search(screen.text), screen.text
        assert screen.signal(signal.SIGINT) == 0
        assert "Traceback" not in screen.text
        assert screen.title != "title"
