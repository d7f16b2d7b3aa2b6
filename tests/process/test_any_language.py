"""The environment is the whole contract: an adapter of ten lines of Perl sends its events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from adapter.testing import Sink, SinkReply
from tests.deadline import DEADLINE_S
from tests.loopback import ADDRESSES, in_url
from tests.process.harness import free_port, wait_until
from tests.process.sources import sources

ROOT = Path(__file__).resolve().parents[2]
ADAPTER = ROOT / "metacontroller/samples/any-language/adapter.pl"


def rendered(directory: Path, sink: Sink) -> dict[str, str]:
    """The environment of the container as `sources render` prints it, with field references resolved."""
    source = {
        "apiVersion": "samples.knative.dev/v1alpha1",
        "kind": "SampleSource",
        "metadata": {"name": "hello", "namespace": "ns"},
        "spec": {"sink": {"uri": f"{sink.url}/in"}},
    }
    (directory / "source.yaml").write_text(yaml.safe_dump(source))
    shown = sources("render", "-o", "json", "source.yaml", cwd=directory)
    assert shown.returncode == 0, shown.stderr
    [container] = json.loads(shown.stdout)["children"][0]["spec"]["template"]["spec"]["containers"]
    pod = {"metadata.namespace": "ns"}
    return {
        entry["name"]: pod[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        if "valueFrom" in entry
        else entry.get("value", "")
        for entry in container["env"]
    }


@pytest.fixture
def port(tmp_path: Path, sink: Sink) -> Iterator[int]:
    """The health port of a running adapter. It replaces 8080, which may be in use on this machine."""
    port = free_port()
    environ = {**rendered(tmp_path, sink), "HEALTH_PORT": str(port)}
    process = subprocess.Popen([ADAPTER], env=environ, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield port
        process.send_signal(signal.SIGTERM)
        stderr = process.communicate(timeout=DEADLINE_S)[1]
        assert (process.returncode, stderr) == (0, "")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_adapter_is_ten_lines_of_another_language() -> None:
    lines = [line for line in ADAPTER.read_text().splitlines() if not line.startswith("#") and line.strip(" }")]
    assert len(lines) <= 11  # the first line loads the library
    assert lines[0].startswith("use ")


def test_events_arrive_and_a_rejected_event_is_retried(sink: Sink, port: int) -> None:
    sink.answer(503, SinkReply(202))
    first, again, second = sink.wait_for(3, within_s=DEADLINE_S)[:3]
    assert first["id"] == again["id"] == second["id"].removesuffix("1") + "0"
    assert first["source"] == "/apis/samples.knative.dev/v1alpha1/namespaces/ns/samplesources/hello"
    assert (first["type"], sink.refused) == ("com.example.perl", [])


@pytest.mark.parametrize("address", ADDRESSES)
def test_adapter_answers_the_probes_of_its_pod(sink: Sink, port: int, address: str) -> None:
    def status(path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://{in_url(address)}:{port}{path}", timeout=DEADLINE_S) as answer:
                return int(answer.status)
        except OSError:
            return 0

    for path in ("/readiness", "/health"):
        wait_until(lambda path=path: status(path) == 200, f"200 of {path}")
