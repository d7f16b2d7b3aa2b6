"""``spec.suspend`` in ``sources run`` and ``sources render``."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

from tests.deadline import DEADLINE_S
from tests.process.sources import quickstart_with, read_until, running, source_without_sink, sources

EVENT = re.compile(r"^\d\d:\d\d:\d\d  hello  dev\.knative\.sample  (\{.*\})$", re.MULTILINE)
STOPPED = (
    r"spec\.suspend is true\. Deployment samplesource-hello-\S+ has 0 replicas\. To resume, set spec\.suspend to false"
)


def suspended_quickstart(directory: Path) -> Path:
    return quickstart_with(directory, "interval: 1s", "interval: 100ms\n  suspend: true")


def sequences(text: str) -> list[int]:
    return [json.loads(data)["sequence"] for data in EVENT.findall(text)]


def test_suspended_source_stops_and_resumes_with_the_same_numbering(tmp_path: Path) -> None:
    file = quickstart_with(tmp_path, "interval: 1s", "interval: 100ms")
    with running(file) as process:
        before = read_until(process, r"SampleSource  True ") + read_until(process, EVENT.pattern)
        running_text = file.read_text()
        file.write_text(running_text.replace("interval: 100ms", "interval: 100ms\n  suspend: true"))
        before += read_until(process, STOPPED)
        file.write_text(running_text)
        seen = read_until(process, r"SampleSource  \w+ ")  # nothing else is printed while the source is suspended
        assert sequences(seen) == []
        seen += read_until(process, r"SampleSource  True ") + read_until(process, EVENT.pattern)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=DEADLINE_S)
    assert re.search(r"^hello   SampleSource  False    Suspended ", before, re.MULTILINE), before
    assert re.search(r"^hello   SampleSource  Unknown  AdapterStarting ", seen, re.MULTILINE), seen
    first, second = sequences(before), sequences(seen)
    assert first == list(range(first[0], first[-1] + 1))  # the events in flight arrived
    assert second[0] > first[-1] + 1, "ticks that were due meanwhile are not sent"
    assert re.search(r"^hello: \d+ events arrived; its adapter's exit code: 0$", rest, re.MULTILINE), rest


def test_run_that_ends_while_a_source_is_suspended_reports_its_adapter(tmp_path: Path) -> None:
    file = quickstart_with(tmp_path, "interval: 1s", "interval: 100ms")
    with running(file) as process:
        read_until(process, EVENT.pattern)
        file.write_text(file.read_text().replace("interval: 100ms", "interval: 100ms\n  suspend: true"))
        read_until(process, STOPPED)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=DEADLINE_S)
    assert re.search(r"^hello: \d+ events arrived; its adapter's exit code: 0$", rest, re.MULTILINE), rest


def test_once_does_not_wait_for_a_suspended_source(tmp_path: Path) -> None:
    result = sources("run", suspended_quickstart(tmp_path), "--once", "--for", "2m")
    assert (result.returncode, result.stderr) == (0, "")
    assert "hello: 0 events arrived; no adapter ran" in result.stdout


def rendered(file: Path) -> tuple[int, str, Any]:
    result = sources("render", file, "-o", "json")
    return result.returncode, result.stderr, json.loads(result.stdout)


def test_render_shows_a_suspended_source_without_a_problem(tmp_path: Path) -> None:
    code, errors, response = rendered(suspended_quickstart(tmp_path))
    assert (code, errors) == (0, "")
    assert response["children"][0]["spec"]["replicas"] == 0


def test_render_reports_the_sink_of_a_suspended_source(tmp_path: Path) -> None:
    file = source_without_sink(tmp_path)
    file.write_text(file.read_text().replace("interval: 1s", "interval: 1s\n  suspend: true"))
    code, errors, _ = rendered(file)
    assert (code, errors.partition(":")[2].strip()[:9]) == (1, "NotFound:")


def test_lint_rejects_suspend_that_is_not_a_boolean(tmp_path: Path) -> None:
    result = sources("lint", quickstart_with(tmp_path, "interval: 1s", "interval: 1s\n  suspend: 'yes'"))
    assert result.returncode == 1
    assert 'spec.suspend: Invalid value: "yes": must be of type boolean' in result.stdout
