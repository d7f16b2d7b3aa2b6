"""The environment is the whole contract: ten lines of Perl, under what the hook decided, and the event arrives."""

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

from adapter.testing import Reply, Sink
from tests.process.harness import free_port, wait_until
from tests.process.test_sources_lint import sources

ROOT = Path(__file__).resolve().parents[2]
ADAPTER = ROOT / "metacontroller/samples/any-language/adapter.pl"


def rendered(directory: Path, sink: Sink) -> dict[str, str]:
    """What `sources render` shows of the container's environment, its field references filled in."""
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
        it["name"]: pod[it["valueFrom"]["fieldRef"]["fieldPath"]] if "valueFrom" in it else it.get("value", "")
        for it in container["env"]
    }


@pytest.fixture
def port(tmp_path: Path, sink: Sink) -> Iterator[int]:
    """The adapter's health port. Only that is given beside what was rendered: a pod has its 8080 to itself."""
    port = free_port()
    environ = {**rendered(tmp_path, sink), "HEALTH_PORT": str(port)}
    process = subprocess.Popen([ADAPTER], env=environ, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield port
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[1]
        assert (process.returncode, said) == (0, "")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_the_adapter_is_ten_lines_of_another_language() -> None:
    lines = [line for line in ADAPTER.read_text().splitlines() if not line.startswith("#") and line.strip(" }")]
    assert len(lines) <= 11  # the first one loads the library
    assert lines[0].startswith("use ")


def test_its_events_arrive_and_the_one_that_was_refused_comes_again(sink: Sink, port: int) -> None:
    sink.answer(503, Reply(202))
    first, again, second = sink.wait_for(3, within_s=20)[:3]
    assert first["id"] == again["id"] == second["id"].removesuffix("1") + "0"
    assert first["source"] == "/apis/samples.knative.dev/v1alpha1/namespaces/ns/samplesources/hello"
    assert (first["type"], sink.refused) == ("com.example.perl", [])


def test_it_answers_the_probes_of_its_pod(sink: Sink, port: int) -> None:
    def status(path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return int(answer.status)
        except OSError:
            return 0

    for path in ("/readiness", "/health"):
        wait_until(lambda path=path: status(path) == 200, f"200 of {path}")
