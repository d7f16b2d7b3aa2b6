"""``sources run`` with wrong input: one line that says what to write, and no traceback."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.process.harness import ScriptedSink
from tests.process.sources import (
    QUICKSTART,
    interrupted,
    quickstart_with,
    read_until,
    run_until,
    running,
    source_without_sink,
    sources,
)
from tests.process.webhook import ACCEPTED

NO_EVENT = """from adapter.sdk import Timer


class ClockSource(Timer):
    \"\"\"Returns no event.\"\"\"

    api_version = "samples.example.com/v1"

    def tick(self, n):
        return None
"""


def assert_one_line(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 2, result
    assert result.stderr.count("\n") == 1, result.stderr
    for part in parts:
        assert part in result.stderr


def test_missing_file_is_one_line() -> None:
    assert_one_line(sources("run", "no-such.yaml"), "no-such.yaml: No such file or directory")


def test_broken_yaml_names_its_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("apiVersion: v1\nkind: [Service\nmetadata: {}\n")
    assert_one_line(sources("run", broken), f"{broken}:3: broken YAML")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("- 1\n", "not a Kubernetes object", id="list"),
        pytest.param(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
            "Deployment a: spec: Required value",
            id="deployment-without-container",
        ),
        pytest.param("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n", "no sources found", id="no-source"),
    ],
)
def test_unusable_document_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(text)
    assert_one_line(sources("run", file), message)


@pytest.mark.parametrize("command", ["run", "render"])
def test_all_problems_of_all_files_are_listed(tmp_path: Path, command: str) -> None:
    file = quickstart_with(tmp_path, "interval: 1s", "interval: soon\n  intervall: 1s")
    file.write_text(f"{file.read_text().rstrip()}\n---\n- 1\n---\na: 1\n")
    (tmp_path / "broken.yaml").write_text("kind: [")
    (tmp_path / "good.yaml").write_text(QUICKSTART.read_text())
    result = sources(command, tmp_path, "no-such.yaml")
    assert (result.returncode, result.stdout) == (2, "")
    places = re.findall(r"^sources: (?:.*/)?([\w-]+\.yaml(?::\d+)?): ", result.stderr, re.MULTILINE)
    lines = file.read_text().splitlines()
    edited = [f"edited.yaml:{lines.index(line) + 1}" for line in ("  intervall: 1s", "- 1", "a: 1")]
    assert places == ["broken.yaml:1", *edited, "no-such.yaml"], result.stderr


def test_unknown_kind_lists_the_known_kinds(tmp_path: Path) -> None:
    file = quickstart_with(tmp_path, "kind: SampleSource", "kind: TelepathySource")
    known = "there are: CronSource, PollSource, SampleSource, WebhookSource"
    assert_one_line(sources("run", file), 'kind is "TelepathySource"', known)


def test_misspelled_kind_beside_a_good_source_names_its_line_and_the_nearest_kind(tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    good = QUICKSTART.read_text()
    file.write_text(f"{good}\n---\n{good.split('---')[-1].replace('SampleSource', 'SampleSorce')}")
    line = 1 + next(n for n, text in enumerate(file.read_text().splitlines()) if "SampleSorce" in text)
    assert_one_line(sources("run", file), f'two.yaml:{line}: kind is "SampleSorce"', "did you mean SampleSource?")


def test_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_one_line(sources("run", QUICKSTART, "--port", str(port)), f"port {port} is in use")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["--for", "6"],
            "Invalid value for '--for': time: missing unit in duration \"6\"; write a duration like 30s",
            id="duration-without-unit",
        ),
        pytest.param(
            ["--for", "0s"],
            "Invalid value for '--for': \"0s\" is not positive; write a duration like 30s",
            id="no-duration",
        ),
        pytest.param(
            ["--sink", "here"], "Invalid value for '--sink': \"here\" is not an absolute http(s) URL", id="sink"
        ),
        pytest.param(
            ["--port", "0"],
            "Invalid value for '--port': \"0\" is not a port; write a number from 1 to 65535",
            id="port",
        ),
        pytest.param(["--onse"], "No such option: --onse", id="unknown-option"),
        pytest.param(["--for"], "Option '--for' requires an argument", id="no-value"),
    ],
)
def test_wrong_option_is_one_line(arguments: list[str], message: str) -> None:
    assert_one_line(sources("run", QUICKSTART, *arguments), f"sources: {message}")


def test_missing_service_is_a_condition_and_not_an_error(tmp_path: Path) -> None:
    result = run_until("SampleSource  False    NotFound ", source_without_sink(tmp_path))
    assert result.returncode == 0, result
    assert re.search(r"^hello   SampleSource  False    NotFound ", result.stdout, re.MULTILINE), result.stdout
    assert "hello: 0 events arrived; no adapter ran" in result.stdout


def test_spec_that_the_api_server_would_reject_is_one_line_with_its_position(tmp_path: Path) -> None:
    file = quickstart_with(tmp_path, "interval: 1s", "interval: soon")
    line = file.read_text().splitlines().index("  interval: soon") + 1
    message = f'edited.yaml:{line}: SampleSource hello: spec.interval: Invalid value: "soon": write a duration'
    assert_one_line(sources("run", file, "--for", "2s"), message)


def test_crashed_adapter_restarts_with_increasing_delay_and_its_error_is_printed(tmp_path: Path) -> None:
    broken = 'sink:\n    CACerts: "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----"'
    with running(quickstart_with(tmp_path, "sink:", broken)) as process:
        errors = read_until(process, "restarts in 2s", stream="stderr")
        read_until(process, "SampleSource  False    ProgressDeadlineExceeded ")
        result = interrupted(process, errors, stream="stderr")
    crashes = re.findall(
        r"^hello: process exited with code 2: (.*) \(restarts in (\d+)s\)$", result.stderr, re.MULTILINE
    )
    assert [seconds for _, seconds in crashes][:2] == ["1", "2"], result.stderr
    assert "K_CA_CERTS" in crashes[0][0]
    assert "Traceback" not in result.stdout + result.stderr


def test_error_of_a_kind_is_one_sentence_with_the_line_of_its_code(tmp_path: Path) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds/clock_source.py").write_text(NO_EVENT)
    file = tmp_path / "clock.yaml"
    head = "apiVersion: samples.example.com/v1\nkind: ClockSource\nmetadata: {name: clock}\n"
    file.write_text(head + "spec: {interval: 1s, sink: {}}\n")
    with running("--package", "kinds", file, "--sink", "http://127.0.0.1:9", cwd=tmp_path) as process:
        errors = read_until(process, "(restarts in 1s)", stream="stderr")
    cause = (
        "the source failed at clock_source.py:9: TypeError: tick() of ClockSource returned NoneType; return an Event"
    )
    assert errors == f"clock: process exited with code 1: {cause} (restarts in 1s)\n"


def test_deployment_other_than_a_display_is_skipped_with_a_message(tmp_path: Path) -> None:
    file = quickstart_with(tmp_path, "adapter.display", "http.server")
    with ScriptedSink(lambda connection, n: connection.sendall(ACCEPTED)) as sink:
        result = sources("run", file, "--sink", sink.url, "--for", "1s")
    message = "Deployment default/event-display is skipped: `sources run` starts only `python -m adapter.display`\n"
    assert (result.returncode, result.stderr.startswith(message)) == (0, True), result.stderr
