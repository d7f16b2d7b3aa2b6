"""``sources run`` in a pipe: a real hook, a real adapter and a real sink, without a cluster."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.deadline import DEADLINE_S
from tests.process.harness import ScriptedSink, free_port, wait_until
from tests.process.sources import (
    QUICKSTART,
    children,
    interrupted,
    quickstart_with,
    read_until,
    run_until,
    running,
    source_without_sink,
    sources,
)
from tests.process.webhook import ACCEPTED

EVENT = re.compile(r"^\d\d:\d\d:\d\d  hello  dev\.knative\.sample  (\{.*\})$", re.MULTILINE)


def test_quickstart_becomes_ready_and_its_events_arrive() -> None:
    with running(QUICKSTART) as process:
        seen = read_until(process, "SampleSource  True ")
        while len(EVENT.findall(seen)) < 2:
            seen += read_until(process, EVENT.pattern)
        result = interrupted(process, seen)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("NAME    KIND          READY    REASON ")
    assert re.search(r"^hello   SampleSource  Unknown  \w+ ", result.stdout, re.MULTILINE), result.stdout
    assert re.search(r"^hello   SampleSource  True     +http://event-display\.default", result.stdout, re.MULTILINE)
    rows = [
        " ".join(line.split()[:4]) for line in result.stdout.splitlines() if line.startswith("hello   SampleSource")
    ]
    assert len(rows) == len(set(rows)), rows  # a row is printed only after a change
    events = [json.loads(data) for data in EVENT.findall(result.stdout)]
    assert len(events) >= 2, result.stdout
    first = events[0]["sequence"]
    assert events == [{"sequence": first + n, "heartbeat": "1s"} for n in range(len(events))]
    assert f"hello: {len(events)} events arrived; its adapter's exit code: 0" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_signal_stops_adapters_gracefully_and_prints_a_summary(number: signal.Signals) -> None:
    with running(QUICKSTART) as process:
        seen = read_until(process, EVENT.pattern)
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 0, seen
        seen += process.stdout.read() if process.stdout else ""
        assert re.search(r"^hello: [1-9]\d* events? arrived; its adapter's exit code: 0$", seen, re.MULTILINE), seen


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_second_signal_kills_adapters_that_do_not_stop(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with running(QUICKSTART, "--sink", url) as process:
            read_until(process, r"SampleSource  True ")
            with silent.accept()[0]:  # a delivery is in progress
                process.send_signal(signal.SIGINT)
                wait_until(lambda: not pending(process.pid), "the delivery of the first signal")
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert err.replace("waiting for the events that are in flight; press Ctrl-C to drop them\n", "") == ""
    assert "hello: events not counted; its adapter's exit code: 137 (Killed)" in out


def pending(pid: int) -> bool:
    """Whether the kernel has not yet delivered a signal; it merges two pending signals of the same number."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(re.findall(r"^ShdPnd:\t(\w+)$", status, re.MULTILINE)[0], 16))


def test_once_stops_after_first_event_of_a_ready_source() -> None:
    result = sources("run", QUICKSTART, "--once")
    assert (result.returncode, result.stderr) == (0, "")
    assert EVENT.search(result.stdout), result.stdout


def test_once_exits_1_when_no_event_arrives_in_time(tmp_path: Path) -> None:
    result = sources("run", source_without_sink(tmp_path), "--once", "--for", "2s")
    assert result.returncode == 1
    message = "sources: --once: hello is not ready: NotFound: Service default/event-display does not exist"
    assert result.stderr.startswith(message), result.stderr


def test_stop_with_a_dead_sink_says_what_it_waits_for_and_ctrl_c_drops_it() -> None:
    with running(QUICKSTART, "--sink", f"http://127.0.0.1:{free_port()}") as process:
        read_until(process, "delivery .*failed", stream="stderr")
        process.send_signal(signal.SIGINT)
        read_until(process, "waiting for the events that are in flight; press Ctrl-C to drop them", stream="stderr")
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0


def test_sink_option_replaces_the_sink_of_each_source() -> None:
    sink = ScriptedSink(lambda connection, n: connection.sendall(ACCEPTED))
    with sink, running(QUICKSTART, "--sink", sink.url) as process:
        sink.wait_for(1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=DEADLINE_S)
    assert sink.url in out
    assert "hello: events not counted" in out  # only the local display counts them


def test_once_needs_no_event_of_a_source_whose_sink_is_no_display_of_the_files() -> None:
    with ScriptedSink(lambda connection, n: connection.sendall(ACCEPTED)) as sink:
        ran = sources("run", QUICKSTART, "--once", "--sink", sink.url, "--for", "2m")
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout


def test_edited_source_rolls_out_and_broken_edit_changes_nothing(tmp_path: Path) -> None:
    file = quickstart_with(tmp_path, "interval: 1s", "interval: 200ms")
    with running(file) as process:
        read_until(process, r"SampleSource  True ")
        read_until(process, r'"heartbeat": "200ms"')
        good = file.read_text()
        file.write_text("kind: [")
        read_until(process, r"not applied: .*broken YAML", stream="stderr")
        for _ in range(2):  # again and again, because new lines scroll it off the screen
            read_until(process, r"not applied: .*broken YAML", stream="stderr")
        file.write_text(good.replace("interval: 200ms", "interval: 300ms"))
        read_until(process, "applied: the files are valid again", stream="stderr")
        seen = read_until(process, r'"heartbeat": "300ms"')
        assert '"heartbeat": "200ms"' in seen  # the old adapter sends until the new one is ready
        assert "AdapterUpdating" in seen
        assert "AdapterStarting" not in seen  # the reason if no adapter were available
        if not re.search(r"SampleSource  True ", seen.split("AdapterUpdating")[1]):
            read_until(process, r"SampleSource  True ")
        file.write_text(good.replace("interval: 200ms", "interval: soon"))
        read_until(process, r"not applied: .*spec\.interval: Invalid value", stream="stderr")
        read_until(process, r'"heartbeat": "300ms"')
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0


def test_added_source_starts_at_once(tmp_path: Path) -> None:
    file = quickstart_with(tmp_path, "interval: 1s", "interval: 1h")
    with running(file) as process:
        read_until(process, r"^hello +SampleSource +True ")
        source = file.read_text().split("---")[-1].replace("name: hello", "name: second")
        file.write_text(f"{file.read_text()}\n---{source.replace('1h', '200ms')}")
        read_until(process, r"^second +SampleSource +True ")
        read_until(process, r"  second  dev\.knative\.sample  ")


def test_file_that_is_added_to_a_directory_is_applied_beside_a_broken_one(tmp_path: Path) -> None:
    text = QUICKSTART.read_text()
    (tmp_path / "first.yaml").write_text(text)
    with running(tmp_path) as process:
        read_until(process, r"^hello +SampleSource +True ")
        (tmp_path / "broken.yaml").write_text("kind: [")
        read_until(process, r"not applied: .*broken\.yaml:1: broken YAML", stream="stderr")
        added = text.replace("name: hello", "name: second").replace("event-display", "second-display")
        (tmp_path / "second.yaml").write_text(added)
        read_until(process, r"^second +SampleSource +True +http://second-display")
        read_until(process, r"  second  dev\.knative\.sample  ")
        broker = (
            "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: b}\nstatus: {address: {url: http://b}}"
        )
        third = text.split("---")[-1].replace("name: hello", "name: third")
        third = third.replace("apiVersion: v1", "apiVersion: eventing.knative.dev/v1").replace(
            "kind: Service", "kind: Broker"
        )
        (tmp_path / "third.yaml").write_text(f"{third.replace('name: event-display', 'name: b')}---\n{broker}\n")
        read_until(process, r"^third +SampleSource +True +http://b")
        (tmp_path / "second.yaml").unlink()
        (tmp_path / "broken.yaml").unlink()
        read_until(process, "applied: the files are valid again", stream="stderr")
        read_until(process, r"  second  dev\.knative\.sample  ")
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0


DELIVERY = """  delivery:
    retry: 1
    backoffDelay: PT0.01S
    deadLetterSink:
      ref: {apiVersion: v1, kind: Service, name: event-display}
  sink:
    uri: http://127.0.0.1:9/refused
    audience: me
"""


def test_retries_and_dead_letters_are_printed(tmp_path: Path) -> None:
    text = QUICKSTART.read_text()
    file = tmp_path / "dead.yaml"
    file.write_text(text[: text.rindex("  sink:")] + DELIVERY)
    note = r"dead letter: http://127\.0\.0\.1:9/refused: no connection: .*$"
    result = run_until(note, file)
    assert result.returncode == 0, result
    assert re.search(
        r"^hello: delivery attempt failed; will retry: no connection: connection refused", result.stderr, re.MULTILINE
    )
    assert re.search(
        r"^hello: event sent to the dead letter sink: no connection: connection refused", result.stderr, re.MULTILINE
    )
    assert "Traceback" not in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child at the end of its parent")
def test_killed_command_leaves_no_process_behind(tmp_path: Path) -> None:
    with running(quickstart_with(tmp_path, "interval: 1s", "interval: 2s")) as process:
        read_until(process, r"SampleSource  True ")
        pids = children(process.pid)
        assert len(pids) == 3  # hook, display, adapter
        process.kill()
        process.wait()
        wait_until(lambda: not any(alive(pid) for pid in pids), "the end of all processes", lambda: pids)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
