"""``sources run`` as a person starts it: a real hook, a real adapter, a real sink, no cluster."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.process.harness import wait_until
from tests.process.local import QUICKSTART, ROOT, SOURCES, edited, read_until, running, sources_run

EVENT = re.compile(r"^\d\d:\d\d:\d\d  hello  dev\.knative\.sample  (\{.*\})$", re.MULTILINE)


def test_the_quickstart_becomes_ready_and_its_events_arrive() -> None:
    result = sources_run(QUICKSTART, "--for", "6s")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("NAME    KIND          READY    REASON ")
    assert re.search(r"^hello   SampleSource  Unknown  \w+ ", result.stdout, re.MULTILINE), result.stdout
    assert re.search(r"^hello   SampleSource  True     +http://event-display\.default", result.stdout, re.MULTILINE)
    rows = [" ".join(it.split()[:4]) for it in result.stdout.splitlines() if it.startswith("hello   SampleSource")]
    assert len(rows) == len(set(rows)), rows  # each says something new
    events = [json.loads(data) for data in EVENT.findall(result.stdout)]
    assert len(events) >= 2, result.stdout
    first = events[0]["sequence"]
    assert events == [{"sequence": first + n, "heartbeat": "1s"} for n in range(len(events))]
    assert f"hello: {len(events)} events arrived; its adapter's exit code: 0" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_drains_and_reports(number: signal.Signals) -> None:
    process = subprocess.Popen([*SOURCES, str(QUICKSTART)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    deadline = threading.Timer(40, process.kill)
    deadline.start()
    try:
        assert process.stdout is not None
        seen = ""
        while line := process.stdout.readline():  # until the first event, the deadline or the end
            seen += line
            if EVENT.match(line):
                break
        process.send_signal(number)
        seen += process.stdout.read()
        assert process.wait() == 0, seen
        assert re.search(r"^hello: [1-9]\d* events? arrived; its adapter's exit code: 0$", seen, re.MULTILINE), seen
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()


def test_once_stops_at_the_first_event_of_a_ready_source() -> None:
    result = sources_run(QUICKSTART, "--once")
    assert (result.returncode, result.stderr) == (0, "")
    assert EVENT.search(result.stdout), result.stdout


def test_once_without_an_event_in_time_is_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "no-service.yaml"
    file.write_text(QUICKSTART.read_text().split("---")[-1])
    assert sources_run(file, "--once", "--for", "2s").returncode == 1


def test_a_sink_given_on_the_command_line_wins() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/in"
        result = sources_run(QUICKSTART, "--sink", url, "--for", "3s")
    assert url in result.stdout
    assert "hello: 0 events arrived" in result.stdout


def test_an_edit_rolls_out_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    file = edited(tmp_path, "interval: 1s", "interval: 200ms")
    with running(file) as process:
        read_until(process, r"SampleSource  True ")
        read_until(process, r'"heartbeat": "200ms"')
        good = file.read_text()
        file.write_text("kind: [")
        read_until(process, r"not applied: .*broken YAML", stream="stderr")
        file.write_text(good.replace("interval: 200ms", "interval: 300ms"))
        seen = read_until(process, r'"heartbeat": "300ms"')
        assert '"heartbeat": "200ms"' in seen  # the old adapter went on meanwhile
        assert "AdapterUpdating" in seen
        assert "AdapterStarting" not in seen  # which is what nobody available is called
        if not re.search(r"SampleSource  True ", seen.split("AdapterUpdating")[1]):
            read_until(process, r"SampleSource  True ")
        file.write_text(good.replace("interval: 200ms", "interval: soon"))
        read_until(process, r"not applied: .*spec\.interval: Invalid value", stream="stderr")
        read_until(process, r'"heartbeat": "300ms"')
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


DELIVERY = """  delivery:
    retry: 1
    backoffDelay: PT0.01S
    deadLetterSink:
      ref: {apiVersion: v1, kind: Service, name: event-display}
  sink:
    uri: http://127.0.0.1:9/refused
    audience: me
"""


def test_retries_and_dead_letters_are_shown(tmp_path: Path) -> None:
    text = QUICKSTART.read_text()
    file = tmp_path / "dead.yaml"
    file.write_text(text[: text.rindex("  sink:")] + DELIVERY)
    result = sources_run(file, "--for", "5s")
    assert result.returncode == 0, result
    assert re.search(r"^hello: delivery attempt failed; will retry: ConnectError", result.stderr, re.MULTILINE)
    assert re.search(r"^hello: event sent to the dead letter sink: ConnectError", result.stderr, re.MULTILINE)
    shown = r"dead letter: http://127\.0\.0\.1:9/refused answered 500$"
    assert re.search(shown, result.stdout, re.MULTILINE), result.stdout
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_killed_without_a_chance_to_drain_it_leaves_no_adapter_behind(tmp_path: Path) -> None:
    with running(edited(tmp_path, "interval: 1s", "interval: 2s")) as process:
        read_until(process, r"SampleSource  True ")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 3  # hook, display, adapter
        process.kill()
        process.wait()
        wait_until(lambda: not any(alive(int(child)) for child in children), "the end of all", lambda: children)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
