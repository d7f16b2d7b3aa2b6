"""``sources render`` shows what the hook answers, and its exit code says whether every source would run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from tests.process.harness import running_hook

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "metacontroller/samples/quickstart.yaml"


def render(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sources_cli", "render", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


def test_it_is_the_hooks_answer_byte_for_byte() -> None:
    result = render(QUICKSTART, "-o", "json", "--image", "adapter:1")
    assert (result.returncode, result.stderr) == (0, "")
    rendered = json.loads(result.stdout)
    child = rendered["children"][0]
    env = {it["name"]: it.get("value") for it in child["spec"]["template"]["spec"]["containers"][0]["env"]}
    service = next(it for it in yaml.safe_load_all(QUICKSTART.read_text()) if it["kind"] == "Service")
    source = next(it for it in yaml.safe_load_all(QUICKSTART.read_text()) if it["kind"] == "SampleSource")
    source["metadata"] |= {"uid": env["SOURCE_UID"], "creationTimestamp": "1970-01-01T00:00:00Z"}
    request = {"parent": source, "children": {}, "related": {"Service.v1": {"default/event-display": service}}}
    with running_hook(ADAPTER_IMAGE="adapter:1") as hook:
        status, answer = hook.call("/sync?types=dev.knative.sample", json.dumps(request).encode())
    assert status == 200
    for side in (answer, rendered):
        for condition in side["status"]["conditions"]:
            del condition["lastTransitionTime"]  # the one thing that is a matter of time
    assert json.dumps(rendered) == json.dumps(answer)


def test_two_renderings_can_be_compared_and_yaml_says_the_same() -> None:
    first, second = render(QUICKSTART), render(QUICKSTART, "-o", "json")
    assert first.stdout.startswith("---\n# SampleSource default/hello\n")
    assert yaml.safe_load(first.stdout)["children"] == json.loads(second.stdout)["children"]


def test_a_source_that_would_not_run_is_said_and_is_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "no-service.yaml"
    file.write_text(QUICKSTART.read_text().split("---")[-1])
    result = render(file)
    assert result.returncode == 1
    assert result.stderr.startswith("default/hello: NotFound: Service default/event-display does not exist")
    assert yaml.safe_load(result.stdout)["children"] == []


def test_an_unusable_file_is_one_line_and_exit_code_2() -> None:
    result = render("no-such.yaml")
    assert (result.returncode, result.stderr) == (2, "sources: no-such.yaml: No such file or directory\n")


def test_what_is_left_out_is_what_the_api_server_would_set(tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(QUICKSTART.read_text().replace("  interval: 1s\n", "  serviceAccountName: null\n"))
    [container] = json.loads(render(file, "-o", "json").stdout)["children"][0]["spec"]["template"]["spec"]["containers"]
    assert {"name": "INTERVAL", "value": "10s"} in container["env"]


def test_the_status_shows_the_type_that_a_source_says(tmp_path: Path) -> None:
    source = {
        "apiVersion": "samples.knative.dev/v1alpha1",
        "kind": "PollSource",
        "metadata": {"name": "orders"},
        "spec": {"url": "http://h", "eventType": "com.example.order", "sink": {"uri": "http://sink"}},
    }
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(source))
    result = render(tmp_path / "a.yaml", "-o", "json")
    assert [it["type"] for it in json.loads(result.stdout)["status"]["ceAttributes"]] == ["com.example.order"]
