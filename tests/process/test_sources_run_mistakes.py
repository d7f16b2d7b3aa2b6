"""``sources run`` with what cannot run: one line that says what to write, and no traceback."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

from tests.process.local import QUICKSTART, edited, sources_run


def assert_one_line(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 2, result
    assert result.stderr.count("\n") == 1, result.stderr
    for part in parts:
        assert part in result.stderr


def test_a_missing_file_is_one_line() -> None:
    assert_one_line(sources_run("no-such.yaml"), "no-such.yaml: No such file or directory")


def test_broken_yaml_names_its_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("apiVersion: v1\nkind: [Service\nmetadata: {}\n")
    assert_one_line(sources_run(broken), f"{broken}:3: broken YAML")


def test_a_document_that_is_no_object_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("- 1\n")
    assert_one_line(sources_run(file), "not a Kubernetes object")


def test_a_deployment_without_a_container_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_text("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n")
    assert_one_line(sources_run(file), "Deployment a needs spec.template.spec.containers")


def test_a_file_without_a_source_says_so(tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
    assert_one_line(sources_run(file), "no source in it")


def test_an_unknown_kind_lists_those_there_are(tmp_path: Path) -> None:
    file = tmp_path / "unknown.yaml"
    file.write_text(QUICKSTART.read_text().replace("kind: SampleSource", "kind: TelepathySource"))
    assert_one_line(
        sources_run(file), 'kind is "TelepathySource"', "there are: PollSource, SampleSource, WebhookSource"
    )


def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_one_line(sources_run(QUICKSTART, "--port", str(port)), f"port {port} is in use")


def test_a_duration_without_unit_is_refused() -> None:
    result = sources_run(QUICKSTART, "--for", "6")
    assert result.returncode == 2
    assert "missing unit in duration" in result.stderr


def test_a_missing_service_is_a_condition_not_an_error(tmp_path: Path) -> None:
    file = tmp_path / "no-service.yaml"
    file.write_text(QUICKSTART.read_text().split("---")[-1])
    result = sources_run(file, "--for", "2s")
    assert result.returncode == 0, result
    assert re.search(r"^hello   SampleSource  False    NotFound ", result.stdout, re.MULTILINE), result.stdout
    assert "hello: 0 events arrived; no adapter ran" in result.stdout


def test_a_spec_the_api_server_would_refuse_is_one_line_with_its_place(tmp_path: Path) -> None:
    file = edited(tmp_path, "interval: 1s", "interval: soon")
    line = file.read_text().splitlines().index("  interval: soon") + 1
    said = f'edited.yaml:{line}: SampleSource hello: spec.interval: Invalid value: "soon": write a duration'
    assert_one_line(sources_run(file, "--for", "2s"), said)


def test_a_crashing_adapter_shows_its_line_and_starts_again_later_and_later(tmp_path: Path) -> None:
    look_alike = 'sink:\n    CACerts: "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----"'
    result = sources_run(edited(tmp_path, "sink:", look_alike), "--for", "6s")
    said = re.findall(
        r"^hello: process exited with code 2: (.*) \(starts again in (\d+)s\)$", result.stderr, re.MULTILINE
    )
    assert [seconds for _, seconds in said][:2] == ["1", "2"], result.stderr
    assert "K_CA_CERTS" in said[0][0]
    assert re.search(r"^hello   SampleSource  False    ProgressDeadlineExceeded ", result.stdout, re.MULTILINE)
    assert "Traceback" not in result.stdout + result.stderr


def test_a_sink_that_is_no_url_is_refused() -> None:
    result = sources_run(QUICKSTART, "--sink", "here")
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert '"here" is not an absolute http(s) URL' in result.stderr
